"""Evidence that stays valid however often one looks: an e-value and a confidence sequence of paired differences.

Betting after Waudby-Smith and Ramdas (2024). A gambler who stakes a fixed share of all money on every next difference
being above ``m`` cannot be expected to gain where the mean is ``m`` or less, so to hold 20 times the money one began
with has a chance of at most 1 in 20, at whatever row one stops (Ville 1939). Where they let each stake follow from the
rows before it, here the money is split over fixed shares: the order of the rows is then no matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHARES = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8])
"""Shares of the money that are staked; each begins with as much. Small ones find small gains on many rows."""
STEPS = 40
"""Halvings of an end of the confidence sequence: 1e-12 of it is left open."""
MOST = 1e300
"""The largest e-value: JSON has no infinity."""


@dataclass(frozen=True, slots=True)
class AnytimeDifference:
    """What ``n`` paired differences say at whatever row one stops.

    ``e_value`` is the evidence for "better on average", 1 being none; 20 and more refuse "no better" at 5 %. ``low``
    and ``high`` hold the mean of the differences with the given confidence, now and at all earlier looks.
    """

    e_value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95


def anytime_difference(
    a: Mapping[int, float], b: Mapping[int, float], confidence: float = 0.95, claim: int = 1
) -> AnytimeDifference:
    """Return how surely ``a`` is better than ``b`` by the examples both have a score in [0, 1] for, at any look.

    The ``claim``-th pair that is compared on the same examples has half the e-value of the one before, and the interval
    of half its error: however many follow, that any is wrong has a chance of at most ``2 (1 - confidence)``. Without a
    shared example nothing is known: e-value 1 or less, interval [-1, 1].
    """
    differences = [a[number] - b[number] for number in sorted(a.keys() & b.keys())]
    share = 0.5 ** (claim - 1)
    low, high = confidence_sequence(differences, 1 - (1 - confidence) * share)
    return AnytimeDifference(share * e_value(differences), low, high, len(differences), confidence)


def e_value(differences: Iterable[float], above: float = 0.0) -> float:
    """Return the money of a gambler who began with 1 and bets that differences in [-1, 1] are above ``above`` > -1.

    Raises ValueError for differences out of range: bets on those could lose more than there is.
    """
    return min(MOST, math.exp(min(700.0, _log_money(_checked(differences), above))))


def confidence_sequence(differences: Iterable[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the ends of an interval that holds the mean of differences in [-1, 1] at all times at once.

    It is what neither of two gamblers, for above and for below, has grown rich against; wider than an interval for one
    look. Raises ValueError for differences or a confidence out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}; 0.95 is usual")
    values = _checked(differences)
    rich = math.log(2 / (1 - confidence))
    return _lower_end(values, rich), -_lower_end(-values, rich)


def _checked(differences: Iterable[float]) -> Floats:
    values = np.fromiter(differences, dtype=np.float64)
    if not np.all(np.abs(values) <= 1):
        raise ValueError("expected differences in [-1, 1], got others; pass differences of scores in [0, 1]")
    return values


def _log_money(values: Floats, above: float) -> float:
    """Return the logarithm of the mean money over all shares; it falls as ``above`` rises."""
    stakes = SHARES / (1 + above)
    logs = np.log1p(np.outer(stakes, values - above)).sum(axis=1)
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def _lower_end(values: Floats, rich: float) -> float:
    """Return the largest mean that the gambler for "above" has grown rich against; -1 where there is none."""
    low, high = -1.0, float(values.mean()) if len(values) else -1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle <= -1 or _log_money(values, middle) < rich:
            high = middle
        else:
            low = middle
    return low
