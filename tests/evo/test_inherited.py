"""What a run takes over from an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import evo
from evo.errors import ConfigError
from evo.inherited import BELIEVED, credits_of
from evo.run import Run
from fitness.toy import toy_rows

ROWS = toy_rows(60)


def go(storage: Path, **more: Any) -> Run:
    return evo.evolve(
        {"data": {"dev": ROWS}, "scorer": "choice"},
        prompts=["Sort the text.", "What is the mood?"],
        model="fake/toy",
        budget={"births": 40},
        executor="inline",
        storage=str(storage),
        **more,
    )


def test_operators_begin_with_what_an_earlier_run_found_and_the_new_run_does_not_need_it_again(tmp_path: Path) -> None:
    earlier = go(tmp_path / "a", method="steady-state", islands=2)
    known = credits_of(earlier.path)
    gains = {row["operator"]: row["gain"] for row in earlier.operators().to_pylist()}
    assert known
    for name, (births, gain, fresh, spoilt) in known.items():
        assert births <= fresh + spoilt <= BELIEVED
        assert gain == (gains[name] or 0.0)
    method = {"name": "tide", "credit_from": str(earlier.path), "credits": {"edit": [3, 0.5]}}
    later = go(tmp_path / "b", method=method, islands=[{}, {"method": "steady-state"}])
    recorded = later.settings.method.arguments["credits"]
    assert recorded == {**known, "edit": [3, 0.5]}
    born = later.individuals().num_rows
    earlier.path.rename(tmp_path / "gone")
    assert evo.resume(later, budget={"births": 44}).individuals().num_rows > born


def test_operators_that_gave_no_prompt_are_not_forgotten(tmp_path: Path) -> None:
    silent = {"name": "fake/toy", "options": {"garble": 1.0}}
    operators = {"paraphrase": 0.9, "edit": 0.1}
    earlier = go(tmp_path / "a", method={"name": "steady-state", "operators": operators}, operator_model=silent)
    births, gain, fresh, spoilt = credits_of(earlier.path)["paraphrase"]
    assert (births, gain, fresh) == (0, 0, 0)
    assert spoilt > 3
    method = {"name": "tide", "credit_from": str(earlier.path), "operators": operators}
    later = go(tmp_path / "b", method=method, operator_model=silent)
    tried = {row["operator"]: row["tried"] for row in later.operators().to_pylist()}
    assert tried.get("paraphrase", 0) <= 10


def test_an_island_may_name_a_run_of_its_own(tmp_path: Path) -> None:
    earlier = go(tmp_path / "a", method="steady-state")
    islands = [{"method": {"name": "tide", "credit_from": str(earlier.path)}}, {}]
    later = go(tmp_path / "b", method="steady-state", islands=islands)
    (first, second) = later.settings.archipelago
    assert first.method is not None
    assert first.method.arguments["credits"] == credits_of(earlier.path)
    assert second.method == later.settings.method


@pytest.mark.parametrize(("source", "words"), [("nowhere", "nowhere"), (3, "a run's folder")])
def test_a_run_that_is_none_is_named(tmp_path: Path, source: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        go(tmp_path, method={"name": "tide", "credit_from": source})
