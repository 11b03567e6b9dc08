"""Which prompts no other beats in everything at once, and how they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import born, write

import evo
from evo.cli import main
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.front import front
from evo.model import DROPPED, Evaluation, Individual, Outcome
from evo.objectives import checked_objectives, goals, knee, nondominated
from evo.settings import RunSettings
from evo.verdict import ranking

EXAMPLES = Path(__file__).parents[2] / "examples"


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


def partly_failed(number: int, hits: int, failed: int) -> Individual:
    """Return somebody with a price for each row but those whose call failed."""
    one = priced(number, 40, hits)
    lost = [Outcome(o.example, None, error="timeout") for o in one.evaluation.outcomes[-failed:]]
    return replace(one, evaluation=Evaluation.of([*one.evaluation.outcomes[:-failed], *lost]))


def test_calls_that_failed_make_a_prompt_neither_cheaper_nor_faster_nor_its_cost_unknown(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, [partly_failed(0, 12, 5)], objectives=("quality", "cost", "latency"))
    assert (row["row_cost_usd"], row["row_latency_s"]) == (pytest.approx(0.01), pytest.approx(0.1))
    assert row["row_tokens"] == 40
    found = goals([partly_failed(0, 12, 5), priced(1, 40, 12, cost=0.02)], ("quality", "cost"))
    assert found.tolist() == [[0.8, pytest.approx(-0.01)], [0.6, pytest.approx(-0.02)]]


def test_who_has_less_than_half_of_the_most_evidence_takes_part(tmp_path: Path) -> None:
    few = replace(priced(0, 40, 18), evaluation=Evaluation.of(priced(0, 40, 18).evaluation.outcomes[:8]))
    dropped = replace(priced(2, 10, 20), status=DROPPED)
    found = rows(tmp_path, [few, priced(1, 400, 12), dropped])
    assert [(row["individual"], row["dev_rows"]) for row in found] == [(0, 8)], "8 of 8 is surely more than 12 of 20"


def test_of_copies_that_show_one_prompt_the_surest_takes_part(tmp_path: Path) -> None:
    copies = [priced(number, 40, hits) for number, hits in ((0, 10), (1, 15), (2, 12))]
    assert [row["individual"] for row in rows(tmp_path, copies)] == [1]


def test_a_run_without_scores_has_no_front_and_the_command_fails_as_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path, [born(0, "a", [None])])
    assert front(path).to_pylist() == []
    assert (main(["best", str(path)]), main(["best", str(path), "--front"])) == (1, 1)
    said = capsys.readouterr()
    assert said.err.count("has scored no prompt yet") == 2
    assert said.out == ""


def test_a_front_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["best", str(folder(tmp_path, PROMPTS)), "--front", "-k", "2"]) == 2
    assert "leave out -k" in capsys.readouterr().err


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


def test_objectives_that_go_together_do_not_outvote_quality() -> None:
    # Quality beside three objectives that say the same: length, cost, time.
    points = [(0.9, -9.0), (0.85, -5.0), (0.7, -4.0), (0.53, -1.0)]
    assert knee(np.array([(quality, *[cheap] * 3) for quality, cheap in points])) == 1
    assert knee(np.array([(quality, *[cheap] * 3) for quality, cheap in (points[0], points[-1])])) == 0


def test_what_all_of_a_front_share_moves_no_knee() -> None:
    assert knee(np.array([[1.0, 0.0, 0.0], [0.6, 0.6, 0.0], [0.0, 1.0, 0.0]])) == 1


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


def test_the_example_with_objectives_ends_with_short_prompts_beside_good_ones(tmp_path: Path) -> None:
    run = evo.evolve(EXAMPLES / "short.yaml", budget={"calls": 4000}, storage=str(tmp_path))
    found = run.front().to_pylist()
    assert found[0]["individual"] == run.best.number
    assert len(found) > 2
    for better, shorter in pairwise(found):
        assert better["dev"] > shorter["dev"]
        assert better["prompt_tokens"] > shorter["prompt_tokens"]
    assert sum(row["knee"] for row in found[1:-1]) == 1, "no extreme is a compromise"
