"""A scorer that is a function of the user's."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import resolve
from fitness.timed_calls import TimedThreads, in_time

AT_ONCE = 32
"""Calls of a function under way at most in a process, where several may be."""


@dataclass(frozen=True, slots=True)
class FunctionScorer:
    """A function of the user's, ``module:function``, called with the reply's text and the example.

    It returns a number in [0, 1], a (number, reason) pair or a Score. A plain function is called in a thread, one call
    at a time; an async one in the event loop, where one that blocks instead of awaiting cannot be interrupted.

    Args:
        function: Its name.
        threaded: Whether several calls of a plain function may be under way at once.
        timeout_s: How long a call may take; then its row has no score. Its thread is left behind.
        folder: Searched for the module too.
    """

    function: str
    threaded: bool = False
    timeout_s: float = 60.0
    folder: str = ""
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        limit = self.timeout_s
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= 86_400:
            raise ConfigError(f"scorer {self.function}: expected timeout_s in seconds, above 0, got {limit!r}; try 60")

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the function's verdict.

        Raises what it raises, TimeoutError where that takes too long, TypeError or ValueError for an unusable verdict.
        """
        return _verdict(await self._called(completion.text, example))

    async def _called(self, text: str, example: Example) -> Any:
        function = imported(self.function, self.folder)
        if inspect.iscoroutinefunction(function):
            verdict = function(text, example)
        else:
            threads = _threads(self.function, self.folder, AT_ONCE if self.threaded else 1)
            verdict = await threads.call(function, text, example, timeout_s=self.timeout_s)
        return await in_time(verdict, self.timeout_s) if inspect.isawaitable(verdict) else verdict


@lru_cache
def imported(name: str, folder: str) -> Callable[..., Any]:
    """Return the class or function ``module:name``. Raises ConfigError when it cannot be imported or called."""
    if folder and folder not in sys.path:
        sys.path.append(folder)  # at the end, so that a file beside the configuration shadows no library
    target = resolve("evo.scorers", name)
    if not callable(target):
        raise ConfigError(f"expected a function or class at {name!r}, got {type(target).__name__}; name a function")
    return target  # type: ignore[no-any-return]


@lru_cache
def _threads(function: str, folder: str, places: int) -> TimedThreads:
    del function, folder  # each function has threads of its own
    return TimedThreads(places)


def _verdict(verdict: Any) -> Score:
    if isinstance(verdict, Score):
        return verdict
    value, reason = verdict if isinstance(verdict, tuple) and len(verdict) == 2 else (verdict, "")
    try:
        return Score(float(value), reason=str(reason))
    except TypeError:
        raise TypeError(f"expected a number, (number, reason) or Score, got {type(value).__name__}") from None
