"""Many islands on a screen: the fittest one by one, all others in one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from evo.status import IslandStatus

MOST = 16
"""Most rows for islands: a table on a small terminal is read without scrolling."""

Row = TypeVar("Row")


def apart(rows: Sequence[Row], best: Callable[[Row], float | None]) -> tuple[list[Row], list[Row]]:
    """Return the islands to show one by one, in their order, and all others: none where there are few."""
    if len(rows) <= MOST:
        return list(rows), []

    def rank(place: int) -> tuple[float, int]:
        score = best(rows[place])
        return (-1.0 if score is None else score, -place)

    chosen = set(sorted(range(len(rows)), key=rank, reverse=True)[: MOST - 1])
    parts: tuple[list[Row], list[Row]] = [], []
    for place, row in enumerate(rows):
        parts[place not in chosen].append(row)
    return parts


def others(statuses: Sequence[IslandStatus]) -> tuple[str, str, int, float | None, float | None]:
    """Return name, births, failures, best and median of islands in one row."""
    return (
        f"{len(statuses)} more",
        _each([status.births for status in statuses]),
        sum(status.failed for status in statuses),
        max((status.best for status in statuses if status.best is not None), default=None),
        _median([status.median for status in statuses]),
    )


def folded(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the summaries of a run's islands as `evo show` prints them, the less fit ones as one."""
    single, rest = apart(rows, lambda row: row["best"])
    if not rest:
        return single
    kept: dict[str, Any] = {"island": f"{len(rest)} more", "born": _each([row["born"] for row in rest])}
    kept |= {"best": max((row["best"] for row in rest if row["best"] is not None), default=None)}
    kept |= {"median": _median([row["median"] for row in rest])}
    return [*single, {name: kept[name] if name in kept else sum(row[name] for row in rest) for name in rest[0]}]


def _each(births: Sequence[int]) -> str:
    low, high = min(births), max(births)
    return f"{low} each" if low == high else f"{low} to {high} each"


def _median(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
