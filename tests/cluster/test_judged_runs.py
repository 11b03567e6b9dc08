"""Runs whose replies are judged: the judge's calls are admitted, counted, logged, recalled and foreseen like others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evo import ConfigError, Run, estimate, evolve, open_run
from evo.budget import Usage
from evo.cli.report import report_lines
from fitness.toy import toy_rows

ROWS = toy_rows(24)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "task": {
            "data": {"train": ROWS[:4], "dev": ROWS[4:14], "test": ROWS[14:]},
            "scorer": {"name": "judge", "rubric": "The right label."},
        },
        "model": {"name": "fake/toy", "options": {"choose": False}},
        "judge_model": "judge_model:Grader",
        "prompts": ["Judge the review.", "Say positive or negative."],
        "method": {"name": "evoprompt-ga", "population": 4},
        "executor": "inline",
        "storage": str(tmp_path / "runs"),
        "budget": {"calls": 400},
    }


def go(settings: dict[str, Any]) -> Run:
    return evolve(settings["task"], **{key: value for key, value in settings.items() if key != "task"})


def calls(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.calls().to_pylist()
    return found


def test_a_run_is_scored_by_its_judge_within_one_budget(settings):
    run = go(settings)
    by_purpose = Counter(call["purpose"] for call in calls(run))
    assert set(by_purpose) == {"task", "judge", "operator"}
    assert {call["model"] for call in calls(run) if call["purpose"] == "judge"} == {"judge_model:Grader"}
    assert run.spent.calls == sum(call["attempts"] for call in calls(run)) <= 400
    assert run.best.test is not None
    rows = run.evaluations().to_pylist()
    assert {row["score"] for row in rows} == {0.25, 1.0}
    assert all(row["reason"].startswith("judged ") for row in rows)
    judged = {call["individual"] for call in calls(run) if call["purpose"] == "judge"}
    assert judged <= set(run.individuals()["id"].to_pylist())


def test_the_report_says_what_judging_and_writing_took(settings):
    run = go(settings)
    spending = run.spending()
    total = sum(spending.values(), Usage())
    assert (total.calls, total.tokens, total.usd) == (run.spent.calls, run.spent.tokens, pytest.approx(run.spent.usd))
    judge = Counter(call["purpose"] for call in calls(run))["judge"]
    assert spending["judge"] == Usage(judge, 110 * judge, pytest.approx(1.1e-4 * judge))
    assert f"         judge {judge:,} calls, {110 * judge:,} tokens, ${1.1e-4 * judge:.4f}" in report_lines(run)


def test_the_same_reply_to_the_same_row_is_judged_once(settings):
    keys = [call["key"] for call in calls(go(settings)) if call["purpose"] == "judge"]
    assert len(keys) == len(set(keys))
    later = go({**settings, "seed": 0})
    assert all(call["recalled"] for call in calls(later) if call["purpose"] == "judge" and call["key"] in keys)


def test_the_final_test_is_set_aside_for_with_the_judges_calls(settings):
    run = go({**settings, "budget": {"calls": 120}})
    tested = [row for row in run.evaluations().to_pylist() if row["split"] == "test"]
    assert len(tested) >= len(ROWS[14:])
    assert run.spent.calls <= 120


def test_an_estimate_counts_the_judges_calls_tokens_and_price(settings):
    judged = estimate(settings["task"], **{k: v for k, v in settings.items() if k != "task"})
    plain = {**settings["task"], "scorer": "exact"}
    alone = estimate(plain, **{k: v for k, v in settings.items() if k not in ("task", "judge_model")})
    assert judged.islands[0].founding_calls - alone.islands[0].founding_calls == 2 * 10
    assert judged.final_calls == 2 * alone.final_calls
    assert judged.usd is not None
    assert judged.usd > 0 == alone.usd
    offline = estimate(settings["task"], offline=True, **{k: v for k, v in settings.items() if k != "task"})
    assert offline.final_calls == judged.final_calls
    assert offline.tokens > alone.tokens


def test_a_judge_without_verdicts_gives_zeros_that_are_seen(settings):
    words = {"name": "judge_model:Grader", "options": {"words": "I would rather not."}}
    run = go({**settings, "judge_model": words, "budget": {"calls": 200}})
    rows = run.evaluations().to_pylist()
    assert {(row["score"], row["parsed"]) for row in rows} == {(0.0, False)}
    others = {key: value for key, value in settings.items() if key not in ("task", "judge_model")}
    seen = estimate(settings["task"], judge_model=words, **others)
    assert "the judge gave no verdict" in " ".join(seen.notes)


def test_a_judge_needs_a_model(settings):
    settings.pop("judge_model")
    with pytest.raises(ConfigError, match=r"scorer judge: expected a model that judges.*set judge_model"):
        go(settings)
    assert not list(Path(settings["storage"]).glob("*/calls"))


def test_a_judge_that_nobody_asks_is_not_asked(settings):
    run = go({**settings, "task": {**settings["task"], "scorer": "exact"}})
    assert {call["purpose"] for call in calls(run)} == {"task", "operator"}
    assert open_run(settings["storage"]).best.test is not None
