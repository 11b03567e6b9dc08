"""Asynchronous successive halving, after ASHA (Li et al., MLSys 2020): rungs of rows, and a bar at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evo.model import Individual
from evo.rivals import Rivals, mean_on, untried
from fitness.racing_parts import at_least, nothing_more, rising, staged


@dataclass(frozen=True, slots=True)
class Halving:
    """Rungs of rows: at each only a newborn in the top 1/eta of all who were there goes on, the others are dropped.

    It is compared with the living and with the latest newborns that were raced (`evo.rivals.RACED`), by the mean on the
    rung's rows; of equals both go on. With fewer than ``eta`` to compare it goes on. Seed prompts, and whoever else has
    no parents, take all rungs.
    What differs from the paper: who has not gone on is not taken up again when others do worse later. It is dropped
    rather than kept with few rows, so that all who live were scored on the same rows: about 1 in eta^(rungs - 1) of
    the newborns, which is hard on a method that needs many to live.

    Args:
        rungs: Rows of the shared order at the end of each rung.
        eta: Of so many one goes on.
    """

    rungs: tuple[int, ...] = (10, 30, 90, 270)
    eta: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "rungs", rising("halving", "rungs", self.rungs, [10, 30, 90]))
        at_least("halving", "eta", self.eta, 2)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...] | None:
        """Return what is left of the rung, or the next rung; None for a newborn that does not go on."""
        passed, new = staged(newborn, order, self.rungs)
        judged = new and passed and newborn.parents
        return None if judged and not self._goes_on(newborn, rivals, passed) else new

    more = nothing_more

    def size(self, dev: int) -> int:
        """Return the smaller of the last rung and ``dev``."""
        return min(self.rungs[-1], dev)

    def _goes_on(self, newborn: Individual, rivals: Rivals, rows: Sequence[int]) -> bool:
        own = mean_on(newborn, rows)
        known = {one.number: one for one in (*rivals.raced, *rivals.living) if one.number != newborn.number}
        there = [one for one in known.values() if not untried(one, rows)]
        bars = [mean for one in there if (mean := mean_on(one, rows)) is not None]
        if own is None or len(bars) + 1 < self.eta:
            return True
        return sum(bar > own for bar in bars) < (len(bars) + 1) // self.eta
