"""Lives rebuilt from the log, those of all islands that ask meanwhile in one reading: many start or end together."""

from __future__ import annotations

import asyncio
from typing import Any

from cluster.island import Shore, offer_of
from cluster.migration import is_time
from evo.commission import Commission
from evo.errors import EvoError
from evo.flights import interrupted
from evo.history import histories_of
from evo.life import Ground, Life, begin, repeat
from evo.model import Individual

TURN = 50
"""Steps of islands that are relived before others have their turn: some milliseconds."""

Past = tuple[Life[Any], dict[int, tuple[Individual, ...]]]
"""A life, and whom its island put up for migration after how many births."""


class Chronicle:
    """Reads a run's log for its islands.

    Args:
        order: The run.
        over: Set when it ends: no life is of use any more.
    """

    def __init__(self, order: Commission, over: asyncio.Event) -> None:
        self._order, self._over = order, over
        self._asked: dict[int, tuple[Shore, asyncio.Future[Past | EvoError]]] = {}
        self._reading = asyncio.Lock()

    async def life(self, island: int, shore: Shore) -> Past:
        """Return an island's life as the log tells it now, and in lockstep whom it put up when.

        The log must not grow by this island meanwhile. Raises EvoError when it cannot be repeated, and Interrupted when
        the run is over before.
        """
        mine: asyncio.Future[Past | EvoError] = asyncio.get_running_loop().create_future()
        self._asked[island] = shore, mine
        async with self._reading:
            await asyncio.sleep(0)  # many start at one moment: all of them have asked now
            if not mine.done():  # whoever reads does so for all that have asked by then
                await self._read()
        led_to = mine.result()
        if isinstance(led_to, EvoError):
            raise led_to
        return led_to

    async def _read(self) -> None:
        """Answer all that have asked; they go on asking where the log cannot be read."""
        asked = dict(self._asked)
        grounds = {island: self._order.ground(island) for island in asked}
        pasts: dict[int, Past | EvoError] = {island: (begin(ground), {}) for island, ground in grounds.items()}
        for turn, (island, step) in enumerate(histories_of(self._order.path, asked)):
            past = pasts[island]
            if not isinstance(past, EvoError):
                try:
                    _repeat(grounds[island], asked[island][0], past, step)
                except EvoError as error:  # this island's alone
                    pasts[island] = error
            if turn % TURN == 0:
                await asyncio.sleep(0)
                if self._over.is_set():
                    raise interrupted()
        for island, (_, future) in asked.items():
            del self._asked[island]
            future.set_result(pasts[island])


def _repeat(ground: Ground[Any], shore: Shore, past: Past, step: Any) -> None:
    life, offers = past
    repeat(ground, life, step)
    if shore.lockstep and life.told not in offers and is_time(life.told, shore.every):
        offers[life.told] = offer_of(ground, ground.method.living(life.state), life.told, shore.count)
