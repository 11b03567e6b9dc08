"""The race of CAPO (Zehle et al., AutoML 2025) as a policy: blocks of rows, and a paired t-test after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evo.model import Individual
from evo.rivals import Rivals, paired, untried
from evo.t_test import p_above
from fitness.racing_parts import at_least, between, nothing_more


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Blocks of rows; a newborn is dropped once enough of the living are significantly better (one-sided t-test).

    Each test is on the rows both have a score on; ``alpha`` sets how hard the race is and is no error rate, as it is
    looked at after every block. In CAPO's own method all candidates race together; here newborns race against the
    living, and there is no penalty for length. Seed prompts, and whoever else has no parents, are not dropped.

    Args:
        block: Rows of a block.
        most: Rows after which the race is over; None: all of them.
        alpha: Of each test.
        keep: How many of the living must be better; None: all, as many as a full population keeps.
    """

    block: int = 30
    most: int | None = None
    alpha: float = 0.2
    keep: int | None = None

    def __post_init__(self) -> None:
        at_least("paired-test", "block", self.block, 2)
        if self.most is not None:
            at_least("paired-test", "most", self.most, self.block)
        between("paired-test", "alpha", self.alpha, 0, 0.5)
        if self.keep is not None:
            at_least("paired-test", "keep", self.keep, 1)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...] | None:
        """Return the next block; None for a newborn that is beaten."""
        if newborn.parents and self._is_beaten(newborn, [one for one in rivals.living if one.ok]):
            return None
        return untried(newborn, order[: self.most])[: self.block]

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return the smaller of ``most`` and ``dev``."""
        return dev if self.most is None else min(self.most, dev)

    def _is_beaten(self, newborn: Individual, living: Sequence[Individual]) -> bool:
        needed = len(living) if self.keep is None else self.keep
        better = sum(any(gains := paired(one, newborn)) and p_above(gains) < self.alpha for one in living)
        return 0 < needed <= better
