"""Who leaves an island: pure functions. What an island does with who arrives is its method's `tell`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evo.model import Evaluation, Individual, by_fitness


def emigrants(population: Sequence[Individual], count: int, rng: np.random.Generator) -> tuple[Individual, ...]:
    """Return ``count`` distinct members, each the better of two drawn at random; fewer when there are fewer."""
    living = sorted((i for i in population if i.ok), key=lambda i: i.number)
    chosen: list[Individual] = []
    while living and len(chosen) < count:
        pair = rng.choice(len(living), size=min(2, len(living)), replace=False)
        winner = min((living[int(k)] for k in pair), key=by_fitness)
        living.remove(winner)
        chosen.append(winner)
    return tuple(chosen)


def is_time(told: int, every: int) -> bool:
    """Whether an island that has been told of ``told`` births looks for migrants now."""
    return told > 0 and told % every == 0


def unscored(migrant: Individual) -> Individual:
    """Return a migrant without its evidence: what one task model scored says nothing of another."""
    return replace(migrant, evaluation=Evaluation(), practice=Evaluation())
