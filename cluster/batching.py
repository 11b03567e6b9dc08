"""The ledger as a worker sees it: calls of one moment are admitted together, and settled in one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from cluster.ports import Answer, BrokerPort
from evo.budget import Usage
from evo.errors import EvoError
from evo.model import Completion
from evo.receipts import CANCELLED, NO_SETBACK, Admission, Receipt, Setback

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class BatchingLedger:
    """The broker's `evo.receipts.Ledger` for one worker.

    Args:
        worker: Its number.
        broker: Where calls are admitted and settled.
        gather_s: How long calls are gathered before they go on together; 0: those of one turn of the event loop.
    """

    def __init__(self, worker: int, broker: BrokerPort, gather_s: float) -> None:
        self._worker, self._broker = worker, broker
        self._admissions = _Batch(self._admit_all, gather_s)
        self._receipts = _Batch(self._settle_all, gather_s)

    async def admit(self, admission: Admission) -> Completion | None:
        """See `evo.receipts.Ledger.admit`."""
        answer, error, must_wait = await self._heard(admission, self._admissions.add(admission))
        if must_wait:
            answer, error, _ = await self._heard(admission, asyncio.ensure_future(self._wait(admission)))
        if error is not None:
            raise error.with_traceback(None)  # one error ends many calls
        return answer

    async def again(self, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK) -> bool:
        """See `evo.receipts.Ledger.again`."""
        return await self._broker.again(self._worker, admission, billed, setback)

    async def hedge(self, admission: Admission) -> bool:
        """See `evo.receipts.Ledger.hedge`."""
        return await self._broker.hedge(self._worker, admission)

    async def settle(self, receipt: Receipt) -> None:
        """See `evo.receipts.Ledger.settle`."""
        await self._receipts.add(receipt)  # from here on it is on its way, whoever waits for it

    async def _heard(self, admission: Admission, asked: asyncio.Future[Answer]) -> Answer:
        """Return the answer; what is granted to a caller that was cancelled meanwhile is given back."""
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(partial(self._give_back, admission))
            raise

    def _give_back(self, admission: Admission, asked: asyncio.Future[Answer]) -> None:
        granted = (None, None, False)
        if not asked.cancelled() and asked.exception() is None and asked.result() == granted:
            unsent = Receipt(admission.key, admission.model, "", None, time.time(), None, CANCELLED, attempts=0)
            self._receipts.add(unsent).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _wait(self, admission: Admission) -> Answer:
        try:
            return await self._broker.admit(self._worker, admission), None, False
        except EvoError as error:
            return None, error, False

    async def _admit_all(self, admissions: Sequence[Admission]) -> Sequence[Answer]:
        return await self._broker.admit_all(self._worker, admissions)

    async def _settle_all(self, receipts: Sequence[Receipt]) -> Sequence[None]:
        await self._broker.settle(self._worker, receipts)
        return [None] * len(receipts)


class _Batch(Generic[Item, Reply]):
    """Sends what comes within a moment as one, and gives everyone their own part of the reply."""

    def __init__(self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]], gather_s: float) -> None:
        self._send, self._gather_s = send, gather_s
        self._gathered: list[tuple[Item, asyncio.Future[Reply]]] = []
        self._under_way: set[asyncio.Future[Sequence[Reply]]] = set()

    def add(self, item: Item) -> asyncio.Future[Reply]:
        """Return a future of the item's reply."""
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_later(self._gather_s, self._set_off)
        reply: asyncio.Future[Reply] = loop.create_future()
        self._gathered.append((item, reply))
        return reply

    def _set_off(self) -> None:
        batch, self._gathered = self._gathered, []
        items, replies = [item for item, _ in batch], [reply for _, reply in batch]
        sent = asyncio.ensure_future(self._send(items))
        # The event loop holds tasks weakly: without the set one could vanish before it is done.
        self._under_way.add(sent)
        sent.add_done_callback(partial(self._deliver, replies))

    def _deliver(self, replies: Sequence[asyncio.Future[Reply]], sent: asyncio.Future[Sequence[Reply]]) -> None:
        self._under_way.discard(sent)
        for place, reply in enumerate(replies):
            if reply.done():
                continue
            if sent.cancelled():
                reply.cancel()
            elif error := sent.exception():
                reply.set_exception(error)
            else:
                reply.set_result(sent.result()[place])
