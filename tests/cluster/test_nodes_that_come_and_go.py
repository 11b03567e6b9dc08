"""Room for workers that changes during a run: more are started, calls under way are shared anew, spare ones go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import cluster.archipelago
from cluster.archipelago import sail
from cluster.broker import Broker
from cluster.inline import InlineFleet
from cluster.workers import FitnessWorker
from evo import Run
from evo.commission import Commission
from evo.config import parse
from evo.engine import prepare
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

PATIENCE_S = 60
CONCURRENCY = 8


class Lost(Exception):
    """What Ray says of a process that is gone."""


class Tide(InlineFleet):
    """A fleet with as much room as it is told; workers of a node that leaves are lost."""

    lost = (Lost,)

    def __init__(self, order: Commission, room: int) -> None:
        super().__init__(order)
        self.now, self.started, self.at_work = room, [], {}

    def room(self) -> int:
        return self.now

    async def worker(self, number: int, plan: Any) -> None:
        self.started.append(number)
        task = asyncio.ensure_future(FitnessWorker(number, plan, self._broker).run())
        self.at_work[number] = task
        try:
            await asyncio.wait({task})
            if task.cancelled():
                raise Lost("its node left")
            task.result()
        finally:
            del self.at_work[number]

    def ebb(self, room: int) -> None:
        """Take nodes away, the youngest workers first."""
        self.now = room
        for number in sorted(self.at_work)[room:]:
            self.at_work[number].cancel()


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commission:
    monkeypatch.setattr(cluster.archipelago, "LOOK_S", 0.02)
    monkeypatch.setattr(cluster.archipelago, "RESTART_WAITS_S", (0.05,) * 5)
    rows = toy_rows(40)
    content = {
        "task": {"data": {"dev": rows[:32], "test": rows[32:]}, "scorer": "choice"},
        "model": {"name": "fake/toy", "options": {"latency_ms": 10}},
        "prompts": ["Judge the review.", "Say positive or negative.", "What is the tone?"],
        "method": {"name": "steady-state", "operators": {"edit": 1.0}},
        "racing": "full",
        "executor": "inline",
        "concurrency": CONCURRENCY,
        "storage": str(tmp_path / "runs"),
        "budget": {"calls": 1500},
    }
    return prepare(parse(content), base=tmp_path, title="t")


async def voyage(order: Commission, fleet: Tide, workers: int, events: Any) -> Run:
    helper = asyncio.create_task(events)
    await asyncio.wait_for(sail(order, fleet, workers, asyncio.Event(), lambda snapshot: None), PATIENCE_S)
    await helper
    return Run(order.path)


async def until(condition: Any) -> None:
    for _ in range(100 * PATIENCE_S):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"nothing within {PATIENCE_S} s")


async def test_nodes_that_join_get_workers_and_no_more_calls_are_under_way_than_before(order, monkeypatch):
    fleet, under_way, most = Tide(order, 1), 0, []
    complete = FakeLlm.complete

    async def counted(self: FakeLlm, request: Any) -> Any:
        nonlocal under_way
        under_way += 1
        most.append(under_way)
        try:
            return await complete(self, request)
        finally:
            under_way -= 1

    monkeypatch.setattr(FakeLlm, "complete", counted)

    async def flood() -> None:
        await until(lambda: len(most) > 100)
        fleet.now = 4
        await until(lambda: len(fleet.at_work) == 4)
        await until(lambda: len(most) > 700)
        settled.extend(most[600:])

    settled: list[int] = []
    run = await voyage(order, fleet, 1, flood())
    assert fleet.started == [0, 1, 2, 3]
    assert (run.status, run.result["winner"]["test"]["n"]) == ("done", 8)
    assert max(settled) == CONCURRENCY


async def test_workers_whose_node_is_gone_are_not_replaced_where_there_is_no_room(order):
    fleet, shares = Tide(order, 3), []
    share = Broker.share

    async def ebb() -> None:
        await until(lambda: len(fleet.at_work) == 3)
        await asyncio.sleep(0.2)
        fleet.ebb(1)
        await until(lambda: len(fleet.at_work) == 1)

    async def heard(self: Broker, workers: int) -> None:
        shares.append(workers)
        await share(self, workers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Broker, "share", heard)
        run = await voyage(order, fleet, 3, ebb())
    assert fleet.started == [0, 1, 2], "nobody was started in their place"
    assert run.status == "done"
    assert [row["kind"] for row in run.events().to_pylist()].count("worker_lost") == 2
    assert (max(shares), shares[-1]) == (3, 1), "the one that is left has all calls"


async def test_the_last_worker_is_always_replaced(order):
    fleet = Tide(order, 1)

    async def ebb() -> None:
        await until(lambda: fleet.at_work)
        await asyncio.sleep(0.2)
        fleet.ebb(0)
        fleet.now = 1

    run = await voyage(order, fleet, 1, ebb())
    assert fleet.started == [0, 1]
    assert run.status == "done"
