"""Racing policies that need no statistics: all examples, or a fixed share of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def _untried(newborn: Individual, order: Sequence[int]) -> tuple[int, ...]:
    tried = {outcome.example for outcome in newborn.evaluation.outcomes}
    return tuple(number for number in order if number not in tried)
