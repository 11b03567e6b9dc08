"""Many islands on few slots: none is left behind, each looks for migrants when it is time, and the log is read once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import cluster.relived
from cluster.broker import Broker
from cluster.island import Shore
from cluster.relived import Chronicle
from evo import Run, evolve
from evo.engine import reopen
from evo.errors import EvoError, Interrupted
from evo.history import histories_of, history_of
from evo.model import MIGRATION, island_of
from fitness.toy import toy_rows

ISLANDS, EVERY, BIRTHS = 24, 4, 9
ROWS = toy_rows(24)
TASK = {"data": {"train": ROWS[:4], "dev": ROWS[4:12], "test": ROWS[12:]}, "scorer": "choice"}


def run_of(folder: Path, **more: Any) -> Run:
    arguments: dict[str, Any] = {
        "model": "fake/toy",
        "prompts": ["Judge the review."],
        "method": {"name": "steady-state", "operators": {"edit": 1.0}, "population": 4},
        "islands": ISLANDS,
        "migration": {"every": EVERY, "count": 1},
        "concurrency": 4,
        "executor": "inline",
        "storage": str(folder),
        **more,
    }
    return evolve(TASK, **arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("many"), budget={"births": BIRTHS * ISLANDS}, topology="complete")


def test_no_island_starves_when_calls_are_few(tmp_path: Path):
    run = run_of(tmp_path, budget={"calls": 700}, topology="star")
    born = Counter(row["island"] for row in run.individuals().to_pylist() if row["operator"] != MIGRATION)
    births = [born[island] for island in range(ISLANDS)]
    assert sum(births) >= 3 * ISLANDS, "the budget was too small to tell"
    assert min(births) >= 0.5 * sum(births) / ISLANDS


def test_every_island_looks_for_migrants_when_it_is_time_and_takes_its_count(tmp_path: Path, monkeypatch):
    looks: Counter[int] = Counter()
    trade = Broker.trade

    async def counted(self: Broker, island: int, offer: Any, sources: Any, count: int) -> Any:
        looks[island] += 1
        taken = await trade(self, island, offer, sources, count)
        assert len(taken) <= 1
        return taken

    monkeypatch.setattr(Broker, "trade", counted)
    run_of(tmp_path, budget={"births": BIRTHS * ISLANDS}, topology="complete")
    assert looks == dict.fromkeys(range(ISLANDS), BIRTHS // EVERY)


def test_migrants_arrive_with_an_edge_to_whom_they_were(run: Run):
    copies = {row["id"] for row in run.individuals().to_pylist() if row["operator"] == MIGRATION}
    edges = {row["child"]: row for row in run.edges().to_pylist() if row["role"] == "migrant_of"}
    assert set(edges) == copies
    assert copies
    assert all(island_of(edge["parent"]) != island_of(edge["child"]) for edge in edges.values())
    assert len({row["from_island"] for row in run.migrations().to_pylist()}) > ISLANDS / 2, "not all hear the same few"


def test_one_reading_tells_every_island_what_its_own_reading_would(run: Run):
    apart: dict[int, list[Any]] = {island: [] for island in range(ISLANDS)}
    for island, past in histories_of(run.path, range(ISLANDS)):
        apart[island].append(past)
    assert all(apart[island] == list(history_of(run.path, island)) for island in (0, 17, ISLANDS - 1))


async def test_islands_that_start_together_are_relived_in_one_reading(run: Run, monkeypatch):
    readings: list[list[int]] = []

    def counted(path: Path, islands: Any) -> Any:
        readings.append(sorted(islands))
        return histories_of(path, islands)

    monkeypatch.setattr(cluster.relived, "histories_of", counted)
    log = Chronicle(reopen(run.path), asyncio.Event())
    first = asyncio.create_task(log.life(0, Shore()))
    await asyncio.sleep(0)
    lives = await asyncio.gather(*(log.life(island, Shore()) for island in range(1, ISLANDS)))
    assert (await first)[0].told == BIRTHS
    assert {life.told for life, _ in lives} == {BIRTHS}
    assert len(readings) <= 2
    assert sorted(island for reading in readings for island in reading) == list(range(ISLANDS))


async def test_an_island_whose_past_cannot_be_repeated_does_not_keep_the_others_from_theirs(run: Run, monkeypatch):
    def broken(path: Path, islands: Any) -> Any:
        skipped = False
        for island, past in histories_of(path, islands):
            if island == 3 and not skipped:
                skipped = True  # what it asked first is missing
                continue
            yield island, past

    monkeypatch.setattr(cluster.relived, "histories_of", broken)
    log = Chronicle(reopen(run.path), asyncio.Event())
    found = await asyncio.gather(*(log.life(island, Shore()) for island in range(5)), return_exceptions=True)
    assert [type(one) for one in found].count(EvoError) == 1
    assert isinstance(found[3], EvoError)


async def test_nobody_is_relived_when_the_run_is_over(run: Run):
    over = asyncio.Event()
    over.set()
    log = Chronicle(reopen(run.path), over)
    found = await asyncio.gather(*(log.life(island, Shore()) for island in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [Interrupted] * 3
