"""TIDE where the operator model cannot write: edits without a model take over."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import evo
from evo.model import Completion, Request
from fitness.fake import FakeLlm, quoted_prompts
from fitness.toy import toy_rows

FREE = ("edit", "reframe", "phrase-crossover")


class Weak(FakeLlm):
    """Answers the task as usual; what it is asked to write it does not."""

    written: Callable[[str], str] = staticmethod(lambda text: "I am a language model.")

    async def complete(self, request: Request) -> Completion:
        answer = await super().complete(request)
        return replace(answer, text=self.written(request.text)) if "<prompt>" in request.text else answer


class Copying(Weak):
    """Hands back the prompt it was shown."""

    written = staticmethod(lambda text: f"<prompt>{(quoted_prompts(text) or (text[:200],))[-1]}</prompt>")


class Rambling(Weak):
    """Writes new prompts that are no good."""

    written = staticmethod(lambda text: f"<prompt>Imagine a long walk of {len(text)} steps, {hash_of(text)}.</prompt>")


def hash_of(text: str) -> str:
    return re.sub(r"\W+", " ", text)[-60:]


@pytest.mark.parametrize("model", [Weak, Copying, Rambling], ids=lambda model: model.__name__)
def test_edits_take_over_within_forty_births(tmp_path: Path, model: type[Weak]) -> None:
    rows = toy_rows(160)
    run = evo.evolve(
        {"data": {"dev": rows}, "scorer": "choice", "description": "Sort reviews."},
        prompts=["Sort the text.", "What is the mood?", "Read the review carefully."],
        model="fake/toy",
        operator_model=f"{__name__}:{model.__name__}",
        method="tide",
        budget={"births": 120},
        executor="inline",
        storage=str(tmp_path),
        cache=False,
    )
    names = [row["operator"] for row in run.individuals().to_pylist() if row["operator"] != "seed"]
    free = [name in FREE for name in names]
    assert sum(free[:20]) / 20 < 0.6
    assert sum(free[40:]) / len(free[40:]) > 0.6
