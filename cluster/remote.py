"""The broker across processes: one actor that holds it, and the side of it that islands and workers see.

Errors travel as values: Ray would wrap a raised one in its own type and traceback.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.broker import Broker
from cluster.jobs import Job
from cluster.ports import Answer
from evo.budget import Usage
from evo.commission import FinalCalls
from evo.errors import EvoError
from evo.model import Completion, Evaluation, Individual, Prompt, Request
from evo.ports import Rows
from evo.processes import COLLECT_AFTER
from evo.receipts import NO_SETBACK, Admission, Receipt, Setback
from evo.settings import RunSettings
from evo.status import IslandStatus, Snapshot

AT_ONCE = 10_000
"""Calls the broker's actor serves at once; most of them only wait for work."""
GATHER_S = 0.002
"""How long calls of one process are gathered before they travel together."""


class BrokerActor:
    """Holds the broker in a process of its own; made an actor by `cluster.on_ray`."""

    async def open(self, path: Path, settings: RunSettings, workers: int) -> EvoError | None:
        """Open the run for writing; return the error if it cannot be."""
        gc.set_threshold(*COLLECT_AFTER)
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
        self, model: int, individual: int, prompt: Prompt, examples: Sequence[int], calls: int = 0
    ) -> Evaluation:
        """See `Broker.evaluate`."""
        result: Evaluation = await self._call("evaluate", model, individual, prompt, examples, calls)
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

    async def trade(
        self, island: int, offer: Sequence[Individual], sources: Sequence[int], count: int
    ) -> Sequence[Individual]:
        """See `Broker.trade`."""
        result: Sequence[Individual] = await self._call("trade", island, offer, sources, count)
        return result

    async def meet(self, told: int, sources: Sequence[int]) -> Sequence[Individual]:
        """See `Broker.meet`."""
        result: Sequence[Individual] = await self._call("meet", told, sources)
        return result

    async def put_up(self, island: int, offers: Mapping[int, Sequence[Individual]], last: bool = False) -> None:
        """See `Broker.put_up`."""
        await self._call("put_up", island, offers, last)

    async def next_job(self, worker: int) -> Job | None:
        """See `Broker.next_job`."""
        job: Job | None = await self._call("next_job", worker)
        return job

    async def admit(self, worker: int, admission: Admission) -> Completion | None:
        """See `Broker.admit`."""
        answer: Completion | None = await self._call("admit", worker, admission)
        return answer

    async def admit_all(self, worker: int, admissions: Sequence[Admission]) -> Sequence[Answer]:
        """See `Broker.admit_all`."""
        answers: Sequence[Answer] = await self._call("admit_all", worker, admissions)
        return answers

    async def again(
        self, worker: int, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK
    ) -> bool:
        """See `Broker.again`."""
        excused: bool = await self._call("again", worker, admission, billed, setback)
        return excused

    async def hedge(self, worker: int, admission: Admission) -> bool:
        """See `Broker.hedge`."""
        granted: bool = await self._call("hedge", worker, admission)
        return granted

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

    async def share(self, workers: int) -> None:
        """See `Broker.share`."""
        await self._call("share", workers)

    async def enter_race(self) -> None:
        """See `Broker.enter_race`."""
        await self._call("enter_race")

    async def keep_for_final(self, calls: FinalCalls) -> None:
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


AnyBroker = Broker | RemoteBroker
"""The broker in this process or in another."""
