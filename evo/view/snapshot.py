"""A run as it stood at one moment, also one that goes on: what all parts of a report are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evo.ancestry import NOBODY, Ancestry, Numbers, Places
from evo.lineage import Lineage, alive_in
from evo.model import OK
from evo.replay import individuals_now
from evo.settings import RunSettings
from evo.verdict import ENOUGH


@dataclass(frozen=True)
class Snapshot:
    """The births logged so far, by place: in the order of the log.

    ``births`` has a row for each place of ``ancestry``, with what is known by now. ``best`` is the winner, or the best
    so far; None when nothing has been scored.
    """

    folder: Path
    settings: RunSettings
    ancestry: Ancestry
    births: pa.Table
    best: int | None

    @classmethod
    def of(cls, folder: Path, settings: RunSettings, ancestry: Ancestry, best: int | None) -> Snapshot:
        """Return the snapshot; births that were logged after ``ancestry`` was made are left out."""
        births = individuals_now(folder)
        places = ancestry.places(births["id"].to_numpy())
        known = np.flatnonzero(places != NOBODY)
        return cls(folder, settings, ancestry, births.take(known[np.argsort(places[known])]), best)

    @property
    def numbers(self) -> Numbers:
        """The number of each individual."""
        return self.ancestry.numbers

    @property
    def islands(self) -> list[int]:
        """Islands on which anybody was born, rising."""
        return sorted(set(self.births["island"].to_pylist()))

    @cached_property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Who has a score and stayed in the race."""
        ok = np.array(self.births["status"].to_pylist()) == OK
        scored: npt.NDArray[np.bool_] = ok & ~np.isnan(self.fitness)
        return scored

    @cached_property
    def fitness(self) -> npt.NDArray[np.float64]:
        """Mean dev score, NaN for those who have none."""
        fitness: npt.NDArray[np.float64] = self.births["fitness"].to_numpy().astype(np.float64)
        return fitness

    @cached_property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """Who is ``ok`` with at least half of the most evidence: those among whom the winner is chosen."""
        scored = np.where(self.ok, self.births["n_scored"].to_numpy(), 0)
        ranked: npt.NDArray[np.bool_] = self.ok & (scored >= ENOUGH * scored.max(initial=0))
        return ranked

    @cached_property
    def by_rank(self) -> Places:
        """Places from the fittest to the least fit; those who did not stay in the race last, the oldest first."""
        fitness = np.where(self.ranked, self.fitness, np.where(self.ok, self.fitness - 2, -4.0))
        return np.argsort(-fitness, kind="stable").astype(np.int32)

    @cached_property
    def living(self) -> Places:
        """Who is alive, see `evo.lineage.alive_in`."""
        return alive_in(self.folder, self.ancestry)

    @cached_property
    def lineage(self) -> Lineage | None:
        """The lineage of the best; None when nothing has been scored."""
        return None if self.best is None else Lineage(self.folder, self.ancestry, self.best)

    @cached_property
    def line(self) -> list[int]:
        """Numbers on the best one's line of fittest parents, oldest first."""
        return self.lineage.line_numbers() if self.lineage else []
