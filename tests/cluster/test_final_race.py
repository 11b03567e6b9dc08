"""The final race: the best get the dev rows they lack, side by side, within what was set aside for it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from cluster.final_race import _survivors
from cluster.sides import Side
from evo import Run, evolve, resume
from evo.budget import RACE_SHARE
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.replay import individuals_now, read_individuals
from evo.schema import FINAL_STEP
from evo.verdict import ranking
from fitness.toy import toy_rows

DEV, FEW = 120, 20
ROWS = toy_rows(DEV + 40)


def run(storage: Path, **more: Any) -> Run:
    settings: dict[str, Any] = {
        "prompts": ["Sort the text.", "What is the mood?", "Positive or negative?", "Read the review."],
        "racing": {"name": "subset", "n": FEW},
        "budget": {"births": 12, "calls": 2000},
        "executor": "inline",
        "concurrency": 8,
        "storage": str(storage),
        "seed": 1,
        **more,
    }
    return evolve({"data": {"dev": ROWS[:DEV], "test": ROWS[DEV:]}, "scorer": "choice"}, model="fake/toy", **settings)


def raced(run: Run) -> dict[int, list[int]]:
    """Return the dev rows each contender was given in the race."""
    found = defaultdict(list)
    for row in run.evaluations().to_pylist():
        if row["step"] == FINAL_STEP:
            assert row["split"] == "dev"
            found[row["individual"]].append(row["example"])
    return dict(found)


def test_the_best_four_are_given_the_rows_they_lack_and_one_of_them_wins(tmp_path):
    ended = run(tmp_path)
    rows = raced(ended)
    assert len(rows) == 4
    assert len({len(given) for given in rows.values()}) > 1 or all(len(given) == DEV - FEW for given in rows.values())
    for given in rows.values():
        assert len(set(given)) == len(given) <= DEV - FEW
    assert ended.result["winner"]["individual"] in rows
    assert ended.result["winner"]["dev"]["n"] == FEW + len(rows[ended.result["winner"]["individual"]])
    assert max(map(len, rows.values())) == len(rows[ended.result["winner"]["individual"]]), "nobody outlives the winner"


def test_what_the_race_found_is_known_of_individuals_from_then_on(tmp_path):
    ended = run(tmp_path)
    known = {row["id"]: row for row in individuals_now(ended.path).to_pylist()}
    for one in read_individuals(ended.path, numbers=list(raced(ended))):
        assert known[one.number]["n_scored"] == one.evaluation.count
        assert known[one.number]["fitness"] == pytest.approx(one.fitness)


def test_there_is_no_race_where_all_dev_rows_are_known_nor_where_none_is_wanted(tmp_path):
    assert not raced(run(tmp_path / "full", racing={"name": "full"}))
    assert not raced(run(tmp_path / "one", final_race=1))


def test_the_race_takes_no_more_than_its_share_of_a_cap_and_leaves_the_test_its_own(tmp_path):
    cap = 700
    ended = run(tmp_path, budget={"calls": cap})
    assert 0 < sum(map(len, raced(ended).values())) <= RACE_SHARE * cap + 4
    assert ended.result["winner"]["test"]["n"] == len(ROWS) - DEV
    assert ended.spent.calls <= cap
    assert ended.status == "done"


def test_a_run_without_test_rows_races_too(tmp_path):
    task = {"data": {"dev": ROWS[:DEV]}, "scorer": "choice"}
    racing = {"name": "subset", "n": FEW}
    ended = evolve(
        task,
        model="fake/toy",
        racing=racing,
        budget={"calls": 400},
        prompts=["Sort the text.", "What is the mood?"],
        executor="inline",
        storage=str(tmp_path),
    )
    assert 0 < sum(map(len, raced(ended).values())) <= RACE_SHARE * 400


def test_a_run_that_is_resumed_with_more_goes_on_and_races_again(tmp_path):
    first = run(tmp_path, budget={"births": 6})
    again = resume(first.path, budget={"births": 16})
    assert len(again.individuals()) > len(first.individuals()) - 1
    for given in raced(again).values():
        assert len(set(given)) == len(given), "no row is given to a prompt twice"
    assert ranking(again.path, 1) == [again.result["winner"]["individual"]]


def one(number: int, right: int) -> Side:
    outcomes = tuple(Outcome(row, float(row < right)) for row in range(50))
    return Side(Individual(number, Prompt.of(f"p{number}"), "seed", evaluation=Evaluation(outcomes)), 0, frozenset())


def test_a_clear_loser_is_out_early():
    assert [side.individual.number for side in _survivors([one(1, 40), one(2, 39), one(3, 20)])] == [1, 2]


def test_the_baseline_is_never_out():
    assert [side.individual.number for side in _survivors([one(1, 40), one(2, 20), one(3, 20)], 3)] == [1, 3]


@pytest.mark.parametrize("contenders", [2, 4])
def test_with_folds_the_gain_over_the_best_seed_prompt_rests_on_all_rows_that_the_race_comes_to(tmp_path, contenders):
    ended = evolve(
        {"data": ROWS, "scorer": "choice", "split": {"folds": 5}},
        model="fake/toy",
        method="steady-state",
        prompts=["What is the mood?"],
        racing={"name": "subset", "n": FEW},
        final_race=contenders,
        budget={"births": 20, "calls": 4000},
        executor="inline",
        storage=str(tmp_path),
    )
    result = ended.result
    dev = len(ROWS) * 9 // 10
    assert result["winner"]["individual"] != result["baseline"]["individual"]
    assert result["winner"]["dev"]["n"] == result["baseline"]["dev"]["n"] == dev
    assert result["crossed"]["gain"]["n"] == result["crossed"]["n"] == dev
    assert result["baseline"]["individual"] in raced(ended)
