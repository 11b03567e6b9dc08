import math

import numpy as np
import pytest

from evo.statistics import (
    MANY,
    Interval,
    PairedDifference,
    difference_interval,
    mean_interval,
    paired_difference,
    wilson,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def keyed(values) -> dict[int, float]:
    return {number: float(value) for number, value in enumerate(values)}


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_published_values(successes, n, low, high):
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_narrows_with_lower_confidence():
    assert wilson(8, 10, 0.8).low > wilson(8, 10, 0.95).low


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (1, 0)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_out_of_range_is_refused(confidence):
    with pytest.raises(ValueError, match=r"0\.95 is usual"):
        wilson(1, 2, confidence)


def test_without_scores_nothing_is_known():
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert mean_interval([]) == Interval(0.0, 1.0)


def test_mean_interval_of_right_and_wrong_is_wilsons():
    assert mean_interval([1, 1, 0, 1]) == wilson(3, 4)


def test_mean_interval_of_one_value_is_wide_not_a_point():
    interval = mean_interval([0.5] * 10)
    assert interval.high - interval.low > 0.3


def test_mean_interval_repeats_itself():
    scores = rng(1).beta(2, 3, 50)
    assert mean_interval(scores) == mean_interval(scores)


@pytest.mark.parametrize("n", [8, 30])
def test_mean_interval_covers_the_truth(n):
    draw, held = rng(2), 0
    for _ in range(400):
        interval = mean_interval(draw.beta(2, 2, n), rng=draw)
        held += interval.low <= 0.5 <= interval.high
    assert held / 400 >= 0.93


def few_flawed(draw: np.random.Generator, n: int) -> np.ndarray:
    return np.where(draw.random(n) < 0.9, 1.0, draw.random(n))


@pytest.mark.parametrize("n", [10, 30, 60])
def test_rare_rows_that_few_draws_hold_do_not_make_the_intervals_too_sure(n):
    draw, means, gains = rng(n), 0, 0
    for _ in range(200):
        scores = few_flawed(draw, n)
        mean, gain = mean_interval(scores, rng=draw), difference_interval(1 - scores, rng=draw)
        means += mean.low <= 0.95 <= mean.high
        gains += gain.low <= 0.05 <= gain.high
    assert means / 200 >= 0.93
    assert gains / 200 >= 0.9


@pytest.mark.parametrize("p", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [10, 30, 100])
def test_wilson_covers_the_truth(n, p):
    held = sum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if wilson(k, n).low <= p <= wilson(k, n).high
    )
    assert held >= 0.91


@pytest.mark.parametrize(("win", "lose"), [(0.1, 0.1), (0.2, 0.05), (0.05, 0.0)])
@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_interval_of_right_and_wrong_pairs_covers_the_truth(n, win, lose):
    draw, held = rng(n), 0
    for _ in range(400):
        found = draw.choice([1, -1, 0], p=[win, lose, 1 - win - lose], size=n)
        difference = paired_difference(keyed(found > 0), keyed(found < 0), draw)
        held += difference.low <= win - lose <= difference.high
    assert held / 400 >= 0.93


def worlds(n: int, binary: bool, effect: float, seed: int):
    draw = rng(seed)
    for _ in range(400):
        level = draw.beta(3, 2, n)
        if binary:
            a = draw.random(n) < np.clip(level + effect, 0, 1)
            b = draw.random(n) < level
        else:
            a, b = (np.clip(level + shift + draw.normal(0, 0.1, n), 0, 1) for shift in (effect, 0.0))
        yield keyed(a), keyed(b), draw


@pytest.mark.parametrize(("n", "binary"), [(100, True), (100, False), (15, True), (15, False)])
def test_without_effect_the_interval_holds_zero_and_alarms_are_rare(n, binary):
    results = [paired_difference(a, b, draw) for a, b, draw in worlds(n, binary, 0.0, seed=n + binary)]
    assert 0.92 <= sum(result.low <= 0 <= result.high for result in results) / 400 <= (0.985 if n > 15 else 1)
    assert sum(result.significant for result in results) / 400 <= 0.07


def test_the_interval_holds_a_real_effect():
    draw, held = rng(11), 0
    for _ in range(400):
        b = draw.random(100) < 0.5
        a = np.where(draw.random(100) < 0.3, True, b)  # lifts half of the 30 % it touches: .15 on average
        difference = paired_difference(keyed(a), keyed(b), draw)
        held += difference.low <= 0.15 <= difference.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("binary", [True, False])
def test_a_large_gain_is_found(binary):
    found = sum(paired_difference(a, b, draw).significant for a, b, draw in worlds(50, binary, 0.35, seed=5))
    assert found / 400 > 0.9


def test_pairing_sees_what_two_separate_intervals_cannot():
    b = rng(3).random(100) * 0.8
    difference = paired_difference(keyed(b + 0.05 + rng(4).normal(0, 0.01, 100)), keyed(b), rng())
    assert difference.significant
    assert difference.mean == pytest.approx(0.05, abs=0.01)


def test_exact_mcnemar_value():
    a, b = [1] * 9 + [0] * 1 + [1] * 20, [0] * 9 + [1] * 1 + [1] * 20
    assert paired_difference(keyed(a), keyed(b), rng()).p_value == pytest.approx(22 / 1024)


def test_exact_sign_flip_value():
    difference = paired_difference(keyed([0.3, 0.4, 0.5]), keyed([0.2, 0.2, 0.2]), rng())
    assert difference.p_value == pytest.approx(2 / 8)


def test_p_value_of_many_examples_agrees_with_the_normal_limit():
    draw = rng(6)
    differences = draw.normal(0.02, 0.1, 200)
    z = abs(differences.mean()) / (np.sqrt((differences**2).sum()) / 200)
    expected = math.erfc(z / math.sqrt(2))
    found = paired_difference(keyed(0.5 + differences), keyed([0.5] * 200), draw)
    assert found.p_value == pytest.approx(expected, abs=0.01)


def test_the_same_scores_differ_by_nothing_but_not_surely():
    difference = paired_difference(keyed([1, 0] * 10), keyed([1, 0] * 10), rng())
    assert difference.mean == 0
    assert difference.p_value == 1.0
    assert difference.low < 0 < difference.high
    assert not difference.significant


def test_only_shared_examples_count():
    difference = paired_difference({1: 1.0, 2: 0.5, 3: 0.0}, {2: 0.25, 3: 0.0, 4: 1.0}, rng())
    assert (difference.n, difference.mean) == (2, 0.125)


def test_swapping_sides_mirrors_the_result():
    a, b = keyed(rng(7).random(40)), keyed(rng(8).random(40))
    there, back = paired_difference(a, b, rng(1)), paired_difference(b, a, rng(1))
    assert (back.mean, back.low, back.high) == (
        pytest.approx(-there.mean),
        pytest.approx(-there.high, abs=0.02),
        pytest.approx(-there.low, abs=0.02),
    )


def test_the_same_seed_gives_the_same_result():
    a, b = keyed(rng(7).random(40)), keyed(rng(8).random(40))
    assert paired_difference(a, b, rng(1)) == paired_difference(a, b, rng(1))


def test_no_shared_example_names_the_mend():
    with pytest.raises(ValueError, match="evaluate both prompts on the same examples"):
        paired_difference({1: 1.0}, {2: 1.0}, rng())


def test_significant_needs_test_and_interval():
    assert PairedDifference(0.1, 0.02, 0.2, 50, 0.01).significant
    assert not PairedDifference(0.1, -0.01, 0.2, 50, 0.01).significant
    assert not PairedDifference(0.1, 0.02, 0.2, 50, 0.06).significant


def test_the_interval_of_differences_is_that_of_the_paired_difference():
    a, b = rng(1).random(40), rng(2).random(40)
    paired = paired_difference(keyed(a), keyed(b), rng(3))
    assert difference_interval(a - b, rng=rng(3)) == Interval(paired.low, paired.high)
    assert difference_interval(a - b) == difference_interval(a - b)


def test_without_differences_nothing_is_known_and_one_says_little():
    assert difference_interval([]) == Interval(-1.0, 1.0)
    one = difference_interval([0.5])
    assert one.low < 0 < 0.5 < one.high


def test_many_differences_give_nearly_the_interval_of_the_bootstrap():
    many = rng(4).choice([-0.5, 0.0, 0.1, 1.0], size=MANY, p=[0.2, 0.5, 0.2, 0.1])
    few, quick = difference_interval(many[:-1]), difference_interval(many)
    width = quick.high - quick.low
    assert quick.low + quick.high == pytest.approx(2 * many.mean())
    assert (few.low, few.high) == (
        pytest.approx(quick.low, abs=0.05 * width),
        pytest.approx(quick.high, abs=0.05 * width),
    )


def test_many_equal_differences_still_leave_room():
    same = difference_interval([0.0] * (2 * MANY))
    assert -0.05 < same.low < 0 < same.high < 0.05
