"""Runs whose scorer fails on every row: they end early, and say why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import evo
from cluster.finals import finish
from cluster.remote import AnyBroker
from evo.commission import Commission
from evo.journal import Journal
from evo.model import Outcome
from evo.schema import evaluation_rows
from fitness.toy import toy_rows

ROWS = toy_rows(40)


def boom(reply: str, example: object) -> float:
    raise RuntimeError("boom")


def odd(reply: str, example: Any) -> float:
    if example.number % 2:
        raise RuntimeError("boom")
    return 1.0


def settings(storage: Path, **more: Any) -> dict[str, Any]:
    return {
        "prompts": ["Judge the review.", "Say positive or negative."],
        "model": "fake/toy",
        "executor": "inline",
        "budget": {"calls": 400},
        "storage": str(storage),
        **more,
    }


@pytest.mark.parametrize("method", ["promptbreeder", "tide", "evoprompt-ga", "grips"])
def test_a_scorer_that_fails_on_every_row_ends_the_run_before_the_budget(tmp_path: Path, method: str) -> None:
    data = {"train": ROWS[:4], "dev": ROWS[4:20], "test": ROWS[20:]}
    task = {"data": data, "scorer": f"{__name__}:boom"}
    with pytest.raises(evo.EvoError, match=r"the scorer failed on all of the first .* with 'RuntimeError: boom'; mend"):
        evo.evolve(task, **settings(tmp_path, method=method))
    (folder,) = [path for path in tmp_path.iterdir() if (path / "run.json").exists()]
    assert evo.open_run(folder).calls().num_rows < 200


def test_a_scorer_that_fails_on_some_rows_is_told_of_in_the_result(tmp_path: Path) -> None:
    data = {"train": ROWS[:4], "dev": ROWS[4:20], "test": ROWS[20:]}
    task = {"data": data, "scorer": f"{__name__}:odd"}
    result = evo.evolve(task, **settings(tmp_path, budget={"births": 4})).result
    assert result is not None
    (kind,) = result["failures"]["rows_missing_for"]
    assert kind == {"kind": "scorer: RuntimeError: boom", "count": result["failures"]["rows_missing"]}


def test_where_nobody_was_scored_the_commonest_reason_is_named_not_the_budget(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    errors = ["scorer: KeyError: 1", "overloaded", "scorer: KeyError: 2"]
    outcomes = [Outcome(number, None, error=error) for number, error in enumerate(errors)]
    journal.append({"evaluations": evaluation_rows(0, outcomes, "dev")})
    journal.close()
    order = cast(Commission, SimpleNamespace(path=tmp_path))
    with pytest.raises(evo.EvoError, match="because of: scorer: KeyError: N; mend that, not the budget"):
        asyncio.run(finish(order, cast(AnyBroker, None)))
