"""How fast a run may call its models: limits, fewer calls where a provider is busy, a pause where it is down.

One place holds the leases of the whole run. A lease is one call on its way; it ends with the call, or by itself when
whoever had it is never heard of again. How many leases there may be falls when a provider says that it is busy and
rises slowly while it does not (additive increase, multiplicative decrease; Chiu and Jain 1989). When a model that has
answered fails again and again its circuit opens: nothing goes out but a call from time to time, until one is answered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from evo.errors import LlmError
from evo.receipts import Limits, Setback

BACK_OFF, RISE = 0.7, 0.25
"""What is left of a limit when a provider is busy; what it gains while as many calls as it allows are answered."""
FAILURES, QUIET_S = 4, 2.0
"""Attempts in a row that fail, and seconds without an answer, before a circuit opens: fewer than a call may take."""
MANY = 25
"""Attempts in a row that fail after which a circuit opens at once: a port that refuses takes no time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
"""Between the calls that try whether a model answers again; each pause is twice the last."""


@dataclass(slots=True)
class _Bucket:
    """An amount a minute, a second's worth at once; a debt is waited for."""

    a_minute: float
    held: float
    filled_at: float

    @classmethod
    def full(cls, a_minute: float, now: float) -> _Bucket:
        return cls(a_minute, max(1.0, a_minute / 60), now)

    def fill(self, now: float) -> float:
        """Return what is there now."""
        most = max(1.0, self.a_minute / 60)
        # In no minute more than a minute's worth, with what may go at once.
        rate = (self.a_minute - most + 1) / 60 if most > 1 else self.a_minute / 60
        self.held = min(most, self.held + rate * max(0.0, now - self.filled_at))
        self.filled_at = now
        return self.held


@dataclass(slots=True)
class _Lease:
    granted_at: float
    ends_at: float
    tokens: float
    bound: int


@dataclass(slots=True)
class _Circuit:
    """A model that has answered and does not any more."""

    opened_at: float
    error: str
    pause_s: float
    probe: str | None = None


@dataclass(slots=True)
class _Lane:
    limits: Limits
    leases: dict[str, _Lease] = field(default_factory=dict)
    allowed: float = math.inf
    """How many leases the provider seems to bear."""
    backed_off_at: float = -math.inf
    closed_until: float = -math.inf
    requests: _Bucket | None = None
    tokens: _Bucket | None = None
    share: float = 1.0
    """Of the bound on a call's tokens, what calls really take."""
    answered_at: float | None = None
    failures: int = 0
    circuit: _Circuit | None = None


class Pacing:
    """The leases of a run, by model. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    def room(self, model: str, limits: Limits | None = None) -> int:
        """Return how many calls may go out now. Where several ask with other ``limits`` the lowest hold."""
        now, lane = self._clock(), self._lane(model, limits)
        while lane.leases and (first := next(iter(lane.leases.items())))[1].ends_at <= now:
            del lane.leases[first[0]]
            if lane.circuit is not None and lane.circuit.probe == first[0]:
                lane.circuit.probe = None
        if now < lane.closed_until or (lane.tokens is not None and lane.tokens.fill(now) <= 0):
            return 0
        if lane.circuit is not None:
            return int(lane.circuit.probe is None)
        most = min(lane.allowed, math.inf if lane.limits.concurrency is None else lane.limits.concurrency)
        free = max(1.0, most) - len(lane.leases)
        if lane.requests is not None:
            free = min(free, lane.requests.fill(now))
        return max(0, int(min(free, 1e9)))

    def take(self, model: str, key: str, bound: int) -> None:
        """Grant a lease to a call that uses at most ``bound`` tokens; see first that there is `room`."""
        now, lane = self._clock(), self._lanes[model]
        lease = _Lease(now, now + lane.limits.lease_s, lane.share * bound, bound)
        lane.leases[key] = lease
        if lane.requests is not None:
            lane.requests.held -= 1
        if lane.tokens is not None:
            lane.tokens.held -= lease.tokens
        if lane.circuit is not None and lane.circuit.probe is None:
            lane.circuit.probe = key

    def tries(self, model: str, key: str) -> bool:
        """Whether a call's lease is there to see whether its model answers again: that it fails is no fault of its."""
        circuit = self._lanes[model].circuit
        return circuit is not None and circuit.probe == key

    def release(self, model: str, key: str) -> None:
        """End a lease of which nothing can be learnt."""
        lane = self._lane(model, None)
        lane.leases.pop(key, None)
        if lane.circuit is not None and lane.circuit.probe == key:
            lane.circuit.probe = None

    def answered(self, model: str, key: str, tokens: int) -> None:
        """End a lease whose call was answered and took so many tokens."""
        lane = self._lane(model, None)
        limiting = len(lane.leases) >= lane.allowed - 1
        lease = lane.leases.pop(key, None)
        lane.answered_at, lane.failures, lane.circuit = self._clock(), 0, None
        if limiting:
            lane.allowed += RISE / lane.allowed
        if lease is not None and lease.bound:
            lane.share = 0.9 * lane.share + 0.1 * min(1.0, tokens / lease.bound)
            if lane.tokens is not None:
                lane.tokens.held += lease.tokens - tokens

    def failed(self, model: str, key: str, setback: Setback) -> LlmError | None:
        """End a lease whose attempt failed; return the error to end the run with when patience is over."""
        now, lane = self._clock(), self._lane(model, None)
        lease = lane.leases.pop(key, None)
        if setback.retry_after_s:
            lane.closed_until = max(lane.closed_until, now + setback.retry_after_s)
        circuit = lane.circuit
        if circuit is not None and circuit.probe == key:
            circuit.probe, circuit.error = None, setback.error
            self._rest(lane, circuit, now)
            return self._given_up(model, lane, circuit, now)
        if setback.busy and lane.allowed > 1:
            self._back_off(lane, now, lease)
            return None
        lane.failures += 1
        since = math.inf if lane.answered_at is None else lane.answered_at
        quiet = lane.failures >= FAILURES and now - since >= QUIET_S
        if circuit is None and (quiet or (lane.answered_at is not None and lane.failures >= MANY)):
            lane.circuit = _Circuit(now, setback.error, FIRST_PAUSE_S)
            self._rest(lane, lane.circuit, now)
            return self._given_up(model, lane, lane.circuit, now)
        return None

    def pauses(self) -> tuple[str, ...]:
        """Return in words which models are not called for the moment, why, and when they are tried again."""
        now = self._clock()
        return tuple(
            f"paused: {lane.failures} attempts in a row at {model} failed, the last with: {lane.circuit.error}; next "
            f"try in {max(0.0, lane.closed_until - now):.0f} s, the run ends resumable in "
            f"{max(0.0, lane.circuit.opened_at + lane.limits.patience_s - now):.0f} s; Ctrl-C ends it now"
            for model, lane in sorted(self._lanes.items())
            if lane.circuit is not None
        )

    def _lane(self, model: str, limits: Limits | None) -> _Lane:
        lane = self._lanes.get(model)
        if lane is None:
            lane = self._lanes[model] = _Lane(Limits())
            self._limit(lane, limits or Limits())
        elif limits is not None and limits is not lane.limits and limits != lane.limits:
            self._limit(lane, lane.limits.lowest(limits))
        return lane

    def _limit(self, lane: _Lane, limits: Limits) -> None:
        now = self._clock()
        for name in ("requests", "tokens"):
            a_minute, bucket = getattr(limits, f"{name}_per_minute"), getattr(lane, name)
            if a_minute is not None and (bucket is None or bucket.a_minute != a_minute):
                setattr(lane, name, _Bucket.full(a_minute, now))
        lane.limits = limits

    @staticmethod
    def _back_off(lane: _Lane, now: float, lease: _Lease | None) -> None:
        """Allow no more than what is left under way; and, once for the calls of one moment, less than before."""
        lane.allowed = min(lane.allowed, len(lane.leases))
        if lease is None or lease.granted_at > lane.backed_off_at:
            lane.allowed *= BACK_OFF
            lane.backed_off_at = now
        lane.allowed = max(1.0, lane.allowed)

    @staticmethod
    def _rest(lane: _Lane, circuit: _Circuit, now: float) -> None:
        lane.closed_until = max(lane.closed_until, now + circuit.pause_s)
        circuit.pause_s = min(LONGEST_PAUSE_S, 2 * circuit.pause_s)

    @staticmethod
    def _given_up(model: str, lane: _Lane, circuit: _Circuit, now: float) -> LlmError | None:
        if now - circuit.opened_at < lane.limits.patience_s:
            return None
        return LlmError(
            f"{model} has not answered for {now - circuit.opened_at:.0f} s (patience_s {lane.limits.patience_s:g}), "
            f"the last attempt failed with: {circuit.error.rstrip('.')}; everything so far is kept and nothing was "
            "scored 0: see that the model is up, then `evo resume` goes on"
        )
