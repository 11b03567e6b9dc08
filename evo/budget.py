"""One account for a run's model calls: reserve before dispatch, settle after, never past a cap."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from evo.model import Budget

KEPT_SHARE = 0.25
"""Most of any cap that is set aside for the final test."""
RACE_SHARE = 0.15
"""Most of any cap that is set aside for the final race; the value of a simulation of searches."""
KEPT_LEAST_S, KEPT_LEAST = 1.0, 0.1
"""Least of the seconds that is set aside for the final test: births under way end in it."""
BARREN = 1000
"""Births in a row without a model call after which a search is taken to repeat itself."""


@dataclass(frozen=True, slots=True)
class Usage:
    """An amount of model use. ``usd`` is None where a price is unknown."""

    calls: int = 0
    tokens: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Usage(self.calls + other.calls, self.tokens + other.tokens, usd)

    def __sub__(self, other: Usage) -> Usage:
        usd = None if self.usd is None or other.usd is None else self.usd - other.usd
        return Usage(self.calls - other.calls, self.tokens - other.tokens, usd)


def capped(wanted: Usage, budget: Budget, share: float) -> Usage:
    """Return as much of ``wanted`` as is no more than a share of each cap."""
    usd = wanted.usd
    return Usage(
        wanted.calls if budget.calls is None else min(wanted.calls, int(share * budget.calls)),
        wanted.tokens if budget.tokens is None else min(wanted.tokens, int(share * budget.tokens)),
        usd if budget.usd is None or usd is None else min(usd, share * budget.usd),
    )


def kept_seconds(cap: float, test_s: float, race_s: float) -> float:
    """Return the seconds set aside for the final test and race, by what they are likely to take, of a cap."""
    likely = max(test_s, KEPT_LEAST * cap, KEPT_LEAST_S)
    return min(likely, KEPT_SHARE * cap) + min(race_s, RACE_SHARE * cap)


class Account:
    """Spent, reserved and kept amounts against a budget.

    ``kept`` is set aside for the final race and test, and given back by setting it to nothing.
    """

    def __init__(self, budget: Budget, *, spent: Usage | None = None, elapsed_s: float = 0.0) -> None:
        self.budget = budget
        self.spent = spent or Usage()
        self.reserved = Usage()
        self.kept = Usage()
        self.kept_s = 0.0
        self._started = time.monotonic() - elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Seconds the run has taken, all its attempts together."""
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float | None:
        """Seconds until the search must end; None without a cap."""
        return None if self.budget.seconds is None else self.budget.seconds - self.kept_s - self.elapsed_s

    def refusal(self, wanted: Usage, *, waiting: bool = False) -> str:
        """Return the cap that ``wanted`` would pass, in words, or nothing if it fits.

        With ``waiting``, reserved calls are taken to cost nothing: what is refused even so will never fit.
        """
        held = (self.spent, self.kept, wanted) if waiting else (self.spent, self.kept, wanted, self.reserved)
        budget, left_s = self.budget, self.left_s
        if left_s is not None and left_s <= 0:
            return f"the {budget.seconds:g} seconds are over"
        if budget.calls is not None and sum([usage.calls for usage in held]) > budget.calls:
            return f"all {budget.calls} model calls are used or set aside for the final race and test"
        if budget.tokens is not None and sum([usage.tokens for usage in held]) > budget.tokens:
            return f"the next call could pass the cap of {budget.tokens} tokens"
        if budget.usd is None:
            return ""
        total_usd = sum(held, Usage()).usd
        if total_usd is None:
            return "a cap in USD cannot be kept: what calls so far cost is unknown"
        return f"the next call could pass the cap of {budget.usd:g} USD" if total_usd > budget.usd else ""

    def reserve(self, wanted: Usage) -> None:
        """Set an amount aside; call `refusal` first."""
        self.reserved += wanted

    def settle(self, wanted: Usage, used: Usage) -> None:
        """Turn a reservation into spending. An unknown price stays unknown only where no cap in USD is set."""
        self.reserved -= wanted
        self.spent += used if used.usd is not None or self.budget.usd is None else replace(used, usd=wanted.usd)
