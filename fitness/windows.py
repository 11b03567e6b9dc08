"""Racing policies that score everyone on the same part of the shared order, and move that part on by generation.

The window is the same for newborns and for the living, who are topped up to it before the next birth is asked for: when
they are compared all have been scored on it. Its number is that of the generation being bred: one more than the latest
among those who live. While all who live are seed prompts and none has been bred from, it is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evo.model import Individual
from evo.ports import Evidence
from evo.rivals import Rivals, Tally, untried
from fitness.racing_parts import at_least


@dataclass(frozen=True, slots=True)
class Fresh:
    """A window of the rows that moves on with each generation; the living are scored on it too.

    Fresh rows keep luck on the first ones from being handed down, as in sampling of training cases for each generation
    (Gathercole and Ross 1994; Hernandez et al. 2019). Beyond the last row it goes on from the first. The living keep
    the scores of earlier windows, so that a method which compares means compares those of a newborn's window with means
    of more rows, that window among them.
    Rows: ``n`` a newborn, and ``n`` for each of the living in each generation.

    Args:
        n: Rows of the window.
    """

    n: int = 20

    def __post_init__(self) -> None:
        at_least("fresh", "n", self.n, 1)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return the rows of the window that were not tried yet."""
        return untried(newborn, self.window(_number(newborn, rivals.living), order))

    def more(
        self,
        living: Sequence[Individual],
        tally: Tally,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> Evidence | None:
        """Return the rows of the window that one of the living lacks, the oldest first."""
        return _topped_up(living, tally, self.window(_depth(living) + 1, order)) if tally.generation else None

    def size(self, dev: int) -> int:
        """Return the smaller of ``n`` and ``dev``."""
        return min(self.n, dev)

    def window(self, number: int, order: Sequence[int]) -> tuple[int, ...]:
        """Return the rows of a window, counted from 0."""
        rows = len(order)
        return tuple(order[(number * self.n + place) % rows] for place in range(min(self.n, rows)))


@dataclass(frozen=True, slots=True)
class Growing:
    """The first rows of the order, more of them with each generation; the living are scored on the new ones too.

    Progressive sampling (Provost, Jensen and Oates 1999) over generations: early on, when children differ much, few
    rows tell them apart; later differences are small. All are compared on the same rows.
    Rows: those of the generation for a newborn, and ``step`` for each of the living in each generation.

    Args:
        n: Rows of the first generation, the seed prompts'.
        step: Rows that each generation adds.
        most: Rows at which it stops; None: all of them.
    """

    n: int = 20
    step: int = 10
    most: int | None = None

    def __post_init__(self) -> None:
        at_least("growing", "n", self.n, 1)
        at_least("growing", "step", self.step, 0)
        if self.most is not None:
            at_least("growing", "most", self.most, self.n)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return the rows of the generation that were not tried yet."""
        return untried(newborn, self.window(_number(newborn, rivals.living), order))

    def more(
        self,
        living: Sequence[Individual],
        tally: Tally,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> Evidence | None:
        """Return the rows of the generation that one of the living lacks, the oldest first."""
        return _topped_up(living, tally, self.window(_depth(living) + 1, order)) if tally.generation else None

    def size(self, dev: int) -> int:
        """Return the smaller of ``n`` and ``dev``: what the first newborns take."""
        return min(self.n, dev)

    def window(self, number: int, order: Sequence[int]) -> tuple[int, ...]:
        """Return the rows of a generation, counted from 0."""
        return tuple(order[: self.n + self.step * number][: self.most])


def _depth(living: Sequence[Individual]) -> int:
    return max((one.generation for one in living), default=0)


def _number(newborn: Individual, living: Sequence[Individual]) -> int:
    depth = _depth(living)
    return depth + 1 if newborn.generation or depth else 0


def _topped_up(living: Sequence[Individual], tally: Tally, rows: Sequence[int]) -> Evidence | None:
    for one in sorted(living, key=lambda one: one.number):
        if one.ok and one.number not in tally.busy and (new := untried(one, rows)):
            return Evidence(one, new)
    return None
