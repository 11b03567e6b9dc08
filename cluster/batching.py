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
        self._admissions = _Batch(self._admit_all, gather_s, self._give_back)
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
            # A batch goes on without a future that is cancelled, a task does not.
            return await (asyncio.shield(asked) if isinstance(asked, asyncio.Task) else asked)
        except asyncio.CancelledError:
            asked.add_done_callback(partial(self._late, admission))
            raise

    def _late(self, admission: Admission, asked: asyncio.Future[Answer]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._give_back(admission, asked.result())

    def _give_back(self, admission: Admission, answer: Answer) -> None:
        """Release what was granted to a caller that has gone."""
        granted = (None, None, False)
        if answer == granted:
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
    """Sends what comes within a moment as one, and gives everyone their own part of the reply.

    ``unheard`` is told of an item whose sender was cancelled meanwhile, and of its reply.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]],
        gather_s: float,
        unheard: Callable[[Item, Reply], None] | None = None,
    ) -> None:
        self._send, self._gather_s, self._unheard = send, gather_s, unheard
        self._gathered: list[tuple[Item, asyncio.Future[Reply]]] = []
        self._under_way: set[asyncio.Future[Sequence[Reply]]] = set()

    def add(self, item: Item) -> asyncio.Future[Reply]:
        """Return a future of the item's reply."""
        loop = asyncio.get_running_loop()
        if not self._gathered:
            if self._gather_s:
                loop.call_later(self._gather_s, self._set_off)
            else:
                loop.call_soon(self._set_off)
        reply: asyncio.Future[Reply] = loop.create_future()
        self._gathered.append((item, reply))
        return reply

    def _set_off(self) -> None:
        batch, self._gathered = self._gathered, []
        items = [item for item, _ in batch]
        sent = asyncio.ensure_future(self._send(items))
        # The event loop holds tasks weakly: without the set one could vanish before it is done.
        self._under_way.add(sent)
        sent.add_done_callback(partial(self._deliver, batch))

    def _deliver(
        self, batch: Sequence[tuple[Item, asyncio.Future[Reply]]], sent: asyncio.Future[Sequence[Reply]]
    ) -> None:
        self._under_way.discard(sent)
        error = None if sent.cancelled() else sent.exception()
        for place, (item, reply) in enumerate(batch):
            if sent.cancelled():
                reply.cancel()
            elif reply.done():
                if error is None and self._unheard is not None:
                    self._unheard(item, sent.result()[place])
            elif error is not None:
                reply.set_exception(error)
            else:
                reply.set_result(sent.result()[place])
