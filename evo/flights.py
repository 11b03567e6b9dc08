"""Calls under way and counts of those that have ended: what a `CallLedger` holds in memory."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace

from evo.budget import Usage
from evo.errors import Interrupted
from evo.model import Budget
from evo.receipts import Admission, Receipt
from evo.status import Traffic

SCORING = ("task", "judge")
"""Purposes of the calls that scoring a row takes: see `evo.ports.Task.calls`."""
LOST = "lost with its worker"
"""Error of a call whose worker is gone: whether it was sent and billed is not known, so it counts as sent."""


@dataclass(slots=True)
class Tally:
    """Counts for the display and for what is set aside."""

    sent: int = 0
    recalled: int = 0
    shared: int = 0
    failed: int = 0
    task_tokens: int = 0
    task_usd: float = 0.0
    task_calls: int = 0
    task_attempts: int = 0
    task_recalled: int = 0
    """Of the task calls, those that took no time: another run had the answer."""
    booked: dict[str, list[float]] = field(default_factory=dict)
    """By purpose: calls, prompt tokens, output tokens, US dollars."""

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """What was booked, by purpose."""
        found = sorted(self.booked.items())
        return tuple(Traffic(name, int(n), int(asked), int(said), usd) for name, (n, asked, said, usd) in found)

    def book(self, receipt: Receipt) -> None:
        """Count a call that was sent. Once a call: it must take next to nothing."""
        self.sent += receipt.attempts
        self.failed += bool(receipt.attempts) and receipt.completion is None
        so_far = self.booked.get(receipt.purpose)
        if so_far is None:
            so_far = self.booked[receipt.purpose] = [0, 0, 0, 0.0]
        so_far[0] += receipt.attempts
        if (answer := receipt.completion) is not None:
            so_far[1] += answer.prompt_tokens
            so_far[2] += answer.output_tokens
            so_far[3] += answer.cost_usd or 0.0

    def likely(self, calls: int) -> Usage:
        """Return what so many more task calls will take, by what such calls took so far."""
        seen = max(1, self.task_calls)
        calls = math.ceil(calls * max(1.0, self.task_attempts / seen))
        return Usage(calls, round(calls * self.task_tokens / seen), calls * self.task_usd / seen)


@dataclass(slots=True)
class Flight:
    """A call under way: what is reserved for its present attempt, and how many attempts failed before."""

    admission: Admission
    wanted: Usage
    landed: asyncio.Future[None]
    began_at: float = field(default_factory=time.time)
    failed: int = 0
    lost: Usage = field(default_factory=Usage)
    """What failed attempts took, settled already."""


def interrupted() -> Interrupted:
    """Return the error that ends a run on request."""
    return Interrupted("the run was asked to stop; resume it to go on")


def lost_with_its_worker(flight: Flight) -> Receipt:
    """Return the receipt of a call of which nothing will be heard any more."""
    asked, attempts = flight.admission, flight.failed + flight.wanted.calls
    return Receipt(
        asked.key, asked.model, asked.purpose, asked.individual, flight.began_at, None, LOST, attempts, transient=True
    )


def hedge_of(key: str) -> str:
    """Return the key of the lease of a call's second sending."""
    return f"{key}#2"


def charged(budget: Budget, billed: Usage | None, wanted: Usage) -> Usage:
    """Return what a failed attempt counts as: its bound where nobody knows and a cap could be passed unseen."""
    if billed is None:
        return wanted if budget.tokens is not None or budget.usd is not None else Usage(wanted.calls)
    return billed if billed.usd is not None or budget.usd is None else replace(billed, usd=wanted.usd)
