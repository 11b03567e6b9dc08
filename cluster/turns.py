"""Whose turn it is to be scored, where the budget does not pay for all prompts at once.

Without turns a cap that pays for two prompts could be spent on three at a time, and none of them be scored.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from evo.budget import Account
from evo.flights import SCORING, Tally
from evo.receipts import Admission, Receipt

SPARE = 0.1
"""Part of the calls that the budget must pay for besides: for calls that are sent again, and those of operators."""


@dataclass(eq=False, slots=True)
class Turn:
    """A prompt's rows on their way: how many calls they have still to make, at most."""

    individual: int
    left: int
    begun: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """Turns in the order they were asked for: beside others one begins only if the budget pays for all of them whole.

    Alone one always begins, so nobody waits for ever. Nobody waits at all as long as the budget is large.

    Args:
        account: The run's.
        tally: What calls took so far: by it the calls of a turn are priced.
    """

    def __init__(self, account: Account, tally: Tally) -> None:
        self._account, self._tally = account, tally
        self._waiting: list[Turn] = []
        self._begun: dict[int, list[Turn]] = {}
        """By individual: a call that ends must find its turn among thousands."""

    @contextlib.asynccontextmanager
    async def turn(self, individual: int, calls: int) -> AsyncIterator[None]:
        """Wait until it is the individual's turn, and hold it; 0 calls take none."""
        if not calls:
            yield
            return
        mine = Turn(individual, calls)
        self._waiting.append(mine)
        self._go_on()
        try:
            await mine.begun
            yield
        finally:
            self._end(mine)
            self._go_on()

    def answered(self, calls: Sequence[Admission | Receipt]) -> None:
        """Take note of calls that are over: those that scored a row are owed no longer by whoever asked for them."""
        for individual in (call.individual for call in calls if call.purpose in SCORING):
            turns = [] if individual is None else self._begun.get(individual, [])
            turn = next((turn for turn in turns if turn.left), None)
            if turn is not None:
                turn.left -= 1

    def let_all_go(self) -> None:
        """End all waiting: the search is over, and whoever goes on now is told."""
        while self._waiting:
            self._begin()

    def _go_on(self) -> None:
        while self._waiting and (not self._begun or self._pays_for(self._waiting[0])):
            self._begin()

    def _end(self, mine: Turn) -> None:
        if mine in self._waiting:
            self._waiting.remove(mine)
        mates = self._begun.get(mine.individual, [])
        if mine in mates:
            mates.remove(mine)
        if not mates:
            self._begun.pop(mine.individual, None)

    def _begin(self) -> None:
        turn = self._waiting.pop(0)
        self._begun.setdefault(turn.individual, []).append(turn)
        if not turn.begun.done():
            turn.begun.set_result(None)

    def _pays_for(self, one: Turn) -> bool:
        owed = one.left + sum(turn.left for turns in self._begun.values() for turn in turns)
        likely = self._tally.likely(owed + math.ceil(SPARE * owed))
        return not self._account.refusal(likely, waiting=True)  # what is reserved is among what is owed
