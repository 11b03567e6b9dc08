"""The broker across processes: one actor that holds it, and the side of it that islands and workers see.

Errors travel as values: Ray would wrap a raised one in its own type and traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.broker import Broker
from cluster.jobs import Job
from evo.errors import EvoError
from evo.model import Completion, Evaluation, Individual, Prompt, Request
from evo.ports import Admission, Receipt, Rows
from evo.settings import RunSettings
from evo.status import IslandStatus, Snapshot

AT_ONCE = 10_000
"""Calls the broker's actor serves at once; most of them only wait for work."""
BATCH_S = 0.002
"""How long calls of one process are gathered before they travel together."""


class BrokerActor:
    """Holds the broker in a process of its own; made an actor by `cluster.on_ray`."""

    async def open(self, path: Path, settings: RunSettings, workers: int) -> EvoError | None:
        """Open the run for writing; return the error if it cannot be."""
        try:
            self._broker = Broker(path, settings, workers=workers)
        except EvoError as error:
            return error
        return None

    async def call(self, method: str, arguments: tuple[Any, ...]) -> tuple[Any, EvoError | None]:
        """Call one of the broker's methods; return its result or its error."""
        try:
            return await getattr(self._broker, method)(*arguments), None
        except EvoError as error:
            return None, error

    async def admit_all(
        self, worker: int, admissions: Sequence[Admission]
    ) -> list[tuple[Completion | None, EvoError | None, bool]]:
        """Return (answer, error, must wait) for each admission."""
        answers = [self._broker.try_admit(worker, admission) for admission in admissions]
        return [(answer, error, wait is not None) for answer, error, wait in answers]


@dataclass(frozen=True, slots=True)
class RemoteBroker:
    """The broker, from another process. ``actor`` is a Ray actor handle of `BrokerActor`."""

    actor: Any

    async def _call(self, method: str, *arguments: Any) -> Any:
        result, error = await self.actor.call.remote(method, arguments)
        if error is not None:
            raise error
        return result

    async def evaluate(
        self, model: int, individual: int, prompt: Prompt, examples: Sequence[int], purpose: str = "task"
    ) -> Evaluation:
        """See `Broker.evaluate`."""
        result: Evaluation = await self._call("evaluate", model, individual, prompt, examples, purpose)
        return result

    async def complete(self, model: int, individual: int, request: Request, purpose: str = "operator") -> Completion:
        """See `Broker.complete`."""
        result: Completion = await self._call("complete", model, individual, request, purpose)
        return result

    async def record(self, rows: Rows, status: IslandStatus, start: int = 0) -> bool:
        """See `Broker.record`."""
        more: bool = await self._call("record", rows, status, start)
        return more

    async def enlist(self, island: int) -> int:
        """See `Broker.enlist`."""
        start: int = await self._call("enlist", island)
        return start

    async def trade(self, island: int, offer: Sequence[Individual], sources: Sequence[int]) -> Sequence[Individual]:
        """See `Broker.trade`."""
        result: Sequence[Individual] = await self._call("trade", island, offer, sources)
        return result

    async def next_job(self, worker: int) -> Job | None:
        """See `Broker.next_job`."""
        job: Job | None = await self._call("next_job", worker)
        return job

    async def admit(self, worker: int, admission: Admission) -> Completion | None:
        """See `Broker.admit`."""
        answer: Completion | None = await self._call("admit", worker, admission)
        return answer

    async def again(self, admission: Admission) -> None:
        """See `Broker.again`."""
        await self._call("again", admission)

    async def settle(self, worker: int, receipts: Sequence[Receipt]) -> None:
        """See `Broker.settle`."""
        await self._call("settle", worker, receipts)

    async def finish(self, worker: int, job: int, result: Evaluation | Completion | EvoError) -> None:
        """See `Broker.finish`."""
        await self._call("finish", worker, job, result)

    async def stop(self, error: EvoError | None = None) -> None:
        """See `Broker.stop`."""
        await self._call("stop", error)

    async def lose_worker(self, worker: int) -> None:
        """See `Broker.lose_worker`."""
        await self._call("lose_worker", worker)

    async def enter_final(self) -> None:
        """See `Broker.enter_final`."""
        await self._call("enter_final")

    async def keep_for_final(self, calls: int) -> None:
        """See `Broker.keep_for_final`."""
        await self._call("keep_for_final", calls)

    async def affordable(self, wanted: int) -> int:
        """See `Broker.affordable`."""
        result: int = await self._call("affordable", wanted)
        return result

    async def snapshot(self) -> Snapshot:
        """See `Broker.snapshot`."""
        result: Snapshot = await self._call("snapshot")
        return result

    async def failed_with(self) -> EvoError | None:
        """See `Broker.failed_with`."""
        result: EvoError | None = await self._call("failed_with")
        return result

    async def log(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """See `Broker.log`."""
        await self._call("log", rows)

    async def dismiss(self) -> None:
        """See `Broker.dismiss`."""
        await self._call("dismiss")

    async def close(self) -> None:
        """See `Broker.close`."""
        await self._call("close")


class RemoteLedger:
    """The broker's ledger for one worker: calls of the same few milliseconds travel as one message."""

    def __init__(self, worker: int, broker: RemoteBroker) -> None:
        self._worker, self._broker = worker, broker
        self._admissions: list[tuple[Admission, asyncio.Future[Any]]] = []
        self._receipts: list[tuple[Receipt, asyncio.Future[Any]]] = []

    async def admit(self, admission: Admission) -> Completion | None:
        """See `evo.ports.Ledger.admit`."""
        answer, error, must_wait = await self._gather(self._admissions, admission, self._send_admissions)
        if must_wait:
            return await self._broker.admit(self._worker, admission)
        if error is not None:
            raise error
        known: Completion | None = answer
        return known

    async def again(self, admission: Admission) -> None:
        """See `evo.ports.Ledger.again`."""
        await self._broker.again(admission)

    async def settle(self, receipt: Receipt) -> None:
        """See `evo.ports.Ledger.settle`."""
        await self._gather(self._receipts, receipt, self._send_receipts)

    @staticmethod
    async def _gather(queue: list[Any], item: Any, send: Any) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        queue.append((item, future))
        if len(queue) == 1:
            loop.call_later(BATCH_S, lambda: _keep(loop.create_task(send())))
        return await future

    async def _send_admissions(self) -> None:
        batch, self._admissions[:] = list(self._admissions), []
        await _answer(batch, self._broker.actor.admit_all.remote(self._worker, [item for item, _ in batch]))

    async def _send_receipts(self) -> None:
        batch, self._receipts[:] = list(self._receipts), []
        await _answer(batch, self._broker.settle(self._worker, [item for item, _ in batch]))


async def _answer(batch: Sequence[tuple[Any, asyncio.Future[Any]]], reply: Any) -> None:
    """Give each its part of the reply; where sending failed, everyone gets the error."""
    try:
        answers = await reply or [None] * len(batch)
    except BaseException as error:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
        if not isinstance(error, Exception):
            raise
        return
    for (_, future), answer in zip(batch, answers, strict=True):
        if not future.done():
            future.set_result(answer)


_UNDER_WAY: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    # The event loop holds tasks weakly: without this one could vanish before it is done.
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
