"""A budget that pays for a few prompts scores as many, whole, however many are ready to be scored at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evo.accounting
from cluster.turns import Turns
from evo import Run, evolve
from evo.budget import Account, Usage
from evo.flights import Tally
from evo.model import Budget
from evo.receipts import Receipt
from fitness.toy import toy_rows

DEV = 40
ROWS = toy_rows(2 * DEV)
SEEDS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide."]


class Queue:
    """Turns on an account, and who holds one."""

    def __init__(self, calls: int) -> None:
        self.account = Account(Budget(calls=calls))
        self.turns = Turns(self.account, Tally())
        self.inside: list[int] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.exits: dict[int, asyncio.Event] = {}

    async def come(self, individual: int, calls: int) -> None:
        async def hold() -> None:
            async with self.turns.turn(individual, calls):
                self.inside.append(individual)
                await self.exits[individual].wait()
            self.inside.remove(individual)

        self.exits[individual] = asyncio.Event()
        self.tasks[individual] = asyncio.create_task(hold())
        await asyncio.sleep(0)

    async def leave(self, individual: int) -> None:
        self.exits[individual].set()
        await self.tasks[individual]
        await asyncio.sleep(0)

    def answer(self, individual: int, count: int) -> None:
        """Spend calls on an individual's rows."""
        self.account.settle(Usage(), Usage(calls=count))
        self.turns.answered([Receipt(str(n), "m", "task", individual, 0.0, None) for n in range(count)])


async def test_as_many_begin_as_the_budget_pays_with_a_tenth_to_spare() -> None:
    queue = Queue(110)
    for individual, calls in ((1, 50), (2, 50), (3, 50)):
        await queue.come(individual, calls)
    assert queue.inside == [1, 2]
    await queue.leave(1)
    assert queue.inside == [2, 3]


async def test_what_is_answered_is_owed_no_longer() -> None:
    queue = Queue(165)
    await queue.come(1, 100)
    queue.answer(1, 90)
    await queue.come(2, 57)  # 75 are left: 10 and 57 are owed, and a tenth of that
    await queue.come(3, 2)
    assert queue.inside == [1, 2]


async def test_answers_that_no_row_waits_for_count_for_nobody() -> None:
    queue = Queue(110)
    await queue.come(1, 50)
    queue.turns.answered([Receipt("k", "m", "operator", 1, 0.0, None), Receipt("l", "m", "task", 7, 0.0, None)])
    await queue.come(2, 51)
    assert queue.inside == [1]


async def test_alone_one_begins_whatever_the_budget_pays() -> None:
    queue = Queue(5)
    await queue.come(1, 50)
    await queue.come(2, 50)
    assert queue.inside == [1]
    await queue.leave(1)
    assert queue.inside == [2]


async def test_nobody_overtakes() -> None:
    queue = Queue(110)
    for individual, calls in ((1, 60), (2, 60), (3, 1)):
        await queue.come(individual, calls)
    assert queue.inside == [1]
    await queue.come(4, 0)  # takes no turn: it is no part of the search
    assert queue.inside == [1, 4]


async def test_whoever_gives_up_leaves_the_queue() -> None:
    queue = Queue(60)
    for individual in (1, 2, 3):
        await queue.come(individual, 50)
    queue.tasks[2].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await queue.tasks[2]
    await queue.leave(1)
    assert queue.inside == [3]


async def test_at_the_end_of_a_search_nobody_is_left_waiting() -> None:
    queue = Queue(60)
    for individual in (1, 2, 3):
        await queue.come(individual, 50)
    queue.turns.let_all_go()
    await asyncio.sleep(0)
    assert queue.inside == [1, 2, 3]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    monkeypatch.setattr(evo.accounting, "FIRST_WAIT_S", 0.001)

    def run(*, calls: int, options: dict[str, float], **more: Any) -> Run:
        settings: dict[str, Any] = {
            "method": "evoprompt-ga",
            "concurrency": 1000,
            "executor": "inline",
            "storage": str(tmp_path),
            "cache": False,
            "seed": 1,
            **more,
        }
        return evolve(
            {"data": {"dev": ROWS[:DEV], "test": ROWS[DEV:]}, "scorer": "choice"},
            prompts=SEEDS,
            model={"name": "fake/toy", "options": options},
            budget={"calls": calls},
            **settings,
        )

    return run


def scored(run: Run) -> list[int]:
    """Return on how many rows each individual was scored."""
    return [row["n_scored"] for row in run.individuals().to_pylist() if row["n_scored"]]


@pytest.mark.parametrize("concurrency", [8, 1000])
@pytest.mark.parametrize("options", [{}, {"error_rate": 0.05, "latency_ms": 1.0}], ids=str)
@pytest.mark.parametrize(("calls", "whole"), [(100, 1), (133, 2), (150, 2)])
def test_full_racing_scores_as_many_prompts_whole_as_a_small_budget_pays(
    go: Callable[..., Run], calls: int, whole: int, options: dict[str, float], concurrency: int
) -> None:
    """A quarter is set aside for the final test: 75, 99 and 112 calls are left for four prompts of 40 rows."""
    run = go(calls=calls, options=options, racing="full", concurrency=concurrency)
    assert scored(run) == [DEV] * whole
    assert run.best.prompt.text in SEEDS
    assert run.spent.calls <= calls


def lineage(run: Run) -> list[Any]:
    edges = sorted((edge["child"], edge["parent"], edge["role"]) for edge in run.edges().to_pylist())
    rows = sorted(run.individuals().to_pylist(), key=lambda row: row["id"])
    return [[(row["id"], row["prompt"], row["operator"], row["fitness"], row["n_scored"]) for row in rows], edges]


@pytest.mark.parametrize("racing", ["full", "lazy"])
def test_a_run_whose_budget_suffices_is_as_it_is_without_turns(
    go: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, racing: str
) -> None:
    method = {"name": "evoprompt-ga", "population": 4, "generations": 2}
    asked = {"calls": 4000, "options": {"error_rate": 0.02}, "racing": racing, "method": method, "lockstep": True}
    with_turns = go(**asked)
    monkeypatch.setattr(Turns, "_pays_for", lambda turns, one: True)
    assert lineage(with_turns) == lineage(go(**asked))
    assert with_turns.status == "done"


def test_lazy_racing_scores_more_prompts_on_fewer_rows_of_the_same_small_budget(go: Callable[..., Run]) -> None:
    assert len(scored(go(calls=150, options={}, racing="lazy"))) == len(SEEDS)
