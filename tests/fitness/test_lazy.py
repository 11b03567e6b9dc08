from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest
from individuals import child, scored

from evo.errors import ConfigError
from evo.rivals import Rivals, Tally
from fitness.lazy import Lazy, chance_above

ORDER = tuple(range(60))
RICH = Tally(admitted=1000)


def rng(seed=0):
    return np.random.default_rng(seed)


def following(newborn, *living, policy=None):
    return (policy or Lazy()).next(newborn, Rivals(living), ORDER, rng())


def test_a_newborn_is_admitted_block_by_block():
    assert following(child(1)) == ORDER[:10]
    assert following(child(1, [0.5] * 10)) == ORDER[10:20]
    assert following(child(1, [0.5] * 20)) == ()
    assert following(child(1, [0.5] * 10), policy=Lazy(n0=14)) == ORDER[10:14]
    assert following(child(1, [None] * 20)) == ()


def test_a_newborn_far_behind_the_worst_of_the_living_is_dropped_on_the_way():
    living = (scored(2, [1.0] * 20), scored(3, [0.9] * 20))
    assert following(child(1, [0.0] * 10), *living) is None
    assert following(child(1, [0.9] * 10), *living) == ORDER[10:20]
    assert following(child(1, [0.0] * 20), *living) == ()
    assert following(child(1, [0.0] * 10), *living, policy=Lazy(drop=0)) == ORDER[10:20]


def test_the_worst_is_the_bar_and_the_rows_are_shared():
    far, near = scored(2, [1.0] * 20), scored(3, [0.0] * 20)
    assert following(child(1, [0.0] * 10), far, near) == ORDER[10:20]
    elsewhere = scored(4, dict.fromkeys(range(40, 60), 1.0))
    assert following(child(1, [0.0] * 10), elsewhere) == ORDER[10:20]


def test_without_rivals_or_parents_nobody_is_dropped():
    assert following(child(1, [0.0] * 10)) == ORDER[10:20]
    assert following(scored(1, [0.0] * 10), scored(2, [1.0] * 20)) == ORDER[10:20]


def test_the_chance_is_that_of_the_normal_posterior():
    # three differences of mean 1/3 and sum of squares 2/3: variance (2/3 + 1/2) / 4 / 3
    variance, prior = 7 / 72, 0.25
    mean = (1 / 3) * prior / (prior + variance)
    spread = (variance * prior / (variance + prior)) ** 0.5
    assert chance_above([0.0, 1.0, 0.0], 0.5) == pytest.approx(NormalDist(mean, spread).cdf(0) * -1 + 1)
    assert chance_above([0.0] * 10, 0.06) == 0.5
    assert chance_above([1.0], 0.06) == chance_above([], 0.06) == 0.5
    assert chance_above([0.1] * 10, 0.06) == pytest.approx(1 - chance_above([-0.1] * 10, 0.06))


def test_the_share_for_the_living_is_never_passed():
    living = [scored(2, [0.5] * 20), scored(3, [0.5] * 20)]
    policy = Lazy(share=0.5)
    assert policy.more(living, Tally(admitted=38, added=10), ORDER, rng()) is None
    assert len(policy.more(living, Tally(admitted=40, added=10), ORDER, rng()).examples) == 10
    assert Lazy(share=0).more(living, RICH, ORDER, rng()) is None
    short = [scored(2, [0.5] * 57), scored(3, [0.5] * 57)]
    assert len(policy.more(short, Tally(admitted=26, added=10), ORDER, rng()).examples) == 3


def test_more_is_for_members_with_rows_left_that_nobody_is_scoring():
    full, busy, free = scored(2, [1.0] * 60), scored(3, [0.9] * 20), scored(4, [0.1] * 20)
    tally = Tally(admitted=1000, busy=frozenset({3}))
    found = [Lazy().more([full, busy, free], tally, ORDER, rng(seed)) for seed in range(20)]
    assert {(one.individual.number, one.examples) for one in found} == {(4, ORDER[20:30])}
    assert Lazy().more([full, scored(5, [0.5] * 60)], RICH, ORDER, rng()) is None


def test_alone_or_dropped_nobody_gets_more():
    assert Lazy().more([scored(2, [0.5] * 20)], RICH, ORDER, rng()) is None
    assert Lazy().more([scored(2, [0.5] * 20), scored(3, [0.5] * 20, status="dropped")], RICH, ORDER, rng()) is None


def test_the_two_best_get_most_of_it_and_the_order_of_the_living_does_not_matter():
    living = [scored(number, [0.9 if number < 3 else 0.3] * 20) for number in range(1, 7)]
    chosen = [Lazy().more(living, RICH, ORDER, rng(seed)).individual.number for seed in range(200)]
    backwards = [Lazy().more(living[::-1], RICH, ORDER, rng(seed)).individual.number for seed in range(200)]
    assert chosen == backwards
    counts = Counter(chosen)
    assert counts[1] + counts[2] > 190
    assert min(counts[1], counts[2]) > 60


def test_the_lucky_with_few_rows_are_drawn_before_the_proven():
    lucky, proven, poor = scored(1, [0.8] * 10), scored(2, [0.8] * 50), scored(3, [0.2] * 50)
    counts = Counter(
        Lazy().more([lucky, proven, poor], RICH, ORDER, rng(seed)).individual.number for seed in range(200)
    )
    assert counts[3] < 10
    assert counts[1] > 80


def test_its_size_is_what_a_newborn_takes():
    assert (Lazy().size(200), Lazy().size(7)) == (20, 7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n0": 0}, "n0 of at least 1, got 0"),
        ({"block": 0}, "block of at least 1"),
        ({"drop": 0.6}, "drop from 0 to 0.5"),
        ({"prior_sd": 0}, "prior_sd from 0.001"),
        ({"share": -1}, "share from 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=f"racing lazy: expected {words}"):
        Lazy(**arguments)
