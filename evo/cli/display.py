"""What one watches while a run goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from evo.cli.many import apart, others
from evo.cli.text import duration, money, one_line, percent, safe, say
from evo.settings import RunSettings
from evo.status import Snapshot

PAUSE_CHARS = 600
"""Longest words on a pause."""
LINE_S = 10.0
"""Seconds between plain lines."""
PACE_S = 10.0
"""Over how long calls per second are averaged."""


class Display(Protocol):
    """Shows snapshots."""

    def __enter__(self) -> Display: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Take in the latest snapshot."""
        ...


def display(console: Console, settings: RunSettings, *, plain: bool) -> Display:
    """Return the display that fits the console."""
    return PlainLines(console, settings) if plain or not console.is_terminal else LiveTable(console, settings)


class _Pace:
    """Calls per second of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, calls: int) -> float:
        now = time.monotonic()
        self._seen.append((now, calls))
        while now - self._seen[0][0] > PACE_S:
            self._seen.popleft()
        seconds = now - self._seen[0][0]
        return (calls - self._seen[0][1]) / seconds if seconds > 0 else 0.0


def headline(snapshot: Snapshot, settings: RunSettings, pace: float) -> str:
    """Return one line: phase, calls, speed, cost, time."""
    cap = settings.budget.calls
    calls = f"{snapshot.spent.calls:,}" + (f" of {cap:,}" if cap else "") + " calls"
    parts = [snapshot.phase, calls, f"{snapshot.in_flight} in flight", f"{pace:.1f}/s", money(snapshot.spent.usd)]
    if snapshot.recalled:
        parts.append(f"{snapshot.recalled:,} recalled")
    if snapshot.failed:
        parts.append(f"{snapshot.failed:,} failed")
    parts.append(duration(snapshot.elapsed_s))
    left = snapshot.left_s
    if left is None and cap and pace > 0:
        left = max(0, cap - snapshot.spent.calls) / pace
    return ", ".join([*parts, f"about {duration(max(0.0, left))} left"] if left is not None else parts)


class LiveTable:
    """A table of islands, redrawn in place."""

    def __init__(self, console: Console, settings: RunSettings) -> None:
        self._settings, self._pace = settings, _Pace()
        self._live = Live(Text("starting ..."), console=console, refresh_per_second=4)

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """See `Display`."""
        table = Table(box=None, pad_edge=False)
        for column in ("island", "method", "births", "failed", "best dev", "median", "best made by"):
            table.add_column(column, justify="left" if column in ("method", "best made by") else "right")
        single, rest = apart(snapshot.islands, lambda status: status.best)
        for status in single:
            method = self._settings.island(status.island).method
            table.add_row(
                str(status.island),
                Text(one_line(method.name if method else "", 20)),
                str(status.births),
                str(status.failed),
                percent(status.best),
                percent(status.median),
                Text(one_line(status.improved_by, 24)),
            )
        if rest:
            name, births, failed, best, median = others(rest)
            table.add_row(name, "", births, str(failed), percent(best), percent(median), "")
        pace = self._pace.update(snapshot.spent.calls)
        pauses = [Text(one_line(words, PAUSE_CHARS), style="bold") for words in snapshot.pauses]
        self._live.update(Group(Text(safe(headline(snapshot, self._settings, pace))), *pauses, table))


class PlainLines:
    """A line every few seconds, and one for every new best."""

    def __init__(self, console: Console, settings: RunSettings) -> None:
        self._console, self._settings, self._pace = console, settings, _Pace()
        self._last = 0.0
        self._best: float | None = None
        self._phase = ""
        self._paused = False

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to take down."""

    def show(self, snapshot: Snapshot) -> None:
        """See `Display`."""
        pace = self._pace.update(snapshot.spent.calls)
        leader = max((s for s in snapshot.islands if s.best is not None), key=lambda s: s.best or 0.0, default=None)
        better = leader is not None and (self._best is None or (leader.best or 0.0) > self._best)
        starts, self._paused = bool(snapshot.pauses) and not self._paused, bool(snapshot.pauses)
        if better or starts or snapshot.phase != self._phase or time.monotonic() - self._last >= LINE_S:
            self._last, self._phase = time.monotonic(), snapshot.phase
            line = headline(snapshot, self._settings, pace)
            if leader is not None:
                self._best = leader.best
                births = sum(status.births for status in snapshot.islands)
                line += f"; {births} births, best dev {percent(leader.best)} by {one_line(leader.improved_by, 24)}"
                line += f" on island {leader.island}"
            say(self._console, line, *(one_line(words, PAUSE_CHARS) for words in snapshot.pauses))
