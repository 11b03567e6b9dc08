"""Lazy racing: newborns are admitted on few rows, and rows are spent later on those whose rank matters.

A search is limited by how many children it tries; precision is needed only where it changes who is an elite. So a
newborn gets ``n0`` rows of the shared order, and may be dropped on the way there; a share of what newborns take is then
spent on the living, one block at a time, chosen by top-two Thompson sampling (Russo 2016): those who may be the best by
luck get more rows, and what luck there was goes. Of ours; its parts are known from best-arm identification.
Everyone is compared by the plain mean of the rows it has, of one shared order: to correct the mean for how hard the
rows were that only elites have seen made it worse in simulation, for elites are all those rows know. There more than
100 % for the living was worse too, and the early drop worth little with so few rows: it earns its place where ``n0`` is
40 or more.
Calls: ``n0`` a newborn, and for the living at most ``share`` times what newborns took.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evo.model import Individual, by_fitness
from evo.ports import Evidence
from evo.rivals import Rivals, Tally, paired, untried
from fitness.racing_parts import at_least, between

NORMAL = NormalDist()
NOISE_SD = 0.4
"""Standard deviation of one row's score that Thompson's draws take for granted: of a coin it is 0.5 at most."""
PRIOR_ROWS = 30
"""How many rows' worth what is known beforehand counts in these draws."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A newborn takes few rows; a share of the rows goes to the living whose rank matters (top-two Thompson).

    Seed prompts, and whoever else has no parents, are never dropped: a search needs founders.

    Args:
        n0: Rows of the shared order that admit a newborn.
        block: Rows at a time, for newborns and for the living.
        drop: A newborn is dropped before ``n0`` where its chance to be better than the worst of the living is below
            this, by the rows both have; 0 drops nobody.
        prior_sd: Standard deviation of the difference of two prompts, before any row: a normal prior around 0.
        share: Rows for the living, as a share of the rows that newborns took; 0 gives them none.
    """

    n0: int = 20
    block: int = 10
    drop: float = 0.2
    prior_sd: float = 0.06
    share: float = 0.5

    def __post_init__(self) -> None:
        at_least("lazy", "n0", self.n0, 1)
        at_least("lazy", "block", self.block, 1)
        between("lazy", "drop", self.drop, 0, 0.5)
        between("lazy", "prior_sd", self.prior_sd, 0.001, 1)
        between("lazy", "share", self.share, 0, 10)

    def next(
        self,
        newborn: Individual,
        rivals: Rivals,
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...] | None:
        """Return the next block on the way to ``n0`` rows; None for a newborn without much hope."""
        admission = order[: self.n0]
        new = untried(newborn, admission)
        begun = 0 < len(new) < len(admission)
        if begun and newborn.parents and self._is_hopeless(newborn, rivals.living):
            return None
        return new[: self.block]

    def more(
        self, living: Sequence[Individual], tally: Tally, order: Sequence[int], rng: np.random.Generator
    ) -> Evidence | None:
        """Return a block of rows for one of the living, as far as the share allows and some have rows left.

        Nobody is given rows while only one lives: there is no rank to settle.
        """
        left = self.share * tally.admitted - tally.added
        ranked = sorted((one for one in living if one.ok), key=lambda one: one.number)
        if left < 1 or len(ranked) < 2:
            return None
        able = [(one, rows) for one in ranked if one.number not in tally.busy and (rows := untried(one, order))]
        if not able:
            return None
        chosen, rows = able[_top_two([one for one, _ in able], rng)]
        block = rows[: self.block]
        return Evidence(chosen, block) if len(block) <= left else None

    def size(self, dev: int) -> int:
        """Return the smaller of ``n0`` and ``dev``; those who live long get more."""
        return min(self.n0, dev)

    def _is_hopeless(self, newborn: Individual, living: Sequence[Individual]) -> bool:
        worst = max((one for one in living if one.ok), key=by_fitness, default=None)
        return worst is not None and chance_above(paired(newborn, worst), self.prior_sd) < self.drop


def chance_above(differences: Sequence[float], prior_sd: float) -> float:
    """Return how likely the true mean difference is above 0, with a normal prior around 0; 0.5 for fewer than two.

    The variance is estimated with half a difference of 1 beside those seen, so that few rows that agree prove little.
    """
    n = len(differences)
    if n < 2:
        return 0.5
    mean = math.fsum(differences) / n
    squares = math.fsum((difference - mean) ** 2 for difference in differences)
    variance, prior = (squares + 0.5) / (n + 1) / n, prior_sd**2
    # the posterior mean over the posterior standard deviation
    return NORMAL.cdf(mean * prior / (prior + variance) / math.sqrt(prior * variance / (prior + variance)))


def _top_two(individuals: Sequence[Individual], rng: np.random.Generator) -> int:
    """Return the place of who is best in a draw of what each may be worth, or, every other time, of who is second."""
    counts = np.array([one.evaluation.count for one in individuals])
    spread = NOISE_SD / np.sqrt(counts + PRIOR_ROWS)
    drawn = np.array([one.fitness for one in individuals]) + spread * rng.standard_normal(len(individuals))
    ranking = np.argsort(-drawn, kind="stable")
    second = len(ranking) > 1 and rng.random() < 0.5
    return int(ranking[int(second)])
