from __future__ import annotations

import pytest
from records import born, write

from evo.best import Best, Estimate, Gain
from evo.budget import Usage
from evo.errors import EvoError
from evo.model import FAILED, Individual, Outcome, Prompt, individual_number
from evo.schema import evaluation_rows
from evo.verdict import finalists, looks_at_test, ranking, test_scores, verdict

test_scores.__test__ = False  # no test, though its name begins like one


def test_ties_go_to_the_shorter_then_the_older(tmp_path):
    path = write(
        tmp_path,
        [
            born(5, "same len A", [1, 0]),
            born(4, "same len B", [1, 0]),
            born(3, "longer text", [1, 0]),
            born(9, "z", [1, 1]),
        ],
    )
    assert ranking(path) == [9, 4, 5, 3]
    assert ranking(path, 2) == [9, 4]
    assert ranking(path, 0) == []


def test_a_text_is_ranked_once_at_its_best(tmp_path):
    path = write(tmp_path, [born(1, "a", [0, 1]), born(2, "a", [1, 1]), born(3, "b", [0, 1]), born(4, "a", [1, 1])])
    assert ranking(path) == [2, 3]


def test_luck_on_a_few_rows_does_not_win(tmp_path):
    path = write(tmp_path, [born(1, "a", [1, 0] * 10), born(2, "b", [1.0]), born(3, "c", [0.4] * 18 + [None] * 2)])
    assert ranking(path) == [1, 3]


def test_failed_and_unscored_births_are_not_ranked(tmp_path):
    failed = Individual(1, Prompt(()), "cloze", status=FAILED)
    path = write(tmp_path, [failed, born(2, "a", [None, None])])
    assert ranking(path) == []
    with pytest.raises(EvoError, match="no prompt was scored"):
        finalists(path)


def test_the_baseline_is_the_best_seed_prompt(tmp_path):
    seeds = [born(0, "seed a", [0, 0, 1]), born(1, "seed b", [0, 1, 1])]
    path = write(tmp_path, [*seeds, born(2, "child", [1, 1, 1], (1, "base"))])
    chosen = finalists(path)
    assert (chosen.winner.number, chosen.baseline.number, len(chosen.distinct)) == (2, 1, 2)


def test_a_seed_that_wins_is_tested_once(tmp_path):
    path = write(tmp_path, [born(0, "seed", [1, 1]), born(1, "child", [0, 1], (0, "base"))])
    chosen = finalists(path)
    assert chosen.winner == chosen.baseline
    assert len(chosen.distinct) == 1


def test_a_seed_prompt_stays_the_baseline_when_a_copy_of_it_ranks_first(tmp_path):
    # island 1's seed did better there; its copy on island 0 has the same evidence and the smaller number
    seed = born(individual_number(1, 0), "seed", [1, 1, 0])
    copy = born(7, "seed", [1, 1, 0], (seed.number, "migrant_of"), operator="migration")
    path = write(tmp_path, [born(0, "seed", [0, 1, 0]), seed, copy, born(8, "child", [1, 1, 1], (7, "base"))])
    assert finalists(path).baseline.prompt.text == "seed"


def test_the_baseline_is_a_seed_of_the_winners_kind(tmp_path):
    def on(island: int, sequence: int, text: str, scores: list[float], **more: str):
        return born(individual_number(island, sequence), text, scores, **more)

    seeds = [on(0, 0, "a", [1, 0, 1, 1]), on(1, 0, "a", [0, 0, 0, 1]), on(2, 0, "b", [0, 1, 0, 1])]
    path = write(tmp_path, [*seeds, on(1, 1, "child", [1, 1, 1, 1], operator="edit")])
    kin = {0: (0,), 1: (1, 2), 2: (1, 2)}
    assert finalists(path).baseline.number == seeds[0].number
    assert finalists(path, kin.__getitem__).baseline.number == seeds[2].number


def test_a_seed_dropped_early_is_still_what_the_winner_is_compared_with(tmp_path):
    path = write(tmp_path, [born(0, "seed", [0, 0]), born(1, "child", [1] * 10, (0, "base"))])
    assert finalists(path).baseline.number == 0


def test_the_verdict_pairs_the_winner_with_the_best_seed_on_shared_test_rows(tmp_path):
    winner = [Outcome(100 + row, 1.0) for row in range(40)] + [Outcome(200, None, error="lost")]
    seed = [Outcome(100 + row, float(row % 2)) for row in range(40)] + [Outcome(200, 1.0)]
    rows = [*evaluation_rows(1, winner, "test"), *evaluation_rows(0, seed, "test")]
    path = write(tmp_path, [born(0, "seed"), born(1, "child", [1, 1], (0, "base"))], evaluations=rows)
    assert len(test_scores(path, 1)) == 40
    result = verdict(path, finalists(path), status="done", spent=Usage(5, 6, None), elapsed_s=1.5, seed=0)
    assert result["winner"]["test"] == {
        "mean": 1.0,
        "low": pytest.approx(0.912, abs=1e-3),
        "high": pytest.approx(1),
        "n": 40,
    }
    assert result["baseline"]["test"]["n"] == 41
    assert (result["gain"]["mean"], result["gain"]["n"], result["gain"]["significant"]) == (0.5, 40, True)
    assert result["spent"] == {"calls": 5, "tokens": 6, "usd": None}
    assert (result["anytime"]["n"], result["anytime"]["e_value"] > 20, result["anytime"]["low"] > 0) == (40, True, True)
    again = verdict(path, finalists(path), status="done", spent=Usage(), elapsed_s=0.0, seed=0, looks=2)
    assert again["anytime"]["e_value"] == pytest.approx(result["anytime"]["e_value"] / 2)
    Best(finalists(path).winner, Estimate(**result["winner"]["test"]), Gain(**result["gain"]))
    assert result == verdict(path, finalists(path), status="done", spent=Usage(5, 6, None), elapsed_s=1.5, seed=0)


@pytest.mark.parametrize(
    ("winner", "tested", "looks", "now"),
    [(1, True, 1, 1), (2, True, 1, 2), (2, True, 2, 3), (2, False, 1, 1)],
    ids=["the same finalists", "another winner", "a third winner", "a winner that was never tested"],
)
def test_each_pair_of_finalists_is_another_look_at_the_test_rows(tmp_path, winner, tested, looks, now):
    path = write(tmp_path, [born(0, "seed"), born(1, "child", [1, 1], (0, "base"))])
    test = {"mean": 1.0, "low": 0.9, "high": 1.0, "n": 40} if tested else None
    earlier = {"winner": {"individual": winner, "test": test}, "baseline": {"individual": 0}, "looks": looks}
    assert looks_at_test(None, finalists(path)) == 1
    assert looks_at_test(earlier, finalists(path)) == now


def test_without_test_rows_there_is_no_test_score_and_no_gain(tmp_path):
    path = write(tmp_path, [born(0, "seed"), born(1, "child", [1, 1], (0, "base"))])
    result = verdict(path, finalists(path), status="budget", spent=Usage(), elapsed_s=0.0, seed=0)
    assert result["winner"]["test"] is result["baseline"]["test"] is result["gain"] is result["anytime"] is None


def test_where_no_seed_was_scored_there_is_no_gain(tmp_path):
    rows = evaluation_rows(1, [Outcome(100 + row, 1.0) for row in range(4)], "test")
    path = write(tmp_path, [born(1, "child", [1, 1], (0, "base"))], evaluations=rows)
    result = verdict(path, finalists(path), status="done", spent=Usage(), elapsed_s=0.0, seed=0)
    assert result["baseline"]["individual"] == 1
    assert result["baseline"]["test"]["n"] == 4
    assert result["gain"] is None
