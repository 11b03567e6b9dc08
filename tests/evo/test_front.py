"""Which prompts no other beats in everything at once, and how they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import born, write

from evo.cli import main
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.front import front
from evo.model import Evaluation, Individual
from evo.objectives import checked_objectives, goals, knee, nondominated
from evo.settings import RunSettings
from evo.verdict import ranking


def priced(number: int, length: int, hits: int, cost: float | None = 0.01, latency: float = 0.1) -> Individual:
    one = born(number, "x" * length, [1.0] * hits + [0.0] * (20 - hits))
    outcomes = [replace(o, tokens=length, cost_usd=cost, latency_s=latency) for o in one.evaluation.outcomes]
    return replace(one, evaluation=Evaluation.of(outcomes))


PROMPTS = [priced(0, 400, 18), priced(1, 100, 16), priced(2, 40, 8), priced(3, 44, 6), priced(4, 120, 12)]


def folder(path: Path, individuals: list[Individual]) -> Path:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(path)})
    return write(RunFolder.create(settings, base=Path("."), title="t", fingerprint="f").path, individuals)


def rows(path: Path, individuals: list[Individual], **more: Any) -> list[dict[str, Any]]:
    return front(folder(path, individuals), **more).to_pylist()


def test_the_front_holds_who_is_dominated_by_nobody_and_begins_with_the_winner(tmp_path: Path) -> None:
    found = rows(tmp_path, PROMPTS)
    assert [row["individual"] for row in found] == [0, 1, 2]
    assert [row["knee"] for row in found] == [False, True, False]
    assert [row["prompt_tokens"] for row in found] == [100, 25, 10]
    assert (found[0]["dev"], found[0]["dev_rows"], found[0]["row_tokens"]) == (0.9, 20, 400)
    assert found[0]["row_cost_usd"] == pytest.approx(0.01)
    assert found[0]["row_latency_s"] == pytest.approx(0.1)
    assert found[0]["individual"] == ranking(tmp_path / next(iter(p.name for p in tmp_path.iterdir())))[0]


def test_other_objectives_make_another_front(tmp_path: Path) -> None:
    slow = [priced(0, 10, 15, latency=0.9), priced(1, 90, 14, latency=0.2), priced(2, 20, 12, latency=0.5)]
    assert [row["individual"] for row in rows(tmp_path, slow, objectives=("latency", "quality"))] == [0, 1]


def test_few_rows_do_not_make_a_prompt_the_best(tmp_path: Path) -> None:
    lucky = replace(priced(5, 20, 10), evaluation=Evaluation.of(priced(5, 20, 10).evaluation.outcomes[:10]))
    assert lucky.fitness == 1.0
    assert next(row["individual"] for row in rows(tmp_path, [priced(0, 400, 19), lucky])) == 0


def test_a_front_by_cost_needs_prices(tmp_path: Path) -> None:
    unpriced = [priced(0, 40, 9, cost=None), priced(1, 30, 8)]
    assert rows(tmp_path / "a", unpriced)[0]["row_cost_usd"] is None
    with pytest.raises(ConfigError, match=r"set model\.price"):
        rows(tmp_path / "b", unpriced, objectives=("quality", "cost"))


def test_a_run_without_scores_has_no_front(tmp_path: Path) -> None:
    assert rows(tmp_path, [born(0, "a", [None])]) == []


@pytest.mark.parametrize("names", [["quality"], ["tokens", "cost"], ["quality", "beauty"], ["quality", "quality"]])
def test_objectives_that_make_no_front_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="a front expects"):
        checked_objectives(names, "a front")


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=30))
def test_nobody_outside_a_front_is_undominated_and_nobody_inside_is_dominated(points: list[tuple[int, ...]]) -> None:
    kept = [points[place] for place in nondominated(np.array(points, dtype=float))]
    assert len(set(kept)) == len(kept)
    for point in points:
        better = [
            other for other in points if other != point and all(a >= b for a, b in zip(other, point, strict=True))
        ]
        assert (point in kept) == (not better)


def test_the_knee_is_where_the_front_bends() -> None:
    assert knee(np.array([[1.0, 0.0], [0.9, 0.8], [0.5, 0.9], [0.0, 1.0]])) == 1
    assert knee(np.array([[0.3, 0.3]])) == 0


def test_where_a_cost_is_unknown_nobody_is_compared_by_cost() -> None:
    found = goals([priced(0, 40, 10, cost=None), priced(1, 80, 20)], ("quality", "tokens", "cost", "latency"))
    assert found.tolist() == [[0.5, -10, 0, pytest.approx(-0.1)], [1.0, -20, 0, pytest.approx(-0.1)]]


def test_the_command_prints_the_front_and_says_that_it_is_optimistic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(folder(tmp_path, PROMPTS))
    assert main(["best", path, "--front"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines() if "90.0 %" in line or "80.0 %" in line] == [
        ["0", "90.0"],
        ["knee", "1"],
    ]
    assert "optimistic" in shown
    assert main(["best", path, "--objectives", "quality,latency", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["objectives"] == ["quality", "latency"]
    assert [row["individual"] for row in document["front"]] == [0]
    assert main(["best", path, "--objectives", "speed"]) == 2
