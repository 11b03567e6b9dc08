"""Lives rebuilt from the log, those of all islands that ask meanwhile in one reading: many start or end together."""

from __future__ import annotations

import asyncio
from typing import Any

from evo.commission import Commission
from evo.errors import EvoError
from evo.history import histories_of
from evo.ledger import interrupted
from evo.life import Life, begin, repeat

TURN = 50
"""Steps of islands that are relived before others have their turn: some milliseconds."""


class Chronicle:
    """Reads a run's log for its islands.

    Args:
        order: The run.
        over: Set when it ends: no life is of use any more.
    """

    def __init__(self, order: Commission, over: asyncio.Event) -> None:
        self._order, self._over = order, over
        self._asked: dict[int, asyncio.Future[Life[Any] | EvoError]] = {}
        self._reading = asyncio.Lock()

    async def life(self, island: int) -> Life[Any]:
        """Return an island's life as the log tells it now; the log must not grow by this island meanwhile.

        Raises EvoError when it cannot be repeated, and Interrupted when the run is over before.
        """
        mine = self._asked[island] = asyncio.get_running_loop().create_future()
        async with self._reading:
            await asyncio.sleep(0)  # many start at one moment: all of them have asked now
            if not mine.done():  # whoever reads does so for all that have asked by then
                await self._read()
        led_to: Life[Any] | EvoError = mine.result()
        if isinstance(led_to, EvoError):
            raise led_to
        return led_to

    async def _read(self) -> None:
        """Answer all that have asked; they go on asking where the log cannot be read."""
        asked = dict(self._asked)
        grounds = {island: self._order.ground(island) for island in asked}
        lives: dict[int, Life[Any] | EvoError] = {island: begin(ground) for island, ground in grounds.items()}
        for turn, (island, past) in enumerate(histories_of(self._order.path, asked)):
            life = lives[island]
            if not isinstance(life, EvoError):
                try:
                    repeat(grounds[island], life, past)
                except EvoError as error:  # this island's alone
                    lives[island] = error
            if turn % TURN == 0:
                await asyncio.sleep(0)
                if self._over.is_set():
                    raise interrupted()
        for island, future in asked.items():
            del self._asked[island]
            future.set_result(lives[island])
