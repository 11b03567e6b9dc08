"""A test that may be looked at after every row: is one prompt better than another, whenever one stops?

A bettor starts with 1 and bets before each row that the first prompt will score higher on it. If it is not better, the
wealth is a supermartingale, so it ever reaches ``1 / alpha`` with probability ``alpha`` at most, however often one
looks and whenever one stops (Ville 1939; betting: Waudby-Smith and Ramdas, JRSS B 2024). The rows must come in an
order drawn without looking at the scores, as a task's splits are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

STAKES = np.linspace(0.05, 0.95, 19)
"""Shares of the wealth that are bet; the wealth is the mean over them, so none has to be chosen."""


@dataclass(frozen=True, slots=True)
class EProcess:
    """Evidence against "not better": ``e_value`` now, and ``p_value``, which holds at any time of stopping."""

    e_value: float
    p_value: float
    n: int


def better(first: Mapping[int, float], second: Mapping[int, float], order: Iterable[int]) -> EProcess:
    """Return the evidence that ``first`` has the higher mean, over rows both have a score for, in ``order``.

    Scores lie in [0, 1].
    """
    shared = [number for number in order if number in first and number in second]
    return betting(first[number] - second[number] for number in shared)


def betting(differences: Iterable[float]) -> EProcess:
    """Return the evidence that the mean of these differences, each in [-1, 1], is above zero.

    Raises ValueError for a difference out of range.
    """
    values = np.fromiter(differences, np.float64)
    if np.any(np.abs(values) > 1):
        raise ValueError(f"expected differences in [-1, 1], got one of {values[np.abs(values) > 1][0]}; rescale scores")
    if not len(values):
        return EProcess(1.0, 1.0, 0)
    log_wealth = np.cumsum(np.log1p(STAKES[:, None] * values), axis=1)
    peak = log_wealth.max(axis=0)
    log_mean = peak + np.log(np.mean(np.exp(log_wealth - peak), axis=0))
    return EProcess(float(np.exp(min(log_mean[-1], 700))), float(np.exp(-max(0.0, log_mean.max()))), len(values))
