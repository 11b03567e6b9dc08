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

FREE = ("edit", "reframe", "phrase-crossover", "few-shot")


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


def shares(storage: Path, model: type[Weak], seeds: int) -> tuple[float, float]:
    """Return the share of births without a model among the first 20, and after 40, over some seeds."""
    early, late = [], []
    for seed in range(seeds):
        run = evo.evolve(
            {"data": {"dev": toy_rows(160)}, "scorer": "choice", "description": "Sort reviews."},
            prompts=["Sort the text.", "What is the mood?", "Read the review carefully."],
            model="fake/toy",
            operator_model=f"{__name__}:{model.__name__}",
            method="tide",
            budget={"births": 120},
            executor="inline",
            storage=str(storage),
            cache=False,
            seed=seed,
        )
        names = [row["operator"] for row in run.individuals().to_pylist() if row["operator"] != "seed"]
        free = [name in FREE for name in names]
        early += free[:20]
        late += free[40:]
    return sum(early) / len(early), sum(late) / len(late)


@pytest.mark.parametrize("model", [Weak, Copying], ids=lambda model: model.__name__)
def test_edits_take_over_within_forty_births_where_replies_cannot_be_used(tmp_path: Path, model: type[Weak]) -> None:
    early, late = shares(tmp_path, model, 3)
    assert early < 0.7 < late


def test_edits_gain_ground_where_replies_are_useless(tmp_path: Path) -> None:
    # slower: that a child is worse shows only in noisy scores, for each operator by itself
    early, late = shares(tmp_path, Rambling, 4)
    assert late > 1.4 * early
