"""Workers and islands that vanish, as killed processes do: the broker goes on with what they asked, nobody hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cluster.archipelago
import cluster.relived
import cluster.workers
from cluster.archipelago import sail
from cluster.inline import InlineFleet
from cluster.island import Island
from cluster.workers import FitnessWorker
from evo import Run
from evo.commission import Commission
from evo.config import parse
from evo.engine import prepare, reopen
from evo.errors import EvoError, Interrupted
from evo.history import histories_of, history_of
from evo.settings import BudgetSettings
from fitness.toy import toy_rows

PATIENCE_S = 20


class Lost(Exception):
    """What Ray says of a process that is gone."""


class Wire:
    """The broker over a line that can be cut: what was asked goes on over there, and nobody hears of it."""

    def __init__(self, broker: Any) -> None:
        self._broker, self.cut, self.buried = broker, False, False

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            if self.buried:
                raise Lost("gone")
            if not self.cut:
                asked = asyncio.ensure_future(getattr(self._broker, name)(*arguments))
                try:
                    answer = await asyncio.shield(asked)
                except EvoError:
                    if not self.cut:
                        raise
                else:
                    if not self.cut:
                        return answer
            await asyncio.Event().wait()

        return call


class LossyFleet(InlineFleet):
    """A fleet whose members vanish after the given times, in seconds."""

    lost = (Lost,)

    def __init__(self, order: Commission, workers: Iterable[float] = (), islands: Iterable[float] = ()) -> None:
        super().__init__(order)
        self.deaths = 0
        self._workers, self._islands = iter(workers), iter(islands)
        self._graves: list[tuple[asyncio.Task[Any], Wire]] = []

    async def worker(self, number: int, plan: Any) -> None:
        wire = Wire(self._broker)
        await self._mortal(FitnessWorker(number, plan, wire).run(), wire, next(self._workers, None))

    async def island(self, number: int, shore: Any, life: Any) -> Any:
        wire = Wire(self._broker)
        island = Island(self._order.ground(number), shore, self._order.models_of(number), wire, life)
        return await self._mortal(island.run(), wire, next(self._islands, None))

    async def _mortal(self, life: Any, wire: Wire, seconds: float | None) -> Any:
        task = asyncio.ensure_future(life)
        self._graves.append((task, wire))
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            return task.result()
        wire.cut = True
        self.deaths += 1
        raise Lost("killed")

    async def bury(self) -> None:
        """End what stands for the dead processes."""
        for task, wire in self._graves:
            wire.buried = True
            task.cancel()
        await asyncio.gather(*(task for task, _ in self._graves), return_exceptions=True)


@pytest.fixture
def order(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.archipelago, "GRACE_S", 0.5)
    monkeypatch.setattr(cluster.archipelago, "RESTART_WAITS_S", (0.0,) * 5)

    def make(name: str, **more: Any) -> Commission:
        rows = toy_rows(24)
        content = {
            "task": {"data": {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}, "scorer": "choice"},
            "model": {"name": "fake/toy", "options": {"latency_ms": 5}},
            "prompts": ["Judge the review.", "Say positive or negative.", "What is the tone?"],
            "method": {"name": "evoprompt-ga", "population": 5, "generations": 2},
            "islands": 2,
            "topology": "isolated",
            "executor": "inline",
            "concurrency": 8,
            "storage": str(tmp_path / name),
            "budget": {"calls": 2000},
            **more,
        }
        return prepare(parse(content), base=Path.cwd(), title="t")

    return make


async def voyage(order: Commission, fleet: InlineFleet, stop: asyncio.Event | None = None) -> Run:
    try:
        await asyncio.wait_for(sail(order, fleet, 2, stop or asyncio.Event(), lambda snapshot: None), PATIENCE_S)
    finally:
        if isinstance(fleet, LossyFleet):
            await fleet.bury()
    return Run(order.path)


def history(run: Run) -> list[tuple]:
    rows = run.individuals().sort_by("id").to_pylist()
    return [(r["id"], r["operator"], r["prompt"], r["fitness"], r["n_scored"], r["status"]) for r in rows]


def lives(seed: int, count: int) -> Iterator[float]:
    return iter(np.random.default_rng(seed).uniform(0.01, 0.15, count))


@pytest.mark.parametrize(("workers", "islands"), [(5, 0), (0, 5), (5, 5)])
async def test_a_run_that_loses_workers_and_islands_ends_like_one_that_does_not(order, workers, islands):
    plain, lossy = order("plain"), order("lossy")
    whole = await voyage(plain, InlineFleet(plain))
    fleet = LossyFleet(lossy, lives(1, workers), lives(2, islands))
    run = await voyage(lossy, fleet)
    assert fleet.deaths >= 3, "hardly anyone was lost: nothing was tested"
    assert history(run) == history(whole)
    assert run.result["winner"] == whole.result["winner"]
    answered = [row["key"] for row in run.calls().to_pylist() if row["text"] is not None]
    assert len(answered) == len(set(answered))
    lost = [row for row in run.events().to_pylist() if row["kind"] == "worker_lost"]
    assert len(lost) == min(workers, fleet.deaths) or islands


@pytest.mark.parametrize("kind", ["workers", "islands"])
async def test_a_process_that_is_lost_again_and_again_ends_the_run_with_a_message(order, kind):
    doomed = order("doomed")
    always = iter(lambda: 0.002, None)
    fleet = LossyFleet(doomed, **{kind: always})
    what = "fitness worker" if kind == "workers" else "island"
    with pytest.raises(EvoError, match=rf"{what} \d was lost 6 times, last: killed"):
        await voyage(doomed, fleet)


async def test_a_worker_that_cannot_start_ends_the_run_with_its_words(order):
    class Broken(InlineFleet):
        async def worker(self, number: int, plan: Any) -> None:
            raise EvoError("a process cannot start")

    doomed = order("doomed")
    with pytest.raises(EvoError, match="a process cannot start"):
        await voyage(doomed, Broken(doomed))


@pytest.mark.parametrize("place", ["model", "worker"])
async def test_any_error_of_a_worker_ends_the_run_with_its_words(order, place, monkeypatch):
    def crash(*arguments: Any) -> Any:
        raise TypeError("no such option")

    class Broken(InlineFleet):
        async def worker(self, number: int, plan: Any) -> None:
            crash()

    fleet: Any = Broken if place == "worker" else InlineFleet
    if place == "model":
        monkeypatch.setattr(cluster.workers, "build_model", crash)
    doomed = order("doomed")
    with pytest.raises(EvoError, match=r"(?s)fitness worker.* failed: .*TypeError: no such option"):
        await voyage(doomed, fleet(doomed))


class Sinking(InlineFleet):
    """A fleet whose broker fails with an error: at its opening, under way, or when it is closed."""

    lost = (Lost,)

    def __init__(self, order: Commission, when: str, error: Exception) -> None:
        super().__init__(order)
        self._when, self._raise, self.closed = when, error, False

    async def open(self, workers: int) -> Any:
        if self._when == "open":
            raise self._raise
        broker = await super().open(workers)
        for name in {"under way": ("record", "dismiss", "failed_with"), "close": ("close",)}[self._when]:
            setattr(broker, name, self._fail)
        return broker

    async def _fail(self, *arguments: Any) -> Any:
        raise self._raise

    async def close(self) -> None:
        self.closed = True
        if self._when != "open":
            self._broker.store.close()


@pytest.mark.parametrize("when", ["open", "under way", "close"])
async def test_a_lost_broker_ends_the_run_with_advice_and_leaves_nothing_behind(order, when):
    doomed = order("doomed")
    fleet = Sinking(doomed, when, Lost("killed"))
    with pytest.raises(EvoError, match=r"log of .* was lost: killed; resume the run"):
        await voyage(doomed, fleet)
    assert fleet.closed
    assert len(asyncio.all_tasks()) == 1


async def test_a_log_that_cannot_be_sealed_leaves_nothing_behind(order):
    doomed = order("doomed")
    fleet = Sinking(doomed, "close", OSError("no space left"))
    with pytest.raises(OSError, match="no space left"):
        await voyage(doomed, fleet)
    assert fleet.closed
    assert len(asyncio.all_tasks()) == 1


@pytest.fixture
def long_waits(monkeypatch):
    """Let a lost member wait for longer than any test, and the end too."""
    monkeypatch.setattr(cluster.archipelago, "RESTART_WAITS_S", (60.0,) * 5)
    monkeypatch.setattr(cluster.archipelago, "GRACE_S", 60.0)


STEADY = {"method": {"name": "steady-state", "operators": {"paraphrase": 1.0}}}


async def test_a_worker_that_waits_to_start_again_does_not_hold_up_the_end(order, long_waits):
    lossy = order("lossy", budget={"births": 10}, **STEADY)
    fleet = LossyFleet(lossy, workers=[0.1])
    run = await voyage(lossy, fleet)
    assert (fleet.deaths, run.status) == (1, "done")


async def test_an_island_does_not_wait_to_start_again_when_the_others_have_used_up_the_budget(order, long_waits):
    lossy = order("lossy", budget={"calls": 200}, **STEADY)
    fleet = LossyFleet(lossy, islands=[0.1])
    run = await voyage(lossy, fleet)
    assert fleet.deaths == 1
    assert run.result["winner"]["test"]["n"] == 10
    assert run.spent.calls > 150


async def test_a_cap_in_seconds_holds_while_every_island_waits_to_start_again(order, long_waits):
    lossy = order("lossy", budget={"seconds": 2.0}, **STEADY)
    fleet = LossyFleet(lossy, islands=[0.2, 0.2])
    run = await voyage(lossy, fleet)
    assert fleet.deaths == 2
    assert run.result["elapsed_s"] < 4


async def test_a_cap_in_seconds_holds_while_every_worker_waits_to_start_again(order, long_waits):
    lossy = order("lossy", budget={"seconds": 3.0}, **STEADY)
    fleet = LossyFleet(lossy, workers=[0.3, 0.3])
    run = await voyage(lossy, fleet)
    assert fleet.deaths == 2
    assert run.result["elapsed_s"] < 4
    assert run.result["winner"]["test"]["n"] == 10, "the time set aside is enough for the final test"


@pytest.mark.parametrize("lost", [{"workers": [0.2, 0.2]}, {"islands": [0.2, 0.2]}, {"workers": [0.2]}], ids=str)
async def test_a_stop_is_obeyed_at_once_while_somebody_waits_to_start_again(order, long_waits, lost):
    lossy, stop = order("lossy", **STEADY), asyncio.Event()
    fleet = LossyFleet(lossy, **lost)
    asyncio.get_running_loop().call_later(0.5, stop.set)
    with pytest.raises(Interrupted):
        await voyage(lossy, fleet, stop)
    assert fleet.deaths == sum(map(len, lost.values()))


async def test_a_stop_while_an_island_is_relived_leaves_its_log_as_it_was(order, monkeypatch):
    began, stop = order("lossy", budget={"births": 20}, **STEADY), asyncio.Event()
    await voyage(began, InlineFleet(began))
    before, steps = history(Run(began.path)), list(history_of(began.path, 0))

    def interrupted_by(path: Path, islands: Collection[int]) -> Iterator[Any]:
        for turn, (island, past) in enumerate(histories_of(path, islands)):
            if turn > 5 and past[0] == "told":  # there is room for another birth now
                stop.set()
            yield island, past

    monkeypatch.setattr(cluster.relived, "TURN", 1)
    monkeypatch.setattr(cluster.relived, "histories_of", interrupted_by)
    further = reopen(began.path, budget=BudgetSettings(births=30))
    with pytest.raises(Interrupted):
        await voyage(further, InlineFleet(further), stop)
    assert list(history_of(began.path, 0)) == steps
    monkeypatch.setattr(cluster.relived, "histories_of", histories_of)
    ended = history(await voyage(further, InlineFleet(further)))
    assert len(ended) == 30
    assert set(before) <= set(ended)
