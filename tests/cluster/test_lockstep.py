"""In lockstep a run's lineage hangs on its seed alone: not on what ends first, nor on who is lost or interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import cluster.archipelago
from cluster.archipelago import sail
from cluster.inline import InlineFleet
from cluster.market import Market
from evo import Run
from evo.commission import Commission
from evo.config import parse
from evo.engine import prepare, reopen
from evo.errors import Interrupted
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

PATIENCE_S = 60


class Uneven(FakeLlm):
    """The fake model, whose calls take longer or shorter, differently in each run."""

    rng = np.random.default_rng(0)
    left = 0
    """Calls until the run is stopped, by `stop`; 0: it is not."""
    stop: ClassVar[asyncio.Event | None] = None

    async def complete(self, request: Any) -> Any:
        if Uneven.stop is not None and Uneven.left:
            Uneven.left -= 1
            if not Uneven.left:
                Uneven.stop.set()
        await asyncio.sleep(float(self.rng.exponential(0.004)))
        return await super().complete(request)


METHODS: dict[str, dict[str, Any]] = {
    "steady-state": {"method": {"name": "steady-state", "operators": {"paraphrase": 1.0}}},
    "gate": {
        "method": {"name": "steady-state", "operators": {"paraphrase": 1.0}},
        "racing": {"name": "gate", "stages": [3, 10]},
    },
    "tide": {"method": "tide"},
    "evoprompt-ga": {"method": {"name": "evoprompt-ga", "population": 4}},
}


@pytest.fixture
def order(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.archipelago, "GRACE_S", 5.0)

    def make(name: str, **more: Any) -> Commission:
        rows = toy_rows(24)
        content = {
            "task": {"data": {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}, "scorer": "choice"},
            "model": f"{__name__}:Uneven",
            "prompts": ["Judge the review.", "Say positive or negative.", "What is the tone?"],
            "islands": 3,
            "migration": {"every": 4},
            "executor": "inline",
            "cache": False,
            "lockstep": True,
            "storage": str(tmp_path / name),
            "budget": {"births": 42},
            **more,
        }
        return prepare(parse(content), base=Path.cwd(), title="t")

    return make


async def voyage(order: Commission, stop_after: int = 0) -> Run:
    """Run to the end, or until so many calls were sent."""
    stop = asyncio.Event()
    Uneven.left, Uneven.stop = stop_after, stop
    await asyncio.wait_for(sail(order, InlineFleet(order), 2, stop, lambda snapshot: None), PATIENCE_S)
    return Run(order.path)


def lineage(run: Run) -> tuple[list[tuple[Any, ...]], ...]:
    born = [
        (r["id"], r["operator"], r["prompt"], r["fitness"], r["n_scored"], r["status"], r["generation"])
        for r in run.individuals().sort_by("id").to_pylist()
    ]
    edges = sorted(tuple(row.values()) for row in run.edges().to_pylist())
    moves = sorted(
        (r["to_island"], r["step"], r["from_island"], r["individual"], r["copy"] or 0, r["reason"])
        for r in run.migrations().to_pylist()
    )
    return born, edges, moves


@pytest.mark.parametrize("method", METHODS)
async def test_lineage_tables_are_equal_whatever_ends_first(order, method):
    runs = [await voyage(order(f"{n}", concurrency=n, **METHODS[method])) for n in (2, 16)]
    first, second = map(lineage, runs)
    assert first == second
    assert first[2], "nobody migrated: nothing was tested"


@pytest.mark.parametrize("method", ["steady-state", "gate", "tide"])
async def test_lineage_tables_are_equal_interrupted_or_not(order, method):
    whole = await voyage(order("whole", **METHODS[method]))
    interrupted, stops = order("interrupted", **METHODS[method]), 0
    for after in (20, 40, 60, 30, 50):
        try:
            run = await voyage(interrupted, after)
            break
        except Interrupted:
            stops += 1
            interrupted = reopen(interrupted.path)
    else:
        run = await voyage(interrupted)
    assert stops >= 2, "it was hardly interrupted: nothing was tested"
    assert lineage(run) == lineage(whole)


async def test_the_one_behind_waits_for_nobody_and_the_gone_are_not_waited_for():
    market = Market()
    ahead = asyncio.create_task(market.meet(8, [1, 2]))
    await asyncio.sleep(0)
    market.put(1, {4: (), 8: ()})
    assert await market.meet(4, [1]) == []
    assert not ahead.done()
    market.put(2, {}, last=True)
    assert await ahead == []


async def test_whoever_waits_is_told_of_a_stop():
    market = Market()
    waiting = asyncio.create_task(market.meet(8, [1]))
    await asyncio.sleep(0)
    market.close(Interrupted("stop"))
    with pytest.raises(Interrupted):
        await waiting
