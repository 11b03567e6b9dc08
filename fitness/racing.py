"""Racing policies without statistics: all examples, a fixed number of them, or a few first and the rest if earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evo.errors import ConfigError
from evo.model import Individual


@dataclass(frozen=True, slots=True)
class Full:
    """Every newborn is scored on every example, once."""

    def next(
        self,
        newborn: Individual,
        rivals: Sequence[Individual],  # noqa: ARG002 - part of the protocol: nobody is compared here
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return the examples that were not tried yet, failed ones not again."""
        return _untried(newborn, order)

    def size(self, dev: int) -> int:
        """Return ``dev``."""
        return dev


@dataclass(frozen=True, slots=True)
class Subset:
    """Every newborn is scored on the first ``n`` examples of the shared, stratified order."""

    n: int = 100

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"racing subset: expected n of at least 1, got {self.n}; 100 is a fair start")

    def next(
        self,
        newborn: Individual,
        rivals: Sequence[Individual],  # noqa: ARG002 - part of the protocol: nobody is compared here
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...]:
        """Return those of the first ``n`` examples that were not tried yet, failed ones not again."""
        return _untried(newborn, order[: self.n])

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
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages or self.stages[0] < 1 or any(a >= b for a, b in pairwise(self.stages)):
            raise ConfigError(f"racing gate: expected stages that grow, such as [24, 100], got {list(self.stages)}")

    def next(
        self,
        newborn: Individual,
        rivals: Sequence[Individual],
        order: Sequence[int],
        rng: np.random.Generator,  # noqa: ARG002 - part of the protocol: nothing is drawn here
    ) -> tuple[int, ...] | None:
        """Return what is left of the stage, or the next stage; None for a newborn that is behind."""
        passed: Sequence[int] = ()
        for stage in self.stages:
            untried = _untried(newborn, order[:stage])
            if untried:
                return None if passed and _is_behind(newborn, rivals, passed) else untried
            passed = order[:stage]
        return ()

    def size(self, dev: int) -> int:
        """Return the smaller of the last stage and ``dev``."""
        return min(self.stages[-1], dev)


def _is_behind(newborn: Individual, rivals: Sequence[Individual], numbers: Sequence[int]) -> bool:
    own = _mean_on(newborn, numbers)
    bars = [mean for rival in rivals if rival.ok and (mean := _mean_on(rival, numbers)) is not None]
    return own is not None and bool(bars) and own < float(np.median(bars))


def _mean_on(individual: Individual, numbers: Sequence[int]) -> float | None:
    scores = individual.evaluation.scores
    shared = [scores[number] for number in numbers if number in scores]
    return sum(shared) / len(shared) if shared else None


def _untried(newborn: Individual, order: Sequence[int]) -> tuple[int, ...]:
    tried = {outcome.example for outcome in newborn.evaluation.outcomes}
    return tuple(number for number in order if number not in tried)
