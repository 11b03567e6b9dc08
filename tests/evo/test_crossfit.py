"""What a winner's score is worth on rows that did not choose it, where none are kept for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from records import born, write

import evo
from evo.cli.report import report_lines
from evo.cli.text import percent
from evo.crossfit import crossed_scores
from evo.errors import ConfigError
from evo.settings import SplitSettings
from fitness.splits import split_rows
from fitness.toy import toy_rows


def test_a_rows_score_is_that_of_who_is_best_on_the_other_folds(tmp_path: Path) -> None:
    # Rows 0, 2 are one fold and 1, 3 the other: each prompt is perfect on the fold that the other one fails.
    path = write(tmp_path, [born(0, "a", [1, 0, 1, 0]), born(1, "b", [0, 1, 0, 1])])
    assert crossed_scores(path, [0, 1], [0, 1, 2, 3], 2) == {0: 0.0, 2: 0.0, 1: 0.0, 3: 0.0}


def test_a_prompt_that_is_best_everywhere_has_its_own_score(tmp_path: Path) -> None:
    scores = [1.0, 1.0, 0.0, 1.0, 1.0, 0.5]
    path = write(tmp_path, [born(0, "a", [0.0] * 6), born(1, "b", scores)])
    assert crossed_scores(path, [1, 0], range(6), 3) == dict(enumerate(scores))


def test_rows_that_the_chosen_one_lacks_are_left_out_and_more_folds_than_rows_are_one_each(tmp_path: Path) -> None:
    path = write(tmp_path, [born(0, "a", [1, None, 1]), born(1, "b", [0, 0, 0])])
    assert crossed_scores(path, [0, 1], [0, 1, 2], 50) == {0: 1.0, 2: 1.0}


def test_the_choice_among_equals_is_not_flattered(tmp_path: Path) -> None:
    rng, dev, crossed = np.random.default_rng(0), [], []
    for draw in range(12):
        scores = (rng.random((30, 40)) < 0.5).astype(float)
        folder = tmp_path / str(draw)
        folder.mkdir()
        path = write(folder, [born(number, f"p{number}", row) for number, row in enumerate(scores)])
        dev.append(scores.mean(axis=1).max())
        crossed.append(np.mean(list(crossed_scores(path, range(30), range(40), 5).values())))
    assert np.mean(dev) > 0.62
    assert abs(np.mean(crossed) - 0.5) < 0.06


def test_with_folds_no_row_is_kept_for_a_test() -> None:
    rows = [str(number) for number in range(50)]
    found = split_rows(rows, ["a", "b"] * 25, SplitSettings(folds=5), 0)
    assert (len(found.train), len(found.dev), len(found.test)) == (5, 45, 0)
    assert found.train == split_rows(rows, ["a", "b"] * 25, SplitSettings(), 0).train


def test_a_run_on_few_rows_ends_with_a_cross_fitted_score_and_says_what_it_is(tmp_path: Path) -> None:
    run = evo.evolve(
        {"data": toy_rows(50), "scorer": "choice", "split": {"folds": 5}},
        prompts=["Sort the text.", "What is the mood?"],
        model="fake/toy",
        budget={"calls": 1200},
        executor="inline",
        storage=str(tmp_path),
    )
    result = run.result
    assert result is not None
    assert result["winner"]["test"] is None
    crossed = result["crossed"]
    assert crossed["n"] == 45
    assert crossed["low"] <= crossed["mean"] <= result["winner"]["dev"]["mean"] + 1e-9
    assert crossed["gain"]["mean"] == pytest.approx(crossed["mean"] - result["baseline"]["dev"]["mean"])
    said = "\n".join(report_lines(run))
    assert "each under what the other folds chose" in said
    assert "the search is not" in said
    assert "test   none: folds stand in for it" in said
    assert f"seed   {percent(result['baseline']['dev']['mean'])} on 45 dev rows, not tested" in said
    assert "no test rows were scored" not in said
    assert "not scored" not in said


def test_folds_beside_test_rows_are_refused(tmp_path: Path) -> None:
    rows = toy_rows(50)
    with pytest.raises(ConfigError, match=r"split\.folds: expected no test rows.*leave out one"):
        evo.evolve(
            {"data": {"dev": rows[:30], "test": rows[30:]}, "scorer": "choice", "split": {"folds": 5}},
            prompts=["Sort the text."],
            model="fake/toy",
            executor="inline",
            storage=str(tmp_path),
        )
