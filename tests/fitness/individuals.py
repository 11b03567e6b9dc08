"""Individuals by hand, for the tests of racing policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evo.model import Evaluation, Individual, Outcome, Prompt


def scored(number: int, scores: Mapping[int, float | None] | Sequence[float | None] = (), **more: Any) -> Individual:
    """Return an individual with these scores by row, or on the first rows; None: the call failed."""
    by_row = scores if isinstance(scores, Mapping) else dict(enumerate(scores))
    outcomes = [Outcome(row, score, error="" if score is not None else "busy") for row, score in by_row.items()]
    return replace(
        Individual(number, Prompt.of(f"prompt {number}"), "seed", evaluation=Evaluation.of(outcomes)), **more
    )


def child(number: int, scores: Mapping[int, float | None] | Sequence[float | None] = (), **more: Any) -> Individual:
    """Return one that has parents: racing may drop it."""
    return scored(number, scores, **{"parents": ((0, "base"),), "generation": 1, "operator": "vary", **more})
