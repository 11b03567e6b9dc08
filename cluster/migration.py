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


class Market:
    """Where islands put up migrants and find those of their neighbours, each offer once."""

    def __init__(self) -> None:
        self._offers: dict[int, tuple[Individual, ...]] = {}
        self._taken: dict[tuple[int, int], tuple[Individual, ...]] = {}

    def trade(self, island: int, offer: Sequence[Individual], sources: Sequence[int]) -> Sequence[Individual]:
        """Put up an island's migrants, and return those its neighbours have put up since it last asked."""
        if offer:
            self._offers[island] = tuple(offer)
        taken: list[Individual] = []
        for source in sources:
            latest = self._offers.get(source, ())
            if latest and self._taken.get((island, source)) is not latest:
                self._taken[island, source] = latest
                taken += latest
        return taken
