"""DEAP's selectors on a seeded state: they draw from Python's global ``random``, which is lent to them and restored.

The only module of the house that touches ``random``. A lock keeps two selections of one process apart; code of others
that draws from the global ``random`` in another thread at that very moment is not kept out.
"""

from __future__ import annotations

import random  # noqa: TID251 - DEAP draws from the global state; it is seeded by argument here and put back
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from deap import tools

from evo.model import Individual

_LENDING = threading.Lock()


@dataclass(frozen=True, slots=True, order=True)
class Fitness:
    """Compares by ``values``, higher is better: the part of DEAP's fitness that its selectors read."""

    values: tuple[float, ...]


@dataclass(slots=True, unsafe_hash=True)
class Goals:
    """Several objectives, each the higher the better: the part of DEAP's fitness that NSGA-II reads and writes."""

    values: tuple[float, ...]
    crowding_dist: float = field(default=0.0, compare=False)

    def dominates(self, other: Goals) -> bool:
        """Whether this is nowhere worse, and somewhere better."""
        return self.values != other.values and all(a >= b for a, b in zip(self.values, other.values, strict=True))


@dataclass(frozen=True, slots=True)
class Entrant:
    """An individual as DEAP sees it."""

    individual: Individual
    fitness: Fitness | Goals


def entrants(individuals: Sequence[Individual], values: Callable[[Individual], tuple[float, ...]]) -> list[Entrant]:
    """Return individuals with the fitness ``values`` gives them, in their order."""
    return [Entrant(individual, Fitness(values(individual))) for individual in individuals]


def deap_roulette(field: list[Entrant], k: int, rng: np.random.Generator) -> list[Individual]:
    """Return draws with replacement in proportion to ``values[0]``, which must not be negative nor all zero.

    Sums are rounded, so that DEAP may once in a very long time return fewer than ``k``.
    """
    with _lent(rng):
        return [entrant.individual for entrant in tools.selRoulette(field, k)]


def deap_tournament(field: list[Entrant], size: int, rng: np.random.Generator) -> Individual:
    """Return the best of ``size`` entrants drawn with replacement."""
    with _lent(rng):
        (winner,) = tools.selTournament(field, 1, tournsize=size)
    chosen: Entrant = winner
    return chosen.individual


def fronts(
    individuals: Sequence[Individual], values: Sequence[tuple[float, ...]]
) -> list[list[tuple[Individual, float]]]:
    """Return individuals by front, the nondominated first, each with its crowding distance there: the room around it.

    ``values`` are the objectives of each. Draws no random number.
    """
    entered = [Entrant(individual, Goals(row)) for individual, row in zip(individuals, values, strict=True)]
    found: list[list[tuple[Individual, float]]] = []
    for front in tools.sortNondominated(entered, len(entered)):
        tools.emo.assignCrowdingDist(front)
        found.append([(entrant.individual, entrant.fitness.crowding_dist) for entrant in front])
    return found


@contextmanager
def _lent(rng: np.random.Generator) -> Iterator[None]:
    seed = int(rng.integers(0, 2**63))
    with _LENDING:
        kept = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(kept)
