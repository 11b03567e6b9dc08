"""Evidence that may be looked at any time: right values, errors bounded however often one looks, gains found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evo.betting import MOST, SHARES, anytime_difference, confidence_sequence, e_value


def flips(win: float, lose: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], p=[win, lose, 1 - win - lose], size=shape)


def moneys(differences: np.ndarray) -> np.ndarray:
    """Return the e-value after each row of each draw."""
    return np.exp([np.cumsum(np.log1p(share * differences), axis=1) for share in SHARES]).mean(axis=0)


def test_the_money_is_the_mean_over_shares_of_what_their_bets_came_to():
    differences = [1.0, -0.5, 0.25]
    expected = np.mean([math.prod(1 + share * d for d in differences) for share in SHARES])
    assert e_value(differences) == pytest.approx(expected)
    assert moneys(np.array([differences]))[0, -1] == pytest.approx(expected)


def test_the_order_of_rows_is_no_matter():
    differences = flips(0.3, 0.1, (1, 80))[0]
    assert e_value(differences) == pytest.approx(e_value(np.sort(differences)))
    assert confidence_sequence(differences) == pytest.approx(confidence_sequence(np.sort(differences)))


def test_who_stops_at_the_best_moment_is_wrong_no_more_often_than_promised():
    for win in (0.05, 0.2, 0.45):
        assert np.mean(moneys(flips(win, win, (3000, 400))).max(axis=1) >= 20) <= 0.05


def test_a_clear_gain_is_found_early_and_a_fair_one_in_time():
    clear, fair = moneys(flips(0.25, 0.05, (1000, 100))), moneys(flips(0.15, 0.05, (1000, 200)))
    assert np.mean(clear.max(axis=1) >= 20) > 0.85
    assert np.mean(fair.max(axis=1) >= 20) > 0.7
    assert np.median(np.argmax(clear >= 20, axis=1)[clear.max(axis=1) >= 20]) < 60


@pytest.mark.parametrize(("win", "lose"), [(0.1, 0.1), (0.3, 0.1), (0.05, 0.0)])
def test_the_sequence_holds_the_truth_at_all_looks_at_once(win: float, lose: float):
    kept = 0
    for differences in flips(win, lose, (150, 120), seed=5):
        looks = [confidence_sequence(differences[:n]) for n in range(15, 121, 15)]
        kept += all(low <= win - lose <= high for low, high in looks)
    assert kept / 150 >= 0.95


def test_sequence_and_e_value_tell_the_same_story():
    for differences in flips(0.2, 0.1, (60, 150), seed=3):
        low, _ = confidence_sequence(differences)
        assert (low > 0) == (e_value(differences) > 40)


def test_swapped_sides_mirror_the_sequence():
    differences = flips(0.3, 0.1, (1, 60))[0]
    low, high = confidence_sequence(differences)
    assert confidence_sequence(-differences) == (-high, -low)


def test_without_rows_nothing_is_known():
    found = anytime_difference({1: 1.0}, {2: 0.0})
    assert (found.e_value, found.low, found.high, found.n) == (1.0, -1.0, 1.0, 0)


def test_ever_so_many_wins_give_a_number_json_can_hold():
    assert e_value([1.0] * 5000) == pytest.approx(MOST, rel=1e10)
    assert math.isfinite(e_value([1.0] * 5000))
    assert 0 <= e_value([-1.0] * 5000) < 1e-9


def test_only_shared_rows_count():
    found = anytime_difference({1: 1.0, 2: 0.5}, {2: 0.25, 3: 1.0})
    assert (found.n, found.e_value) == (1, pytest.approx(e_value([0.25])))


def test_each_further_claim_on_the_same_rows_needs_twice_the_evidence():
    a, b = dict.fromkeys(range(40), 1.0), dict.fromkeys(range(40), 0.5)
    first, second = anytime_difference(a, b), anytime_difference(a, b, claim=2)
    assert second.e_value == pytest.approx(first.e_value / 2)
    assert second.low < first.low < first.high < second.high


@pytest.mark.parametrize("differences", [[1.5], [float("nan")]])
def test_differences_out_of_range_are_refused(differences: list[float]):
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        e_value(differences)


def test_confidence_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"0\.95 is usual"):
        confidence_sequence([0.0], 95)
