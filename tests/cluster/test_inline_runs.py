"""Whole runs in one process with the fake model: what is on disk afterwards must add up."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import math
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

import cluster.archipelago
import evo.accounting
import evo.folder
from evo import Budget, ConfigError, EvoError, Interrupted, LlmError, Run, evolve, open_run, resume
from evo.config import parse
from evo.engine import Engine, prepare, reopen
from evo.errors import BudgetExhausted
from evo.folder import Hold
from evo.journal import Journal
from evo.model import FAILED, island_of
from evo.settings import BudgetSettings
from fitness.evaluator import RowEvaluator
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

METHODS = ["steady-state", "evoprompt-ga", "evoprompt-de"]
GENERATIONAL = [
    {"name": "evoprompt-ga", "population": 6, "generations": 2},
    {"name": "promptbreeder", "population": 6, "generations": 2, "batch": 6, "contexts": 2},
]
SEEDS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide."]
PATIENCE_S = 20


@pytest.fixture(autouse=True)
def quick_and_quiet(monkeypatch, caplog):
    """Wait little between attempts, and let no exception of a task go unseen."""
    monkeypatch.setattr(evo.accounting, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(cluster.archipelago, "GRACE_S", 0.5)
    yield
    gc.collect()
    unseen = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not unseen, "asyncio complained of what nobody looked at"


@pytest.fixture
def settings(tmp_path):
    def make(**more: object) -> dict:
        rows = toy_rows(24)
        return {
            "task": {"data": {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}, "scorer": "choice"},
            "model": "fake/toy",
            "prompts": SEEDS,
            "executor": "inline",
            "storage": str(tmp_path / "runs"),
            "seed": 3,
            "budget": {"calls": 240},
            **more,
        }

    return make


def go(settings: dict) -> Run:
    return evolve(settings["task"], **{key: value for key, value in settings.items() if key != "task"})


def model(**options: object) -> dict:
    return {"name": "fake/toy", "options": options}


def rows(run: Run, table: str) -> list[dict]:
    return getattr(run, table)().to_pylist()


def alike(run: Run) -> list[tuple]:
    """Return what must not differ between two runs of one seed, in order of birth."""
    parents = Counter((edge["child"], edge["parent"], edge["role"]) for edge in rows(run, "edges"))
    keys = ("id", "generation", "operator", "prompt", "fitness", "n_scored", "status", "note")
    born = sorted(rows(run, "individuals"), key=lambda row: row["id"])
    return [tuple(row[key] for key in keys) for row in born] + sorted(parents.items())


def check_books(run: Run, cap: int | None = None) -> None:
    """The tables agree with each other, with the budget and with the result."""
    born = {row["id"]: row for row in rows(run, "individuals")}
    assert len(born) == run.individuals().num_rows, "a number was given twice"
    for number, row in born.items():
        assert (island_of(number), number & ((1 << 40) - 1)) == (row["island"], row["sequence"])
        assert run.individual(number).operator == row["operator"]
    for edge in rows(run, "edges"):
        assert {edge["child"], edge["parent"]} <= set(born)
        assert born[edge["parent"]]["generation"] <= born[edge["child"]]["generation"]
    calls = rows(run, "calls")
    sent = [row["key"] for row in calls if row["text"] is not None]
    assert len(sent) == len(set(sent)), "a call was paid twice"
    assert {row["individual"] for row in calls if not row["recalled"]} <= set(born) | under_way(run)
    for row in rows(run, "evaluations"):
        assert row["individual"] in born
        assert (row["score"] is None) == bool(row["error"])
        assert row["score"] is None or row["call"] in set(sent)
    assert run.spent.calls == sum(row["attempts"] for row in calls)
    assert cap is None or run.spent.calls <= cap
    told = [row["individual"] for row in rows(run, "events") if row["kind"] == "told"]
    assert sorted(told) == sorted(born)
    for row in rows(run, "migrations"):
        assert not row["accepted"] or row["copy"] in born


def under_way(run: Run) -> set[int]:
    kinds = {kind: {r["individual"] for r in rows(run, "events") if r["kind"] == kind} for kind in ("asked", "told")}
    return kinds["asked"] - kinds["told"]


@pytest.mark.parametrize("method", METHODS)
def test_the_books_of_a_run_balance(settings, method):
    run = go(settings(method=method, islands=2, migration={"every": 4, "count": 1}))
    check_books(run, 240)
    result = run.result
    assert (run.status, result["spent"]["calls"]) == ("done", run.spent.calls)
    assert result["winner"]["test"]["n"] == len([r for r in rows(run, "evaluations") if r["split"] == "test"]) / (
        1 if result["winner"]["text"] == result["baseline"]["text"] else 2
    )
    assert result["winner"]["dev"]["mean"] == max(one.fitness for one in run.top(50))
    assert result["baseline"]["text"] in SEEDS
    assert run.best.prompt.text == result["winner"]["text"]
    assert rows(run, "migrations"), "nobody migrated: half of this was not tested"
    assert set(run.lineage(run.best).ancestors) <= {row["id"] for row in rows(run, "individuals")}


@pytest.mark.parametrize("name", ["evoprompt-ga", "evoprompt-de"])
def test_the_same_seed_gives_the_same_run_and_another_seed_another(settings, tmp_path, name):
    method = {"name": name, "population": 4, "generations": 2}
    first, second, other = (
        go(settings(method=method, islands=2, topology="isolated", storage=str(tmp_path / place), seed=seed))
        for place, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert alike(first) == alike(second)
    assert alike(first) != alike(other)


@pytest.mark.parametrize("method", GENERATIONAL, ids=lambda method: method["name"])
def test_a_generational_run_does_not_depend_on_concurrency_or_what_the_cache_holds(settings, method):
    narrow = go(settings(method=method, budget={"calls": 1000}, concurrency=1))
    recalled = go(settings(method=method, budget={"calls": 1000}, concurrency=64))
    assert alike(narrow) == alike(recalled)
    assert recalled.spent.calls == narrow.spent.calls
    assert all(row["recalled"] for row in rows(recalled, "calls"))
    assert open_run(narrow.path).status == recalled.status == "done"


def test_runs_without_a_shared_cache_send_everything_themselves(settings):
    runs = [go(settings(cache=False, budget={"calls": 100})) for _ in range(2)]
    assert not any(row["recalled"] for run in runs for row in rows(run, "calls"))
    assert not (runs[0].path.parent / "answers.sqlite").exists()


SCORER = """def touchy(reply, example):
    if example.number % 5 == 0:
        raise ZeroDivisionError("no score for this row")
    return float(example.target in reply)
"""


def test_a_scorer_that_crashes_on_a_row_costs_that_row_only(settings, tmp_path, monkeypatch):
    (tmp_path / "touchy_scorer.py").write_text(SCORER)
    monkeypatch.syspath_prepend(str(tmp_path))
    content = settings(budget={"calls": 150})
    content["task"]["scorer"] = "touchy_scorer:touchy"
    run = go(content)
    broken = [row for row in rows(run, "evaluations") if row["example"] % 5 == 0]
    assert broken
    assert all(row["score"] is None and "ZeroDivisionError: no score for this row" in row["error"] for row in broken)
    assert all(row["n_missing"] == 2 for row in rows(run, "individuals") if row["status"] == "ok")
    check_books(run, 150)


def test_a_crash_in_a_plugin_of_the_worker_ends_the_run_with_its_own_words(settings, monkeypatch):
    async def crash(self, prompt, examples):
        raise RuntimeError("the evaluator has a bug")

    monkeypatch.setattr(RowEvaluator, "evaluate", crash)
    started = time.monotonic()
    with pytest.raises(EvoError, match=r"(?s)a fitness worker failed: .*the evaluator has a bug"):
        go(settings())
    assert time.monotonic() - started < PATIENCE_S


def test_an_island_that_dies_out_ends_no_other(settings):
    lonely = {"name": "evoprompt-de", "population": 4}
    run = go(
        settings(
            prompts=["Judge.", "Read."],
            budget={"calls": 400},
            topology="isolated",
            model=model(garble=1.0),
            islands=[{"method": lonely}, {"method": "steady-state"}],
        )
    )
    (event,) = (row for row in rows(run, "events") if row["kind"] == "extinct")
    assert event["island"] == 0
    assert "living prompts to breed from" in event["detail"]
    assert {row["island"] for row in rows(run, "individuals") if row["operator"] == "edit"} == {1}
    assert run.result["winner"]["test"]["n"] > 0


def test_when_every_island_dies_out_the_user_is_told_why(settings):
    lonely = {"name": "evoprompt-de", "population": 4}
    with pytest.raises(ConfigError, match="living prompts to breed from"):
        go(settings(prompts=["Judge.", "Read."], model=model(garble=1.0), method=lonely))


def test_an_error_every_call_would_meet_ends_the_run_with_its_message(settings, tmp_path):
    with pytest.raises(LlmError, match="the key is not valid"):
        go(settings(islands=2, model=model(fatal=True, latency_ms=3), concurrency=4))
    (path,) = (tmp_path / "runs").glob("*/run.json")
    run = open_run(path.parent)
    assert run.status == "unfinished"
    assert run.spent.calls <= 8, "the run went on sending calls that must fail"
    assert rows(run, "evaluations") == []


def test_answers_under_way_when_a_run_fails_are_still_logged(settings, tmp_path, monkeypatch):
    answered, real = [], FakeLlm.complete

    async def complete(self, request):
        completion = await real(self, request)
        answered.append(request.key(self.identity))
        return completion

    monkeypatch.setattr(FakeLlm, "complete", complete)
    doomed = {"name": "fake/doomed", "options": {"fatal": True, "latency_ms": 130}}
    islands = [{"model": model(latency_ms=50)}, {"model": doomed}]
    with pytest.raises(LlmError, match="the key is not valid"):
        go(settings(islands=islands, topology="isolated", concurrency=16))
    (path,) = (tmp_path / "runs").glob("*/run.json")
    logged = [row["key"] for row in rows(open_run(path.parent), "calls") if row["text"] is not None]
    assert len(answered) > 10
    assert sorted(logged) == sorted(answered)


def test_rows_the_provider_fails_on_are_missing_and_never_zero(settings):
    text = settings()["task"]["data"]["dev"][3]["input"]
    run = go(settings(model={**model(error_on=text), "attempts": 2}, budget={"calls": 200}))
    failed = [row for row in rows(run, "evaluations") if row["error"]]
    assert failed
    assert all(row["score"] is None and "server error" in row["error"] for row in failed)
    good = [row for row in rows(run, "individuals") if row["status"] == "ok"]
    assert all(row["n_missing"] == 1 and row["n_scored"] == 9 for row in good)
    assert max(row["attempts"] for row in rows(run, "calls") if row["text"] is None) == 2
    check_books(run, 200)


def test_passing_failures_are_sent_again_within_the_budget(settings):
    run = go(settings(model=model(error_rate=0.3), budget={"calls": 300}))
    check_books(run, 300)
    assert max(row["attempts"] for row in rows(run, "calls")) > 1
    scored = [row for row in rows(run, "individuals") if row["status"] == "ok"]
    assert sum(row["n_missing"] for row in scored) <= len(scored)


def stop_after(settings: dict, calls: int) -> Path:
    """Start a run and ask it to stop when it has spent so many calls; return its folder."""
    order = prepare(parse(settings), base=Path.cwd(), title="stopped")
    engine = Engine(order, watch=lambda snapshot: snapshot.spent.calls >= calls and engine.stop())
    engine.start()
    assert engine.wait(PATIENCE_S), "the run did not stop"
    with pytest.raises(Interrupted):
        engine.result()
    return order.path


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_run_goes_on_and_pays_nothing_twice(settings, monkeypatch, method):
    monkeypatch.setattr(cluster.archipelago, "WATCH_S", 0.02)
    budget = {"calls": 400}
    path = stop_after(settings(method=method, islands=2, model=model(latency_ms=4), concurrency=6, budget=budget), 60)
    before = open_run(path)
    assert before.status == "unfinished"
    assert 60 <= before.spent.calls < 300
    known, told = alike(before), before.individuals().num_rows
    assert under_way(before), "nothing was under way: nothing was tested"
    run = resume(path)
    check_books(run, 400)
    assert run.status == "done"
    assert set(known) <= set(alike(run)), "what was told before the stop has changed"
    assert run.individuals().num_rows > told
    assert not any(row["recalled"] for row in rows(run, "calls"))


@pytest.mark.parametrize("method", GENERATIONAL, ids=lambda method: method["name"])
def test_a_generational_run_interrupted_ends_as_if_it_had_not_been(settings, tmp_path, monkeypatch, method):
    monkeypatch.setattr(cluster.archipelago, "WATCH_S", 0.02)
    content = settings(method=method, budget={"calls": 1000})
    whole = go({**content, "storage": str(tmp_path / "whole")})
    path = stop_after({**content, "model": model(latency_ms=4), "concurrency": 6}, 60)
    assert alike(resume(path)) == alike(whole)


def test_a_stop_is_obeyed_while_the_model_hangs(settings):
    order = prepare(parse(settings(model=model(latency_ms=600_000))), base=Path.cwd(), title="hanging")
    engine = Engine(order, watch=lambda snapshot: None)
    engine.start()
    time.sleep(0.3)
    engine.stop()
    assert engine.wait(PATIENCE_S), "the run hangs"
    with pytest.raises(Interrupted):
        engine.result()
    run = open_run(order.path)
    assert {row["error"] for row in rows(run, "calls")} <= {"cancelled"}
    Hold(order.path / "lock").release()


def test_a_finished_run_goes_on_under_a_larger_budget(settings):
    first = go(settings(budget={"calls": 150}))
    before, spent = alike(first), first.spent.calls
    again = resume(first)
    assert (alike(again), again.spent.calls) == (before, spent), "there was nothing left to spend"
    more = resume(first, budget=Budget(calls=300))
    assert set(before) <= set(alike(more))
    assert 150 < more.spent.calls <= 300
    assert more.settings.budget.calls == 300
    assert more.result["spent"]["calls"] == more.spent.calls
    check_books(more, 300)


def test_a_resumed_run_keeps_the_caps_that_are_not_named(settings):
    run = go(settings(budget={"calls": 60, "tokens": 50_000, "seconds": 300}))
    assert resume(run, budget=Budget(calls=61)).settings.budget == BudgetSettings(calls=61, tokens=50_000, seconds=300)
    lifted = resume(run, budget={"calls": 62, "tokens": None}).settings.budget
    assert lifted == BudgetSettings(calls=62, seconds=300)


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"calls": -1}, "budget.calls: .*greater than 0, got -1"),
        ({"cals": 100}, "unknown key 'budget.cals'; did you mean 'calls'"),
        ({"calls": None, "usd": 1.0}, "never ends a run whose models are free"),
    ],
)
def test_a_resumed_run_refuses_what_a_new_one_refuses_and_changes_nothing(settings, caps, words):
    run = go(settings(budget={"calls": 60}))
    before = (run.path / "run.json").read_text()
    with pytest.raises(ConfigError, match=words):
        resume(run, budget=caps)
    assert (run.path / "run.json").read_text() == before


@pytest.mark.parametrize("budget", [{"calls": 5}, {"tokens": 100}], ids=str)
def test_a_budget_that_scores_nothing_ends_as_such(settings, budget):
    with pytest.raises(BudgetExhausted):
        go(settings(budget=budget))


@pytest.mark.parametrize("budget", [{"calls": 120}, {"tokens": 4000}, {"seconds": 6.0}, {"births": 7}], ids=str)
def test_every_kind_of_cap_ends_a_run_with_a_result(settings, budget):
    paced = {"model": model(latency_ms=20)} if "seconds" in budget else {}
    run = go(settings(islands=2, budget=budget, **paced))
    check_books(run, budget.get("calls"))
    assert run.spent.tokens <= budget.get("tokens", math.inf)
    assert run.result["winner"]["test"]["n"] > 0
    if "births" in budget:
        assert len([row for row in rows(run, "events") if row["kind"] == "asked"]) == 7


def test_a_cap_in_usd_alone_is_refused_for_free_models(settings):
    with pytest.raises(ConfigError, match="never ends a run whose models are free"):
        go(settings(budget={"usd": 0.01}))


def test_islands_may_differ_in_method_and_model(settings):
    islands = [{"method": "steady-state"}, {"method": "evoprompt-ga", "model": {"name": "fake/other"}}]
    run = go(settings(islands=islands, topology="isolated"))
    check_books(run, 400)
    models = {(island_of(row["individual"]), row["model"].partition("?")[0]) for row in rows(run, "calls")}
    assert {(0, "fake/toy"), (1, "fake/other")} <= models
    assert not {(0, "fake/other")} & models
    assert rows(run, "migrations") == []


def test_a_full_disk_ends_the_run_with_a_message_and_frees_the_folder(settings, tmp_path, monkeypatch):
    real, appended = Journal.append, []

    def append(self, added):
        appended.append(added)
        if len(appended) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, added)

    monkeypatch.setattr(Journal, "append", append)
    monkeypatch.setattr(evo.folder, "HOLD_S", 0.5)
    started = time.monotonic()
    with pytest.raises(EvoError, match="No space left on device"):
        go(settings())
    assert time.monotonic() - started < PATIENCE_S
    monkeypatch.setattr(Journal, "append", real)
    (path,) = (tmp_path / "runs").glob("*/run.json")
    Hold(path.parent / "lock").release()
    check_books(resume(path.parent), 240)


def test_a_run_that_another_process_writes_is_not_touched(settings, monkeypatch):
    monkeypatch.setattr(evo.folder, "HOLD_S", 0.05)
    run = go(settings(budget={"calls": 100}))
    held = Hold(run.path / "lock")
    with pytest.raises(EvoError, match="is being written by process"):
        resume(run, budget={"calls": 200})
    held.release()


def test_a_run_whose_data_changed_is_refused(settings, tmp_path):
    file = tmp_path / "rows.jsonl"
    content = settings(budget={"calls": 60})
    lines = [f'{{"input": "{row["input"]}", "target": "{row["target"]}"}}' for row in toy_rows(30)]
    file.write_text("\n".join(lines))
    content["task"]["data"] = str(file)
    run = go(content)
    file.write_text("\n".join(lines[::-1]))
    with pytest.raises(ConfigError, match=r"the task of .* has changed .*; put the old data back, or start a new run"):
        resume(run)


def test_rows_in_memory_are_kept_for_a_resume_whatever_they_hold(settings):
    content = settings(budget={"calls": 60})
    content["task"]["data"]["dev"][2]["input"] += " \ud800 \x00 \N{SNOWMAN}"
    run = go(content)
    check_books(resume(run, budget={"calls": 90}), 90)


class PolarsFrame(list):
    """Rows that only ``to_dicts`` gives, as in a frame of polars."""

    __module__ = "polars.dataframe"

    def to_dicts(self) -> list[dict]:
        return [row for (row,) in self]


@pytest.mark.parametrize(
    "form",
    [iter, lambda given: PolarsFrame((row,) for row in given), pa.Table.from_pylist],
    ids=["iterator", "polars", "arrow"],
)
def test_rows_in_memory_of_any_form_are_kept_for_a_resume(settings, form):
    content = settings(budget={"calls": 60})
    content["task"]["data"] = form(toy_rows(30))
    run = go(content)
    assert resume(run, budget={"calls": 61}).settings.budget.calls == 61


OWN_OPERATOR = """
class Shout:
    name = "shout"
    async def __call__(self, parents, llm, rng):
        return parents[0].prompt.with_text(parents[0].prompt.text + "!")
"""


def test_a_module_beside_the_configuration_is_found_at_the_start_and_at_a_resume(settings, tmp_path, monkeypatch):
    (tmp_path / "shouting_beside.py").write_text(OWN_OPERATOR)
    method = {"name": "steady-state", "operators": {"shouting_beside:Shout": 1.0}}
    (tmp_path / "run.yaml").write_text(json.dumps(settings(method=method, budget={"calls": 60})))
    monkeypatch.setattr(sys, "path", [*sys.path])
    run = evolve(tmp_path / "run.yaml")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "shouting_beside")
    assert "shout" in {row["operator"] for row in rows(resume(run, budget={"calls": 80}), "individuals")}


def test_an_inline_run_joins_no_cluster(settings):
    order = prepare(parse(settings()), base=Path.cwd(), title="t")
    engine = Engine(order, address="auto", watch=lambda snapshot: None)
    engine.start()
    assert engine.wait(PATIENCE_S)
    with pytest.raises(ConfigError, match=r"executor 'inline' .* joins no cluster; use executor: ray"):
        engine.result()


async def test_a_run_works_inside_a_running_event_loop(settings):
    await asyncio.sleep(0)
    assert go(settings(budget={"calls": 60})).spent.calls <= 60


def test_nothing_is_asked_of_a_method_after_it_has_finished(settings):
    run = go(settings(method={"name": "evoprompt-ga", "generations": 1, "population": 4}, budget={"calls": 5000}))
    assert run.status == "done"
    assert run.spent.calls < 1000
    assert all(row["generation"] <= 3 for row in rows(run, "individuals") if row["status"] != FAILED)


def test_reopening_needs_no_budget_and_changes_nothing(settings):
    run = go(settings(budget={"calls": 60}))
    manifest = (run.path / "run.json").read_text()
    assert reopen(run.path).settings.budget == BudgetSettings(calls=60)
    assert (run.path / "run.json").read_text() == manifest
