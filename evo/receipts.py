"""A model call's way through the books: admitted before it is sent, settled after it, by a `Ledger`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from evo.budget import Usage
from evo.model import Completion

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast one model may be called by the whole run, as its settings say; see `evo.pacing`.

    Args:
        concurrency: Most calls under way.
        requests_per_minute: Most calls begun in a minute.
        tokens_per_minute: Most tokens used in a minute.
        patience_s: How long the run pauses for a model that does not answer any more.
        lease_s: After how long a call of which nothing was heard does not count as under way.
    """

    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    patience_s: float = 600.0
    lease_s: float = 600.0

    def lowest(self, other: Limits) -> Limits:
        """Return the lower of each limit, and the longer lease."""
        return Limits(
            _lower(self.concurrency, other.concurrency),
            _lower(self.requests_per_minute, other.requests_per_minute),
            _lower(self.tokens_per_minute, other.tokens_per_minute),
            patience_s=min(self.patience_s, other.patience_s),
            lease_s=max(self.lease_s, other.lease_s),
        )


def _lower(first: T | None, second: T | None) -> T | None:
    return min((one for one in (first, second) if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class Setback:
    """How an attempt failed that is to be repeated after ``wait_s``; see `LlmError`."""

    wait_s: float = 0.0
    error: str = ""
    busy: bool = False
    retry_after_s: float | None = None


NO_SETBACK = Setback()
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Admission:
    """A model call that wants to be made, with the most it can use, and what it is for: see `Receipt`."""

    key: str
    tokens: int
    usd: float | None
    model: str = ""
    purpose: str = ""
    individual: int | None = None
    limits: Limits = NO_LIMITS
    output_tokens: int = 0
    """How many of the tokens are the reply's; 0 where no text is wanted."""
    output_usd: float = 0.0
    """US dollars for one token of the reply; of no meaning where ``usd`` is None."""


CANCELLED = "cancelled"
"""Error of a call that was given up on its way: it says nothing of the model."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A model call that was made, or failed for good. ``attempts`` counts every time it was sent."""

    key: str
    model: str
    purpose: str
    individual: int | None
    started_at: float
    completion: Completion | None
    error: str = ""
    attempts: int = 1
    transient: bool = False
    """Whether it failed for a passing reason each of the times it may be sent."""
    busy: bool = False
    """Whether the provider was busy the last time."""
    billed: Usage | None = None
    """What the last attempt took where it failed; None where that is unknown."""


class Ledger(Protocol):
    """Where every model call is admitted before it is sent and settled after it; cache and budget at once."""

    async def admit(self, admission: Admission) -> Completion | None:
        """Return the known answer, or None: the call is reserved, send it and settle it.

        Waits while the same call is in flight elsewhere. Raises BudgetExhausted or Interrupted.
        """
        ...

    async def again(self, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK) -> bool:
        """Reserve one more attempt, after one that took ``billed`` (see `Receipt`). Raises as `admit`.

        Returns whether it is to see if a model that is down answers again, and so does not count as the call's own.
        """
        ...

    async def hedge(self, admission: Admission) -> bool:
        """Reserve a second attempt beside one under way, which counts as lost at its bound; False: there is no room."""
        ...

    async def settle(self, receipt: Receipt) -> None:
        """Record the call; when this returns the answer survives a killed process.

        It is recorded even if the caller is cancelled meanwhile: a reservation is given back, a paid answer kept.
        """
        ...
