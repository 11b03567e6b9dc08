"""How far runs pass their caps, with 512 calls in flight: the largest overshoot of many, which must be 0.

    python benchmarks/overshoot.py --runs 40

Each run has one to three random caps on calls, tokens and USD, a method and a racing policy drawn at random, and a
fake model whose calls take random times and random amounts up to what a call may take, and sometimes fail: billed,
unbilled, or without a word on what they took. The model itself counts what it was asked and what it took, whatever the
engine's books say. An overshoot is what that count is above a cap; a run is also said how much of its tightest cap it
used, since a run that spends nothing passes no cap either.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

import evo
from evo.accounting import admission_of
from evo.errors import BudgetExhausted, LlmError
from evo.model import Completion, Request
from evo.ports import Price
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

IN_FLIGHT = 512
METHODS = ("steady-state", "tide", "evoprompt-ga", "evoprompt-de", "opro", "reflect-pareto")
RACING = ("full", "lazy", "fresh")
PROMPTS = ["What is the mood?", "Sort the text.", "Positive or negative?", "Read the review."]
PRICE = Price(1e-6, 4e-6)


class Erratic(FakeLlm):
    """A fake model of random speed, use and failures that counts for itself what it is asked and what it takes."""

    took: ClassVar[dict[str, float]] = {}
    busy: ClassVar[int] = 0
    most: ClassVar[int] = 0

    @property
    def price(self) -> Price:
        """Output four times as dear as prompts."""
        return PRICE

    async def complete(self, request: Request) -> Completion:
        """Answer, or fail, after some milliseconds. Raises LlmError in two calls of a hundred."""
        count, kind = self._began(), type(self)
        rng = np.random.default_rng([7, count])
        most = sum(map(len, request.choices)) or request.max_tokens
        output = int(rng.integers(1, 1 + most))
        prompt = int(rng.integers(1, 1 + admission_of(request, self.identity, PRICE).tokens - most))
        usd = PRICE.cost(prompt, output)
        try:
            await asyncio.sleep(float(rng.exponential(0.004)))
        finally:
            kind.busy -= 1
        if rng.random() < 0.02:
            billed = rng.random() < 0.5
            kind.took["tokens"] += prompt + output if billed else 0
            kind.took["usd"] += usd if billed else 0.0
            raise _failure(prompt + output, usd, billed=billed, said=rng.random() < 0.5)
        kind.took["tokens"] += prompt + output
        kind.took["usd"] += usd
        answer = await super().complete(request)
        return replace(answer, prompt_tokens=prompt, output_tokens=output, cost_usd=usd)

    @classmethod
    def _began(cls) -> int:
        cls.took["calls"] += 1
        cls.busy += 1
        cls.most = max(cls.most, cls.busy)
        return int(cls.took["calls"])

    @classmethod
    def reset(cls) -> None:
        """Begin to count anew."""
        cls.took, cls.busy, cls.most = dict.fromkeys(("calls", "tokens", "usd"), 0), 0, 0


def _failure(tokens: int, usd: float, *, billed: bool, said: bool) -> LlmError:
    if not said:
        return LlmError("overloaded", transient=True, retry_after_s=0.0, tokens=None, usd=None)
    found = (tokens, usd) if billed else (0, 0.0)
    return LlmError("overloaded", transient=True, retry_after_s=0.0, tokens=found[0], usd=found[1])


def drawn_caps(rng: np.random.Generator) -> dict[str, float]:
    """Return one to three caps, each met somewhere between 300 and 4000 calls."""
    calls = rng.integers(300, 4000, size=3)
    caps = {"calls": int(calls[0]), "tokens": int(calls[1] * 180), "usd": float(calls[2]) * 180 * 2e-6}
    names = sorted(caps)
    kept = rng.choice(names, size=int(rng.integers(1, 4)), replace=False).tolist()
    return {name: caps[name] for name in sorted(kept)}


def one(seed: int) -> dict[str, Any]:
    """Return what a random run was, how far it passed each cap, and how much of the tightest it used."""
    rng = np.random.default_rng(seed)
    caps = drawn_caps(rng)
    method, racing = str(rng.choice(METHODS)), str(rng.choice(RACING))
    rows = toy_rows(900)
    Erratic.reset()
    with tempfile.TemporaryDirectory() as storage, contextlib.suppress(BudgetExhausted):  # too little for one prompt
        evo.evolve(
            {"data": {"dev": rows[:600], "test": rows[600:]}, "scorer": "choice"},
            prompts=PROMPTS,
            model={"name": f"{__name__}:Erratic", "max_tokens": 8, "attempts": 3},
            method=method,
            racing=racing,
            islands=int(rng.integers(1, 4)),
            budget=caps,
            concurrency=IN_FLIGHT,
            workers=int(rng.integers(1, 4)),
            executor="inline",
            seed=seed,
            storage=storage,
            cache=False,
        )
    over = {name: Erratic.took[name] - cap for name, cap in caps.items()}
    used = max(Erratic.took[name] / cap for name, cap in caps.items())
    return {"caps": caps, "method": method, "racing": racing, "over": over, "used": used, "most": Erratic.most}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    options = parser.parse_args()
    worst: dict[str, float] = {}
    used, most = [], 0
    for seed in range(options.first, options.first + options.runs):
        found = one(seed)
        for name, over in found["over"].items():
            worst[name] = max(worst.get(name, 0.0), over)
        used.append(found["used"])
        most = max(most, found["most"])
        caps = ", ".join(f"{cap:g} {name}" for name, cap in found["caps"].items())
        print(
            f"{seed:4}  {found['method']:15} {found['racing']:6} {caps:45} used {found['used']:6.1%}, "
            f"{found['most']} in flight",
            flush=True,
        )
    print(f"\n{options.runs} runs, at most {most} in flight; used of the tightest cap: median {np.median(used):.1%}")
    print("largest overshoot:", ", ".join(f"{over:g} {name}" for name, over in sorted(worst.items())))


if __name__ == "__main__":
    main()
