"""What racing policies share: checks of arguments, stages of rows, and giving nothing more to the living."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from evo.errors import ConfigError
from evo.model import Individual
from evo.rivals import Tally, untried


def nothing_more(
    policy: object, living: Sequence[Individual], tally: Tally, order: Sequence[int], rng: np.random.Generator
) -> None:
    """Return None: the ``more`` of policies that give the living nothing beyond what they were admitted on."""
    del policy, living, tally, order, rng


def staged(newborn: Individual, order: Sequence[int], stages: Sequence[int]) -> tuple[Sequence[int], tuple[int, ...]]:
    """Return the rows of the last stage a newborn has passed, and those it lacks in the next; both may be empty."""
    passed: Sequence[int] = ()
    for stage in stages:
        if new := untried(newborn, order[:stage]):
            return passed, new
        passed = order[:stage]
    return passed, ()


def rising(policy: str, name: str, stages: Sequence[int], example: list[int]) -> None:
    """Raise ConfigError when numbers of rows do not grow from stage to stage."""
    if not stages or stages[0] < 1 or any(a >= b for a, b in pairwise(stages)):
        raise ConfigError(f"racing {policy}: expected {name} that grow, such as {example}, got {list(stages)}")


def at_least(policy: str, name: str, value: float, least: float) -> None:
    """Raise ConfigError when an argument is below ``least``."""
    if value < least:
        raise ConfigError(f"racing {policy}: expected {name} of at least {least}, got {value}; raise it")


def between(policy: str, name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError when an argument is not within [low, high]."""
    if not low <= value <= high:
        raise ConfigError(f"racing {policy}: expected {name} from {low} to {high}, got {value}; set it within")
