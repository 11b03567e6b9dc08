"""Minibatches of rows: all rows shuffled once an epoch and taken in turn, as GEPA's sampler does (Agrawal et al. 2025).

Where the rows do not come out even, the last minibatch is filled up with rows of the same epoch's first; the paper's
code fills it with those drawn least often so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Minibatches:
    """Rows in minibatches of ``size``; of all rows where there are fewer."""

    rows: tuple[int, ...]
    size: int
    queue: tuple[int, ...] = ()
    """What is left of the epoch."""

    @property
    def count(self) -> int:
        """Minibatches in an epoch."""
        return -(-len(self.rows) // self.size)

    def take(self, rng: np.random.Generator) -> tuple[tuple[int, ...], Minibatches]:
        """Return the next minibatch, of different rows, and what follows it."""
        queue = self.queue or self._epoch(rng)
        return queue[: self.size], replace(self, queue=queue[self.size :])

    def _epoch(self, rng: np.random.Generator) -> tuple[int, ...]:
        shuffled = tuple(self.rows[int(place)] for place in rng.permutation(len(self.rows)))
        lacking = -len(shuffled) % self.size if len(shuffled) > self.size else 0
        return (*shuffled, *shuffled[:lacking])
