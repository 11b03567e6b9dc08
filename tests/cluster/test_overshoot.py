"""Whole runs with 512 calls in flight, of random speed, use and failures, never pass a cap: the model itself counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from evo import evolve
from evo.accounting import admission_of
from evo.errors import LlmError
from evo.model import Completion, Request
from evo.ports import Price
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

PRICE = Price(1e-6, 4e-6)
ROWS = toy_rows(450)


class Erratic(FakeLlm):
    """Takes up to what a call may take, after a random time, and fails in two calls of a hundred, billed or not."""

    took: ClassVar[dict[str, float]] = {}
    busy: ClassVar[list[int]] = []

    @property
    def price(self) -> Price:
        return PRICE

    async def complete(self, request: Request) -> Completion:
        self.took["calls"] += 1
        self.busy.append(1 + (self.busy[-1] if self.busy else 0))
        rng = np.random.default_rng(int(self.took["calls"]))
        await asyncio.sleep(float(rng.exponential(0.002)))
        self.busy.append(self.busy[-1] - 1)
        most = sum(map(len, request.choices)) or request.max_tokens
        output = int(rng.integers(1, 1 + most))
        prompt = int(rng.integers(1, 1 + admission_of(request, self.identity, PRICE).tokens - most))
        self.took["tokens"] += prompt + output
        self.took["usd"] += PRICE.cost(prompt, output)
        if rng.random() < 0.02:
            raise LlmError("overloaded", transient=True, tokens=None, usd=None)
        answer = await super().complete(request)
        return replace(answer, prompt_tokens=prompt, output_tokens=output, cost_usd=PRICE.cost(prompt, output))


@pytest.fixture
def erratic() -> type[Erratic]:
    Erratic.took.update(calls=0, tokens=0, usd=0.0)
    Erratic.busy.clear()
    return Erratic


@pytest.mark.parametrize("caps", [{"calls": 2000}, {"tokens": 300_000}, {"usd": 0.3, "calls": 2500}], ids=str)
def test_no_cap_is_passed_with_512_calls_of_random_time_and_use_in_flight(
    tmp_path: Path, erratic: type[Erratic], caps: dict[str, Any]
) -> None:
    evolve(
        {"data": {"dev": ROWS[:350], "test": ROWS[350:]}, "scorer": "choice"},
        prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
        model={"name": f"{__name__}:Erratic", "max_tokens": 8, "attempts": 3},
        method="steady-state",
        racing="full",
        islands=2,
        budget=caps,
        concurrency=512,
        executor="inline",
        storage=str(tmp_path),
        cache=False,
    )
    assert max(erratic.busy) == 512
    assert all(erratic.took[name] <= cap for name, cap in caps.items())
    assert max(erratic.took[name] / cap for name, cap in caps.items()) > 0.8
