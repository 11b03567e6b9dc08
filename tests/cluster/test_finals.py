"""The final test when the budget ends in the middle of it: whatever was affordable is paired."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from cluster.broker import Broker
from cluster.finals import BLOCK, block_size
from evo import LlmError, Run, evolve, resume
from evo.budget import Usage
from evo.status import Snapshot
from fitness.evaluator import RowEvaluator
from fitness.toy import toy_rows

ROWS = 200


def snapshot(left_s: float | None) -> Snapshot:
    return Snapshot("test", 10.0, left_s, Usage(100), 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("left_s", "row_s", "at_once", "rows"),
    [
        (None, 0.1, 1, BLOCK),
        (None, 0.1, 200, 200),
        (1000.0, 0.1, 1, BLOCK),
        (10.0, 0.1, 1, 25),
        (10.0, 0.1, 32, 32),
        (0.1, 0.1, 1, 1),
        (-3.0, 0.1, 2, 2),
    ],
)
def test_a_block_takes_about_a_quarter_of_the_time_left_and_leaves_no_slot_idle(left_s, row_s, at_once, rows):
    assert block_size(snapshot(left_s), row_s, at_once) == rows


def run(storage: Path, *, test: int = ROWS, **more: object) -> Run:
    rows = toy_rows(test + 10)
    settings = {
        "prompts": ["Sort the text."],
        "method": {"name": "steady-state", "operators": {"paraphrase": 1.0}},
        "model": {"name": "fake/toy", "options": {"latency_ms": 100}},
        "concurrency": 4,
        "executor": "inline",
        "storage": str(storage),
        **more,
    }
    return evolve({"data": {"dev": rows[:10], "test": rows[10:]}, "scorer": "choice"}, **settings)


def rows_tested(run: Run) -> list[set[int]]:
    """Return the test rows with a score of each side."""
    found = defaultdict(set)
    for row in run.evaluations().to_pylist():
        if row["split"] == "test" and row["score"] is not None:
            found[row["individual"]].add(row["example"])
    return list(found.values())


def test_when_time_ends_within_the_first_block_what_was_paid_is_paired(tmp_path):
    ended = run(tmp_path, budget={"births": 5, "seconds": 3.0})
    assert ended.status == "budget"
    one, other = rows_tested(ended)
    assert one == other
    assert 8 <= len(one) < BLOCK, "time did not end within the first block: nothing was tested"
    assert ended.result["gain"]["n"] == ended.result["winner"]["test"]["n"] == len(one)
    answered = {row["call"] for row in ended.evaluations().to_pylist()}
    unpaired = [row for row in ended.calls().to_pylist() if row["purpose"] == "task" and row["key"] not in answered]
    assert len(unpaired) <= 8


@pytest.mark.parametrize("budget", [{"calls": 200}, {"tokens": 6000}], ids=str)
def test_when_another_cap_ends_within_a_block_what_was_paid_is_paired(tmp_path, budget):
    ended = run(tmp_path, budget=budget, model={"name": "fake/toy", "options": {"latency_ms": 1}})
    assert ended.status == "budget"
    one, other = rows_tested(ended)
    assert one == other
    assert len(one) > 10
    assert ended.result["gain"]["n"] == len(one)


def test_a_test_that_a_resume_goes_on_with_logs_no_row_twice(tmp_path):
    first = run(tmp_path, budget={"calls": 200}, model="fake/toy")
    again = resume(first, budget={"calls": 800})
    rows = [(r["individual"], r["example"]) for r in again.evaluations().to_pylist() if r["split"] == "test"]
    assert first.status == "budget"
    assert len(rows) > len(rows_tested(first)[0]) * 2, "nothing was left to test"
    assert len(rows) == len(set(rows))


def test_a_resume_that_ends_with_another_winner_says_so(tmp_path):
    first = run(tmp_path, budget={"births": 2}, model="fake/toy")
    results = [first.result, *(resume(first, budget={"births": births}).result for births in (2, 30))]
    assert [result["looks"] for result in results] == [1, 1, 2]
    _, same, other = results
    assert other["winner"]["individual"] != same["winner"]["individual"], "nothing better was found"


def test_what_both_sides_score_is_logged_in_one_transaction(tmp_path, monkeypatch):
    transactions = []

    async def log(self, rows):
        transactions.append({row["individual"] for row in rows["evaluations"]})

    monkeypatch.setattr(Broker, "log", log)
    run(tmp_path, budget={"births": 5}, model="fake/toy")
    assert transactions
    assert {len(sides) for sides in transactions} == {2}


def test_an_error_every_call_of_the_test_would_meet_ends_the_run_with_its_message(tmp_path, monkeypatch):
    async def refuse(self, prompt, examples):
        if min(examples) >= 10:
            raise LlmError("the key has expired", fatal=True)
        return await scored(self, prompt, examples)

    scored = RowEvaluator.evaluate
    monkeypatch.setattr(RowEvaluator, "evaluate", refuse)
    with pytest.raises(LlmError, match="the key has expired"):
        run(tmp_path, budget={"births": 5}, model="fake/toy")


STAGED = [{"instruction": "Judge the review.", "stage-2": "Now answer with one word."}]


@pytest.mark.parametrize("calls", [660, 900])
def test_what_is_set_aside_pays_for_every_stage_of_both_sides(tmp_path, calls):
    ended = run(tmp_path, test=40, budget={"calls": calls}, model="fake/toy", prompts=STAGED)
    assert (ended.status, ended.spent.calls <= calls) == ("done", True)
    assert [len(rows) for rows in rows_tested(ended)] == [40, 40]


def test_what_is_set_aside_pays_for_a_prior_for_each_rows_own_choices(tmp_path):
    rows = [{**row, "options": ["positive", "negative", f"neither {n}"]} for n, row in enumerate(toy_rows(70))]
    task = {
        "data": {"dev": rows[:10], "test": rows[10:]},
        "choices": "options",
        "scorer": {"name": "choice", "normalise": "prior"},
    }
    ended = evolve(
        task,
        prompts=["Sort the text."],
        method={"name": "steady-state", "operators": {"paraphrase": 1.0}},
        model="fake/toy",
        executor="inline",
        storage=str(tmp_path),
        budget={"calls": 1000},
    )
    assert (ended.status, ended.spent.calls <= 1000) == ("done", True)
    assert [len(rows) for rows in rows_tested(ended)] == [60, 60]


def test_where_not_all_stages_can_be_paid_what_is_tested_is_paired(tmp_path):
    ended = run(tmp_path, budget={"calls": 700}, model="fake/toy", prompts=STAGED)
    assert (ended.status, ended.spent.calls <= 700) == ("budget", True)
    one, other = rows_tested(ended)
    assert one == other
    assert len(one) > 40


def test_a_winner_that_gained_a_stage_in_the_search_is_tested_whole(tmp_path):
    breeder = {"name": "promptbreeder", "population": 4, "batch": 5, "generations": None}
    ended = run(tmp_path, test=60, budget={"calls": 1000}, model="fake/toy", method=breeder)
    assert len(ended.result["winner"]["parts"]) > 1, "no prompt with a second stage won: nothing was tested"
    assert ended.status == "done"
    assert {len(rows) for rows in rows_tested(ended)} == {60}


def test_a_test_that_fits_is_whole(tmp_path):
    whole = run(tmp_path, budget={"calls": 2000}, model="fake/toy")
    assert whole.status == "done"
    assert [len(rows) for rows in rows_tested(whole)] == [ROWS, ROWS]
