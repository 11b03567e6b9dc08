"""Data rows as operators show them to a model: worked examples, and what a prompt got wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evo.model import Example, Individual, Outcome

MAX_CHARS = 1000
"""Longest part of a row or an answer that is shown."""


def shown_input(example: Example) -> str:
    """Return a row's input as text: the one column, or a line ``name: value`` for each."""
    if len(example.inputs) == 1:
        return cut(*example.inputs.values())
    return "\n".join(f"{name}: {cut(value)}" for name, value in sorted(example.inputs.items()))


def cut(text: str) -> str:
    """Return ``text``, shortened in the middle when it is very long."""
    half = MAX_CHARS // 2
    return text if len(text) <= MAX_CHARS else f"{text[:half]} ... {text[-half:]}"


def drawn_rows(rows: Sequence[Example], count: int, rng: np.random.Generator) -> tuple[Example, ...]:
    """Return ``count`` different rows in random order; all of them where there are fewer."""
    places = rng.choice(len(rows), size=min(count, len(rows)), replace=False) if rows else ()
    return tuple(rows[int(place)] for place in places)


def mistakes(individual: Individual, rows: Sequence[Example]) -> tuple[tuple[Example, Outcome], ...]:
    """Return the rows an individual scored below 1 on, with its outcomes, dev and train rows alike, by number."""
    known = {row.number: row for row in rows}
    outcomes = sorted(outcomes_of(individual).items())
    wrong = [o for number, o in outcomes if o.score is not None and o.score < 1.0 and number in known]
    return tuple((known[o.example], o) for o in wrong)


def successes(individual: Individual, rows: Sequence[Example]) -> tuple[tuple[Example, Outcome], ...]:
    """Return the rows an individual scored 1 on, with its outcomes, dev and train rows alike, by number."""
    known = {row.number: row for row in rows}
    outcomes = sorted(outcomes_of(individual).items())
    return tuple((known[number], o) for number, o in outcomes if o.score == 1.0 and number in known)


def working_of(outcome: Outcome) -> str:
    """Return what the model wrote; where that was no more than its answer, the answer."""
    return cut(outcome.reply or outcome.answer)


def outcomes_of(individual: Individual) -> dict[int, Outcome]:
    """Return what an individual did on each row it has a score on, dev and train rows alike."""
    outcomes = (*individual.evaluation.outcomes, *individual.practice.outcomes)
    return {o.example: o for o in outcomes if o.score is not None}


def scores_of(individual: Individual) -> dict[int, float]:
    """Return an individual's score by row, dev and train rows alike."""
    return {**individual.evaluation.scores, **individual.practice.scores}
