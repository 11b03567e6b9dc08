"""What racing policies decide by: whom a newborn is compared with, and what an island has spent on evidence so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from evo.model import Evaluation, Individual, Outcome

RACED = 150
"""How many newborns are remembered after their race, the latest."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Whom a newborn is compared with, as far as is known when racing is asked."""

    living: tuple[Individual, ...] = ()
    """In no particular order."""
    parents: tuple[Individual, ...] = ()
    """The newborn's, in its own order, whether they still live or not; none of a seed prompt or an immigrant."""
    raced: tuple[Individual, ...] = ()
    """The latest newborns whose race is over, oldest first, whether they live, died or were dropped; scores alone."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What an island has spent on evidence so far. Rows are dev rows, those without a score among them."""

    admitted: int = 0
    """Rows that newborns were scored on, of births that were told."""
    added: int = 0
    """Rows that racing has asked for on those who live, told or under way."""
    generation: int = 0
    """The highest of any birth that was asked for."""
    busy: frozenset[int] = frozenset()
    """Those for whom evidence is under way, whoever has asked for it."""


def with_raced(raced: tuple[Individual, ...], newborn: Individual) -> tuple[Individual, ...]:
    """Return those remembered with one more: without replies, which would take memory and compare nothing."""
    if not newborn.evaluation.outcomes:
        return raced
    scores = Evaluation(tuple(Outcome(o.example, o.score) for o in newborn.evaluation.outcomes))
    return (*raced, replace(newborn, evaluation=scores, practice=Evaluation()))[-RACED:]


def untried(individual: Individual, rows: Iterable[int]) -> tuple[int, ...]:
    """Return the dev rows an individual was never tried on, in their order; a call that failed counts as tried."""
    tried = {outcome.example for outcome in individual.evaluation.outcomes}
    return tuple(row for row in rows if row not in tried)


def mean_on(individual: Individual, rows: Iterable[int]) -> float | None:
    """Return an individual's mean score on these dev rows, those without a score left out; None without any."""
    scores = individual.evaluation.scores
    found = [scores[row] for row in rows if row in scores]
    return math.fsum(found) / len(found) if found else None


def paired(one: Individual, other: Individual) -> list[float]:
    """Return by how much ``one`` scores higher than ``other`` on each dev row that both have a score on."""
    first, second = one.evaluation.scores, other.evaluation.scores
    return [first[row] - second[row] for row in sorted(first.keys() & second.keys())]
