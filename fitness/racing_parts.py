"""What racing policies share: checks of arguments, stages of rows, and giving nothing more to the living."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

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


def rising(policy: str, name: str, stages: Any, example: list[int]) -> tuple[int, ...]:
    """Return numbers of rows as a tuple. Raises ConfigError where they are none, or do not grow from stage to stage."""
    found = tuple(stages) if isinstance(stages, Sequence) and not isinstance(stages, str) else ()
    if not found or not all(map(_whole, found)) or found[0] < 1 or any(a >= b for a, b in pairwise(found)):
        raise ConfigError(f"racing {policy}: expected {name} that grow, such as {example}, got {stages!r}")
    return found


def at_least(policy: str, name: str, value: Any, least: int) -> None:
    """Raise ConfigError when an argument is no whole number, or below ``least``."""
    if not _whole(value):
        raise ConfigError(f"racing {policy}: expected {name} as a whole number, got {value!r}; give one")
    if value < least:
        raise ConfigError(f"racing {policy}: expected {name} of at least {least}, got {value}; raise it")


def between(policy: str, name: str, value: Any, low: float, high: float) -> None:
    """Raise ConfigError when an argument is no number within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"racing {policy}: expected {name} from {low} to {high}, got {value!r}; set it within")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
