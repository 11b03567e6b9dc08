"""Racing policies that give every newborn its rows once: all of them, some, or a few first and the rest if earned.

Others are in `fitness.lazy`, `fitness.windows`, `fitness.halving` and `fitness.paired_test`. A policy goes with any
method; where a method names the rows of a birth itself (`Own`), as a bandit or a tournament does, that birth is not
raced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evo.model import Individual
from evo.rivals import Rivals, mean_on, untried
from fitness.racing_parts import at_least, nothing_more, rising, staged


@dataclass(frozen=True, slots=True)
class Full:
    """Every newborn is scored on every example, once."""

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,  # noqa: ARG002 - part of the protocol: nobody is compared here
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return the examples that were not tried yet, failed ones not again."""
        return untried(newborn, order)

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return ``dev``."""
        return dev


class Own(Full):
    """The default of methods that name the rows of each birth themselves; who comes without any is scored on all."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Every newborn is scored on the first ``n`` examples of the shared, stratified order."""

    n: int = 100

    def __post_init__(self) -> None:
        at_least("subset", "n", self.n, 1)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,  # noqa: ARG002 - part of the protocol: nobody is compared here
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return those of the first ``n`` examples that were not tried yet, failed ones not again."""
        return untried(newborn, order[: self.n])

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return the smaller of ``n`` and ``dev``."""
        return min(self.n, dev)


@dataclass(frozen=True, slots=True)
class Gate:
    """A few examples first; more, stage by stage, only for a newborn that is not behind the median rival so far.

    All are compared on the same rows. Without rivals, as for seed prompts, the gates are open. After the minibatch
    gate of reflective search (Agrawal et al. 2025), with the living as the bar instead of the parent.

    Args:
        stages: How many of the shared order's examples a newborn has been scored on at the end of each stage.
    """

    stages: tuple[int, ...] = (24, 100)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", rising("gate", "stages", self.stages, [24, 100]))

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...] | None:
        """Return what is left of the stage, or the next stage; None for a newborn that is behind."""
        passed, new = staged(newborn, order, self.stages)
        return None if new and passed and _is_behind(newborn, rivals.living, passed) else new

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return the smaller of the last stage and ``dev``."""
        return min(self.stages[-1], dev)


@dataclass(frozen=True, slots=True)
class ParentGate:
    """A minibatch first; more only for a newborn that is better on it than the parent it was made from.

    After GEPA (Agrawal et al., 2025). Its minibatch is of train rows and drawn anew for each pair; this one is drawn of
    dev rows the parent has a score on, so that the parent costs nothing, and what the newborn earns there counts. The
    parent is compared as it is known, even if it no longer lives. Nobody is held up without one: seed prompts,
    immigrants, children of parents without a score on dev rows.

    Args:
        minibatch: Rows of the comparison.
        n: How many of the shared order's rows a newborn is scored on that passes; None: all of them.
        ties: Whether as good as the parent is good enough.
    """

    minibatch: int = 3
    n: int | None = None
    ties: bool = False

    def __post_init__(self) -> None:
        at_least("parent-gate", "minibatch", self.minibatch, 1)
        if self.n is not None:
            at_least("parent-gate", "n", self.n, self.minibatch)

    def next(
        self, newborn: Individual, rivals: Rivals, order: Sequence[int], rng: np.random.Generator
    ) -> tuple[int, ...] | None:
        """Return the minibatch, then the other rows; None for a newborn that has not passed."""
        rows = order[: self.n]
        new = untried(newborn, rows)
        parent = _base(newborn, rivals.parents)
        if not new or parent is None:
            return new
        if len(new) == len(rows):
            scores = parent.evaluation.scores
            known = [row for row in rows if row in scores]
            drawn = rng.choice(len(known), size=min(self.minibatch, len(known)), replace=False)
            return tuple(known[place] for place in sorted(drawn.tolist())) or new
        return new if self._passes(newborn, parent, rows) else None

    def _passes(self, newborn: Individual, parent: Individual, rows: Sequence[int]) -> bool:
        mine, theirs = newborn.evaluation.scores, parent.evaluation.scores
        shared = [row for row in rows if row in mine and row in theirs]
        gain = math.fsum(mine[row] - theirs[row] for row in shared)
        return not shared or gain > 0 or (self.ties and gain == 0)

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return the smaller of ``n`` and ``dev``."""
        return dev if self.n is None else min(self.n, dev)


def _base(newborn: Individual, parents: Sequence[Individual]) -> Individual | None:
    """Return the parent in the role of base, or else the first; None where there is none."""
    bases = {number for number, role in newborn.parents if role == "base"}
    return next((one for one in parents if one.number in bases), parents[0] if parents else None)


def _is_behind(newborn: Individual, rivals: Sequence[Individual], numbers: Sequence[int]) -> bool:
    own = mean_on(newborn, numbers)
    bars = [mean for rival in rivals if rival.ok and (mean := mean_on(rival, numbers)) is not None]
    return own is not None and bool(bars) and own < float(np.median(bars))
