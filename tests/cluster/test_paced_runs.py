"""Whole runs whose model is called at a limited pace, or goes down for a while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import evo.accounting
import evo.pacing
from evo import LlmError, evolve, open_run, resume
from evo.errors import ConfigError
from evo.model import Completion, Request
from fitness.fake import FakeLlm
from fitness.toy import toy_rows


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setattr(evo.accounting, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(evo.pacing, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(evo.pacing, "QUIET_S", 0.0)
    rows = toy_rows(24)
    return {
        "task": {"data": {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}, "scorer": "choice"},
        "prompts": ["Judge the review.", "What is the tone?"],
        "model": {"name": "fake/toy"},
        "method": {"name": "evoprompt-ga", "population": 4, "generations": 2},
        "executor": "inline",
        "budget": {"calls": 400},
        "storage": str(tmp_path),
    }


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the fake model's calls, those under way, and fail those of a range."""
    seen = {"sent": 0, "under_way": 0, "most": 0, "down_from": 0, "down_to": 0}
    answer = FakeLlm.complete

    async def complete(self: FakeLlm, request: Request) -> Completion:
        seen["sent"] += 1
        if seen["down_from"] < seen["sent"] <= seen["down_to"]:
            raise LlmError("connection refused", transient=True)
        seen["under_way"] += 1
        seen["most"] = max(seen["most"], seen["under_way"])
        await asyncio.sleep(0.001)
        try:
            return await answer(self, request)
        finally:
            seen["under_way"] -= 1

    monkeypatch.setattr(FakeLlm, "complete", complete)
    return seen


def births(run: object) -> list[tuple[object, ...]]:
    rows = run.individuals().to_pylist()  # type: ignore[attr-defined]
    return sorted((row["id"], row["prompt"], row["fitness"]) for row in rows)


def test_a_limit_on_calls_under_way_holds_and_changes_nothing_else(settings, watched, tmp_path):
    free = evolve(**settings)
    assert watched["most"] > 3
    watched["most"] = 0
    model = {"name": "fake/toy", "concurrency": 3, "requests_per_minute": 60_000, "tokens_per_minute": 1e7}
    paced = evolve(**settings | {"model": model, "storage": str(tmp_path / "paced")})
    assert watched["most"] == 3
    assert births(paced) == births(free)


def test_a_model_that_is_down_for_a_while_costs_time_and_no_row(settings, watched):
    watched.update(down_from=40, down_to=50)
    run = evolve(**settings)
    assert run.status == "done"
    assert not [row for row in run.evaluations().to_pylist() if row["score"] is None]


def test_a_model_that_stays_down_ends_the_run_where_it_can_be_resumed(settings, watched):
    watched.update(down_from=40, down_to=10**9)
    settings["model"] = {"name": "fake/toy", "patience_s": 0.3}
    with pytest.raises(LlmError, match=r"has not answered for .* nothing was scored 0: see that the model is up"):
        evolve(**settings)
    before = open_run(settings["storage"])
    assert watched["sent"] < 100, "a budget was burnt"
    watched["down_to"] = 0
    assert resume(before).status == "done"


def test_limits_and_hedges_that_cannot_be_are_refused(settings):
    for key, value, words in [
        ("concurrency", 0, "greater than or equal to 1"),
        ("requests_per_minute", 0, "greater than 0"),
        ("hedge_after_s", 60.0, "expected hedge_after_s below timeout_s"),
        ("client", "direct", "expected openai/NAME with an api_base"),
        ("client", "curl", "'litellm' or 'direct'"),
    ]:
        with pytest.raises(ConfigError, match=words):
            evolve(**settings | {"model": {"name": "fake/toy", key: value}})
