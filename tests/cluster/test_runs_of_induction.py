"""Whole runs that begin without a prompt, and the others of APE and GPS, in one process with the fake model."""

from __future__ import annotations

import pytest

from evo import ConfigError, Run, evolve, open_run, resume
from evo.cli.report import report_lines
from evo.settings import BudgetSettings
from fitness.toy import toy_rows

SEEDS = ["Judge the review.", "Say positive or negative."]
APE = {"name": "ape", "num_subsamples": 2, "num_prompts_per_subsample": 6, "subset": 6, "finalists": 3}
GPS = {"name": "gps", "top_k": 2, "generations": 2, "sample": 8, "finalists": 2}


@pytest.fixture
def go(tmp_path):
    def run(**more: object) -> Run:
        rows = toy_rows(60)
        settings = {
            "task": {"data": {"train": rows[:10], "dev": rows[10:40], "test": rows[40:]}, "scorer": "choice"},
            "model": "fake/toy",
            "executor": "inline",
            "storage": str(tmp_path / "runs"),
            "seed": 3,
            "budget": {"calls": 2000},
            **more,
        }
        return evolve(settings.pop("task"), **settings)

    return run


KNOWN = ("id", "operator", "prompt", "fitness", "n_scored", "status")


def births(run: Run, *columns: str) -> list[dict]:
    table = run.individuals().sort_by("id")
    return table.select(columns or table.column_names).to_pylist()


def evidence(run: Run) -> int:
    return sum(row["n_scored"] or 0 for row in births(run))


@pytest.mark.parametrize(
    "task",
    [
        {"scorer": "choice"},
        {"scorer": "exact"},
        {"scorer": "likelihood"},
        {"scorer": "choice", "choices": ["negative", "positive"]},
    ],
    ids=["labels found", "no labels", "likelihood", "labels given"],
)
def test_a_run_needs_no_prompt_to_begin_with(go, task):
    run = go(method=APE, task={"data": toy_rows(80), **task})
    assert run.status == "done"
    assert run.best.individual.operator == "induce-forward"
    assert len(births(run)) == 12
    assert run.best.test.n > 10
    assert run.best.gain is None
    lines = " ".join(report_lines(run))
    assert "seed   none was scored" in lines
    assert "gain   unknown: no seed prompt was scored to compare with" in lines


def test_seed_prompts_compete_and_the_winner_is_compared_with_the_best(go):
    run = go(method=APE, prompts=SEEDS)
    scored = {row["operator"]: row["n_scored"] for row in births(run) if row["n_scored"] == 30}
    assert "seed" in scored
    assert run.result["baseline"]["operator"] == "seed"
    assert run.best.gain is not None


def test_placeholders_of_the_seeds_are_in_what_is_induced(go):
    run = go(method=APE, prompts=["Judge it: {input}"])
    induced = [row for row in births(run) if row["operator"] == "induce-forward" and row["status"] == "ok"]
    texts = {row["hash"]: row["text"] for row in run.prompts().to_pylist()}
    assert induced
    assert all(texts[row["prompt"]].count("{input}") == 1 for row in induced)


@pytest.mark.parametrize(("method", "prompts"), [(APE, []), (GPS, SEEDS)], ids=["ape", "gps"])
@pytest.mark.parametrize("calls", [60, 110, 170])
def test_a_budget_that_ends_in_the_middle_gives_a_result_that_more_budget_completes(go, method, prompts, calls):
    run = go(method=method, prompts=prompts, budget={"calls": calls}, final_race=1)
    assert run.spent.calls <= calls
    assert run.best.individual.ok
    straight = go(method=method, prompts=prompts, final_race=1)
    assert evidence(run) < evidence(straight)
    longer = resume(run.path, budget=BudgetSettings(calls=2000))
    assert longer.status == "done"
    assert births(longer, *KNOWN) == births(straight, *KNOWN)


@pytest.mark.parametrize("method", [{**APE, "resample_rounds": 3}, GPS], ids=["ape", "gps"])
def test_islands_of_other_methods_exchange_with_them(go, method):
    run = go(
        prompts=SEEDS,
        islands=[{"method": method}, {"method": "steady-state"}],
        migration={"every": 4, "count": 1},
        budget={"calls": 3000, "births": 60},
    )
    accepted = {(row["from_island"], row["to_island"]) for row in run.migrations().to_pylist() if row["accepted"]}
    assert accepted == {(0, 1), (1, 0)}


def test_the_new_operators_work_in_a_steady_state_search(go):
    operators = dict.fromkeys(("induce", "continuation", "cloze", "back-translation"), 1.0)
    run = go(
        method={"name": "steady-state", "operators": operators}, prompts=SEEDS, budget={"calls": 2000, "births": 40}
    )
    made = {row["operator"] for row in births(run) if row["status"] == "ok"}
    assert made == {"seed", "induce-forward", "continuation", "cloze", "back-translation"}


def test_a_likelihood_no_model_can_give_is_refused_at_the_start(go, tmp_path):
    with pytest.raises(ConfigError, match="scorer likelihood needs a model that gives log-likelihoods"):
        go(
            method=APE,
            task={"data": toy_rows(80), "scorer": "likelihood"},
            model={"name": "fake/toy", "options": {"choose": False}},
        )
    (folder,) = (tmp_path / "runs").glob("*-*")
    assert open_run(folder).calls().num_rows == 0
