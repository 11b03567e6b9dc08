"""Who breeds and who lives. Ties never depend on order of arrival: shorter prompt first, then older (`by_fitness`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from evo.model import Individual, by_fitness
from evo.rivals import mean_on
from operators.deap_selection import deap_roulette, deap_tournament, entrants

Shown = tuple[tuple[str, str], ...]
"""What a model sees of a prompt: individuals that differ by genes alone are one candidate."""


def roulette(individuals: Sequence[Individual], k: int, rng: np.random.Generator) -> tuple[Individual, ...]:
    """Return ``k`` draws with replacement, each with probability fitness / sum of fitness.

    No evidence (NaN) counts as 0; when nobody has more than 0 all are equally likely.
    """
    if not any(_chance(individual) for individual in individuals):
        return tuple(individuals[i] for i in rng.integers(0, len(individuals), size=k))
    field = sorted(individuals, key=by_fitness)
    drawn = deap_roulette(entrants(field, lambda individual: (_chance(individual),)), k, rng)
    last = [individual for individual in field if _chance(individual)][-1]
    return (*drawn, *(last,) * (k - len(drawn)))


def tournament(
    individuals: Sequence[Individual],
    size: int,
    rng: np.random.Generator,
    value: Callable[[Individual], float] | None = None,
) -> Individual:
    """Return the best of ``size`` individuals drawn with replacement (DEAP's tournament).

    ``value`` is what they are compared by, higher is better; None: `by_fitness`.
    """
    rank = _rank if value is None else lambda one: (value(one), *_rank(one))
    return deap_tournament(entrants(sorted(individuals, key=by_fitness), rank), size, rng)


def duel(individuals: Sequence[Individual], rng: np.random.Generator) -> Individual:
    """Return the better of two different individuals (EvoPrompt's tournament: drawn without replacement)."""
    places = rng.choice(len(individuals), size=min(2, len(individuals)), replace=False)
    return min((individuals[int(place)] for place in places), key=by_fitness)


def random_parents(pool: Sequence[Individual], rng: np.random.Generator) -> tuple[Individual, Individual]:
    """Return the individuals of two different places of ``pool``; a pool of one gives it twice."""
    if len(pool) == 1:
        return pool[0], pool[0]
    first, second = rng.choice(len(pool), size=2, replace=False)
    return pool[int(first)], pool[int(second)]


def best(individuals: Iterable[Individual], n: int | None) -> tuple[Individual, ...]:
    """Return the ``n`` fittest, best first, or all for None; of several that show a model the same only the fittest.

    Ties: see above. Individuals whose birth failed are left out. The result does not depend on the order of
    ``individuals``, nor on whether they come at once or are added to the result one by one.
    """
    chosen: dict[Shown, Individual] = {}
    for individual in sorted((i for i in individuals if i.ok), key=by_fitness):
        chosen.setdefault(individual.prompt.shown, individual)
    return tuple(chosen.values())[:n]


def ranked_on(individuals: Iterable[Individual], rows: Collection[int]) -> tuple[Individual, ...]:
    """Return individuals by their mean score on these dev rows, best first; those without any come last.

    Of several that show a model the same prompt only the first stays; ties go to the shorter prompt, then to the older
    individual.
    """

    def rank(individual: Individual) -> tuple[float, int, int]:
        mean = mean_on(individual, rows)
        return (1.0 if mean is None else -mean, individual.prompt.length, individual.number)

    chosen: dict[Shown, Individual] = {}
    for individual in sorted(individuals, key=rank):
        chosen.setdefault(individual.prompt.shown, individual)
    return tuple(chosen.values())


def _chance(individual: Individual) -> float:
    return 0.0 if math.isnan(individual.fitness) else individual.fitness


def _rank(individual: Individual) -> tuple[float, ...]:
    """Return the sort key of `by_fitness` turned round: higher is better."""
    return tuple(-part for part in by_fitness(individual))
