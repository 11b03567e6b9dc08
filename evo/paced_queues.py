"""Who waits for a model's pace: woken in turn, as many as may go out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from evo.pacing import Pacing

NAP_S = 15.0
"""How often whoever rests looks whether the run is stopped."""
TICK_S = 0.02
"""How often it is looked whether those who wait may go, besides at the end of every call."""


class PacedQueues:
    """A queue for each model. Whoever is woken looks for itself whether there is room, and else waits again.

    Args:
        pacing: Says how many may go.
        left_s: In how many seconds nobody may go any more, of which all are to hear at once.
    """

    def __init__(self, pacing: Pacing, left_s: Callable[[], float]) -> None:
        self._pacing, self._left_s = pacing, left_s
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._ticking: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not turn.done() for waiting in self._waiting.values() for turn in waiting)

    async def rest(self, wait_s: float) -> None:
        """Wait so long, as a provider may ask for hours, but not on when nobody may go any more."""
        while wait_s > 0 and (left_s := self._left_s()) > 0:
            nap_s = min(wait_s, left_s, NAP_S)
            await asyncio.sleep(nap_s)
            wait_s -= nap_s

    def turn(self, model: str) -> asyncio.Future[None]:
        """Return what is done when it is time to look again."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(model, deque()).append(turn)
        self._tick(model)
        return turn

    def wake(self, model: str) -> None:
        """Wake as many as there is room for now."""
        waiting = self._waiting.get(model)
        if not waiting:
            return
        room = len(waiting) if self._left_s() <= 0 else self._pacing.room(model)
        while waiting and room > 0:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1

    def wake_all(self) -> None:
        """Wake everyone: what they wait for may have ended otherwise."""
        for waiting in self._waiting.values():
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)
            waiting.clear()

    def _tick(self, model: str) -> None:
        if model not in self._ticking:
            self._ticking.add(model)
            asyncio.get_running_loop().call_later(TICK_S, self._ticked, model)

    def _ticked(self, model: str) -> None:
        self._ticking.discard(model)
        self.wake(model)
        if self._waiting.get(model):
            self._tick(model)
