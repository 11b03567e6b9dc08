"""Calls of a user's function in threads of its own, each with a time limit.

A thread cannot be interrupted: one whose function does not return in time is left behind, and another takes its place.
All are daemons, so that none keeps the process from ending; threads of Python's own pools would.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from evo.errors import ConfigError

T = TypeVar("T")
MOST_LEFT = 8
"""Calls that never returned, beyond which none is begun: threads left behind may keep the processor busy for ever."""


@dataclass(slots=True, eq=False)
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    ended: asyncio.Future[tuple[Any, BaseException | None]]
    began: float | None = None
    returned: bool = False
    given_up: bool = False


class TimedThreads:
    """Threads that make calls, ``places`` at once, in the order they were asked for."""

    def __init__(self, places: int) -> None:
        self._places, self._hired, self._left = places, 0, 0
        self._waiting: SimpleQueue[_Call] = SimpleQueue()
        self._lock = threading.Lock()

    async def call(self, function: Callable[..., Any], *arguments: Any, timeout_s: float) -> Any:
        """Return what the function returns; the time it waits for a thread does not count.

        Raises what it raises, TimeoutError, and ConfigError where too many calls have never returned.
        """
        with self._lock:
            self._hire()
        loop = asyncio.get_running_loop()
        one = _Call(function, arguments, loop, loop.create_future())
        self._waiting.put(one)
        try:
            while not one.ended.done():
                self._check()
                left = timeout_s if one.began is None else one.began + timeout_s - time.monotonic()
                if left <= 0:
                    raise _overdue(timeout_s)
                await asyncio.wait({one.ended}, timeout=left)
        finally:
            self._give_up(one)
        value, error = one.ended.result()
        if isinstance(error, Exception):
            raise error
        if error is not None:  # such as SystemExit, which would end the event loop
            raise RuntimeError(f"the function ended with {error!r}")
        return value

    def _check(self) -> None:
        if self._left >= MOST_LEFT:
            raise ConfigError(
                f"expected the scorer's function to return, but {self._left} calls of it never did; mend it, then "
                "start again in a new process"
            )

    def _hire(self) -> None:
        """Start a thread where there is a place for it; the lock is held."""
        if self._hired < self._places and self._left < MOST_LEFT:
            self._hired += 1
            threading.Thread(target=self._work, name="evo-scorer", daemon=True).start()

    def _give_up(self, one: _Call) -> None:
        """Leave a call to itself where it has not returned: its thread ends with it, and another takes its place."""
        with self._lock:
            one.given_up = True
            if one.began is not None and not one.returned:
                self._left += 1
                self._hired -= 1
                self._hire()

    def _work(self) -> None:
        while True:
            one = self._waiting.get()
            with self._lock:
                if one.given_up:
                    continue
                one.began = time.monotonic()
            outcome: tuple[Any, BaseException | None]
            try:
                outcome = one.function(*one.arguments), None
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
                outcome = None, error
            with self._lock:
                one.returned = True
                if one.given_up:
                    self._left -= 1
                    return
            with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
                one.loop.call_soon_threadsafe(_end, one.ended, outcome)


async def in_time(work: Awaitable[T], timeout_s: float) -> T:
    """Return what work in the event loop comes to. Raises what it raises, and TimeoutError."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise _overdue(timeout_s) from None
        raise


def _overdue(timeout_s: float) -> TimeoutError:
    return TimeoutError(
        f"expected the function to return within {timeout_s:g} s, but it did not; mend it, or raise the scorer's "
        "timeout_s"
    )


def _end(future: asyncio.Future[Any], outcome: tuple[Any, BaseException | None]) -> None:
    if not future.done():
        future.set_result(outcome)
