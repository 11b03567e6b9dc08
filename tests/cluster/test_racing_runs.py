"""Runs of each racing policy with methods of each kind: they end, are relived exactly, and score no row twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evo import Run, evolve, resume
from evo.engine import reopen
from evo.history import history_of
from evo.life import begin, relive, repeat
from evo.replay import read_individuals
from fitness.toy import toy_rows

ROWS = toy_rows(60)
PROMPTS = [
    "Judge the review.",
    "Say positive or negative.",
    "What is the tone?",
    "Read and decide.",
    "Which is it?",
]
METHODS: list[dict[str, Any]] = [
    {"name": "evoprompt-ga", "population": 4, "generations": None},
    {"name": "evoprompt-de", "population": 4, "generations": None},
    {"name": "steady-state", "population": 4, "in_flight": 3},
    {"name": "capo", "population": 4, "block_size": 3, "upper_shots": 2},
    {"name": "promptbreeder", "population": 4, "generations": None, "batch": 4, "contexts": 2, "workings": 2},
    {"name": "reflect-pareto", "population": 4, "in_flight": 3},
    {"name": "opro", "max_num_instructions": 4, "num_generated_instructions_in_each_step": 3, "patience": None},
    {"name": "grips", "iterations": 6, "patience": 6},
    {"name": "gps", "generations": None, "sample": 5, "top_k": 4, "operators": {"continuation": 1.0}},
]
RACING: list[dict[str, Any]] = [
    {"name": "lazy", "n0": 6, "block": 3},
    {"name": "fresh", "n": 6},
    {"name": "growing", "n": 4, "step": 2},
    {"name": "paired-test", "block": 4, "most": 16},
    {"name": "parent-gate", "n": 20},
    {"name": "halving", "rungs": [3, 9, 27]},
]
GATHERING = {"lazy", "fresh", "growing"}
"""Policies that ask for evidence on the living."""
CALLS = 200


def run_of(path: Path, method: dict[str, Any], racing: dict[str, Any], **more: Any) -> Run:
    arguments: dict[str, Any] = {"budget": {"calls": CALLS}, "islands": 1, "final_race": 1, **more}
    return evolve(
        {"data": {"train": ROWS[:6], "dev": ROWS[6:46], "test": ROWS[46:]}, "scorer": "choice"},
        prompts=PROMPTS,
        executor="inline",
        storage=str(path),
        method=method,
        racing=racing,
        model={"name": "fake/toy", "options": {"garble": 0.1}},
        concurrency=8,
        seed=3,
        **arguments,
    )


def added_by_racing(run: Run, island: int = 0) -> list[dict[str, Any]]:
    """Relive an island and return the detail of each request that racing made, in order."""
    ground = reopen(run.path).ground(island)
    asked = {row["individual"]: row["detail"] for row in run.events().to_pylist() if row["kind"] == "asked"}
    raised: set[int] = set()
    life = begin(ground)
    for past in history_of(run.path, island):
        repeat(ground, life, past)
        raised |= life.raised
    return [json.loads(asked[number]) for number in sorted(raised)]


def check_no_row_twice(run: Run) -> None:
    """Dev rows: of train rows `reflect-pareto` itself may ask for the same from two reflections at once."""
    rows = [row for row in run.evaluations().to_pylist() if row["split"] == "dev" and row["score"] is not None]
    twice = [pair for pair, count in Counter((row["individual"], row["example"]) for row in rows).items() if count > 1]
    assert rows
    assert not twice


@pytest.mark.parametrize("racing", RACING, ids=lambda racing: racing["name"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["name"])
def test_any_method_goes_with_any_policy(tmp_path: Path, method: dict[str, Any], racing: dict[str, Any]) -> None:
    run = run_of(tmp_path, method, racing)
    assert run.result is not None
    assert run.result["spent"]["calls"] <= CALLS
    check_no_row_twice(run)
    ground = reopen(run.path).ground(0)
    life = relive(ground, history_of(run.path, 0))
    logged = {one.number: one for one in read_individuals(run.path)}
    living = ground.method.living(life.state)
    assert living
    assert all(one == logged[one.number] for one in living)
    assert (len(added_by_racing(run)) > 0) == (racing["name"] in GATHERING)


@pytest.mark.parametrize("method", METHODS[:3], ids=lambda method: method["name"])
def test_intensification_keeps_its_share_at_every_moment(tmp_path: Path, method: dict[str, Any]) -> None:
    run = run_of(tmp_path, method, {"name": "lazy", "n0": 6, "block": 3, "share": 0.25})
    ground = reopen(run.path).ground(0)
    life, most = begin(ground), 0.0
    for past in history_of(run.path, 0):
        repeat(ground, life, past)
        assert life.added <= 0.25 * life.admitted
        most = max(most, life.added / max(1, life.admitted))
    assert most > 0.15


@pytest.mark.parametrize("method", [METHODS[0], METHODS[3]], ids=lambda method: method["name"])
def test_a_cap_on_births_ends_it_and_a_higher_one_goes_on(tmp_path: Path, method: dict[str, Any]) -> None:
    run = run_of(tmp_path, method, {"name": "lazy", "n0": 6, "block": 3}, budget={"births": 15})
    before = run.events().num_rows
    run = resume(run, budget={"births": 25})
    assert run.events().num_rows > before
    births = [one for one in read_individuals(run.path) if one.operator != "migration"]
    assert len(births) == 25
    assert added_by_racing(run)
    check_no_row_twice(run)


def test_islands_that_trade_members_are_relived_too(tmp_path: Path) -> None:
    islands = [{"method": METHODS[0]}, {"method": METHODS[2]}]
    racing = {"name": "lazy", "n0": 6, "block": 3}
    run = run_of(tmp_path, METHODS[2], racing, islands=islands, migration={"every": 3, "count": 2})
    assert run.migrations().num_rows
    logged = {one.number: one for one in read_individuals(run.path)}
    for island in range(2):
        ground = reopen(run.path).ground(island)
        living = ground.method.living(relive(ground, history_of(run.path, island)).state)
        assert all(one.evaluation.scores == logged[one.number].evaluation.scores for one in living)
        assert added_by_racing(run, island)
