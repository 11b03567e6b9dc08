"""How full a run's slots were, from the times at which its calls began and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Calls under way: whose they are, when they began and ended in seconds, and which of them score a row."""

    individual: npt.NDArray[np.int64]
    began: Times
    ended: Times
    scores: Flags


def occupancy(spans: Spans, slots: int, since: float, until: float) -> dict[str, Any]:
    """Return how many calls were under way, from the first to the last moment at which all slots were taken.

    Where there is no such moment it is the whole time from ``since`` to ``until``. The shares of time add up to 1.

    - waves: whether all slots were ever taken; seconds: the time looked at; mean_in_flight.
    - full: all slots taken.
    - scoring: fewer rows to score than slots.
    - operators: only operators' calls under way, which births wait for.
    - none: no call under way, while the engine breeds, tells and logs.
    """
    at, calls, scoring = _steps(spans)
    full = (calls >= slots) & (at >= since) & (at < until)
    waves = bool(full.any())
    if waves:
        last = int(np.flatnonzero(full)[-1])
        since, until = float(at[full.argmax()]), min(until, float(at[last + 1]))
    lasted = np.diff(np.clip(np.append(at, until), since, until))
    seconds = max(0.0, until - since)
    before = seconds - float(lasted.sum())  # ahead of the first call

    def share(when: Flags, more: float = 0.0) -> float:
        return (float(lasted[when].sum()) + more) / seconds if seconds else 0.0

    idle = (calls > 0) & (calls < slots)
    return {
        "slots": slots,
        "waves": waves,
        "seconds": seconds,
        "mean_in_flight": float((calls * lasted).sum()) / seconds if seconds else 0.0,
        "full": share(calls >= slots),
        "scoring": share(idle & (scoring > 0)),
        "operators": share(idle & (scoring == 0)),
        "none": share(calls == 0, before),
    }


def busiest(spans: Spans) -> int:
    """Return the most calls that were ever under way."""
    return int(_steps(spans)[1].max(initial=0))


def _steps(spans: Spans) -> tuple[Times, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the moments at which the number of calls changes, and from then on that number, and those that score."""
    at = np.concatenate([spans.ended, spans.began])
    order = np.argsort(at, kind="stable")  # of one moment first who ends: whoever begins takes that slot
    change = np.repeat([-1, 1], len(spans.began))[order]
    return at[order], np.cumsum(change), np.cumsum(change * np.tile(spans.scores, 2)[order])


def births(spans: Spans, asked: Mapping[int, float], told: Mapping[int, float]) -> dict[str, Any]:
    """Return how long births took from being asked for to being told of, and the share with calls of theirs under way.

    The rest they waited: for slots, for a model's pace, for others' equal calls, for the engine.
    """
    took = {number: told[number] - asked[number] for number in told if number in asked}
    calling, whose, until = 0.0, None, 0.0
    for place in np.lexsort((spans.began, spans.individual)):
        number = int(spans.individual[place])
        if number not in took:
            continue
        if number != whose:
            whose, until = number, asked[number]
        end = min(float(spans.ended[place]), told[number])
        calling += max(0.0, end - max(float(spans.began[place]), until))
        until = max(until, end)
    total = sum(took.values())
    return {
        "births": len(took),
        "mean_s": total / len(took) if took else None,
        "calling": calling / total if total else None,
    }


def percentiles(seconds: Sequence[float] | Times) -> dict[str, float | None]:
    """Return the median, and what one in ten and one in a hundred exceed; None of nothing."""
    shares = {"p50_s": 50, "p90_s": 90, "p99_s": 99}
    return {name: float(np.percentile(seconds, at)) if len(seconds) else None for name, at in shares.items()}
