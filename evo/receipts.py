"""A model call's way through the books: admitted before it is sent, settled after it, by a `Ledger`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evo.budget import Usage
from evo.model import Completion


@dataclass(frozen=True, slots=True)
class Admission:
    """A model call that wants to be made, with the most it can use, and what it is for: see `Receipt`."""

    key: str
    tokens: int
    usd: float | None
    model: str = ""
    purpose: str = ""
    individual: int | None = None


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
    billed: Usage | None = None
    """What the last attempt took where it failed; None where that is unknown."""


class Ledger(Protocol):
    """Where every model call is admitted before it is sent and settled after it; cache and budget at once."""

    async def admit(self, admission: Admission) -> Completion | None:
        """Return the known answer, or None: the call is reserved, send it and settle it.

        Waits while the same call is in flight elsewhere. Raises BudgetExhausted or Interrupted.
        """
        ...

    async def again(self, admission: Admission, billed: Usage | None) -> None:
        """Reserve one more attempt, after one that took ``billed`` (see `Receipt`). Raises as `admit`."""
        ...

    async def settle(self, receipt: Receipt) -> None:
        """Record the call; when this returns the answer survives a killed process.

        It is recorded even if the caller is cancelled meanwhile: a reservation is given back, a paid answer kept.
        """
        ...
