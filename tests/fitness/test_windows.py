import numpy as np
import pytest
from individuals import child, scored

from evo.errors import ConfigError
from evo.rivals import Rivals, Tally
from fitness.windows import Fresh, Growing

ORDER = tuple(range(10, 20))
RNG = np.random.default_rng(0)
BRED = Tally(generation=1)


def on(number, rows, generation=0):
    return scored(number, dict.fromkeys(rows, 0.5), generation=generation)


def test_the_window_moves_on_and_comes_round():
    policy = Fresh(4)
    assert policy.window(0, ORDER) == (10, 11, 12, 13)
    assert policy.window(1, ORDER) == (14, 15, 16, 17)
    assert policy.window(2, ORDER) == (18, 19, 10, 11)
    assert Fresh(50).window(3, ORDER[:3]) == (10, 11, 12)


def test_seed_prompts_are_scored_on_the_first_window_whoever_was_told_before():
    policy = Fresh(4)
    assert policy.next(scored(1), Rivals(), ORDER, RNG) == ORDER[:4]
    assert policy.next(scored(2), Rivals((on(1, ORDER[:4]),)), ORDER, RNG) == ORDER[:4]


@pytest.mark.parametrize("policy", [Fresh(4), Growing(4, 4)])
def test_children_and_the_living_get_one_window(policy):
    living = (on(1, ORDER[:4]), on(2, ORDER[:8], generation=1))
    rows = policy.next(child(3), Rivals(living), ORDER, RNG)
    assert set(rows) == set(policy.window(2, ORDER))
    assert policy.next(scored(4), Rivals(living), ORDER, RNG) == rows, "one induced without parents too"
    request = policy.more(living, BRED, ORDER, RNG)
    assert request.individual.number == 1
    topped = tuple(one.with_evidence_of(on(one.number, rows)) for one in living)
    assert policy.more(topped, BRED, ORDER, RNG) is None


@pytest.mark.parametrize("policy", [Fresh(4), Growing(4, 4)])
def test_nobody_is_topped_up_before_anything_is_bred_nor_twice_at_once(policy):
    living = (on(1, ORDER[:4]), on(2, ORDER[:4]))
    assert policy.more(living, Tally(), ORDER, RNG) is None
    busy = Tally(generation=1, busy=frozenset({1}))
    assert policy.more(living, busy, ORDER, RNG).individual.number == 2
    assert policy.more(living, Tally(generation=1, busy=frozenset({1, 2})), ORDER, RNG) is None


def test_growing_takes_the_first_rows_and_stops_at_its_most():
    policy = Growing(2, 3, 7)
    assert [len(policy.window(number, ORDER)) for number in range(4)] == [2, 5, 7, 7]
    assert policy.window(1, ORDER) == ORDER[:5]
    assert Growing(2, 3).window(9, ORDER) == ORDER


def test_rows_that_were_tried_are_left_out():
    assert Growing(4, 4).next(child(3, {10: None, 12: 1.0}), Rivals(), ORDER, RNG) == (11, 13, 14, 15, 16, 17)


def test_sizes_for_the_estimate():
    assert (Fresh(20).size(100), Fresh(20).size(5), Growing(20).size(100), Growing(20).size(8)) == (20, 5, 20, 8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fresh(0), "racing fresh: expected n of at least 1"),
        (lambda: Growing(0), "racing growing: expected n of at least 1"),
        (lambda: Growing(step=-1), "step of at least 0"),
        (lambda: Growing(20, most=10), "most of at least 20, got 10"),
    ],
)
def test_arguments_out_of_range_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
