import numpy as np
import pytest
from individuals import child, scored

from evo.errors import ConfigError
from evo.rivals import Rivals, Tally
from fitness.halving import Halving

ORDER = tuple(range(20))
RNG = np.random.default_rng(0)
POLICY = Halving((2, 6, 18), 3)


def at_rung(*means, rows=2, first=10):
    return tuple(scored(first + place, [mean] * rows, status="dropped") for place, mean in enumerate(means))


def following(newborn, living=(), raced=()):
    return POLICY.next(newborn, Rivals(living, (), raced), ORDER, RNG)


def test_a_newborn_begins_on_the_first_rung():
    assert following(child(1), raced=at_rung(1.0, 1.0, 1.0)) == ORDER[:2]


def test_the_top_third_goes_on_and_of_equals_both():
    raced = at_rung(0.1, 0.2, 0.3, 0.4, 0.8)
    assert following(child(1, [0.9] * 2), raced=raced) == ORDER[2:6]
    assert following(child(1, [0.5] * 2), raced=raced) == ORDER[2:6], "second of six"
    assert following(child(1, [0.4] * 2), raced=raced) == ORDER[2:6], "shares the second place"
    assert following(child(1, [0.3] * 2), raced=raced) is None


def test_with_too_few_to_compare_it_goes_on():
    assert following(child(1, [0.0] * 2), raced=at_rung(1.0)) == ORDER[2:6]
    assert following(child(1, [0.0] * 2), raced=at_rung(1.0, 1.0)) is None
    assert following(child(1, [None] * 2), raced=at_rung(1.0, 1.0)) == ORDER[2:6]


def test_the_living_count_once_and_by_what_is_known_now():
    living = at_rung(0.0, 0.0, rows=18)
    assert following(child(1, [0.5] * 2), living, at_rung(1.0, 1.0)) == ORDER[2:6]


def test_only_those_who_were_at_the_rung_are_compared_and_only_on_its_rows():
    raced = (*at_rung(1.0, 1.0, 1.0), *at_rung(0.0, 0.0, rows=6, first=20))
    assert following(child(1, [0.5] * 6), raced=raced) == ORDER[6:18]
    later = tuple(scored(20 + n, [0.0] * 2 + [1.0] * 16) for n in range(4))
    assert following(child(1, [0.5] * 2), raced=later) == ORDER[2:6]


def test_after_the_last_rung_it_is_enough_and_seed_prompts_take_them_all():
    raced = at_rung(1.0, 1.0, 1.0, rows=18)
    assert following(child(1, [0.0] * 18), raced=raced) == ()
    assert following(scored(1, [0.0] * 2), raced=raced) == ORDER[2:6]
    assert POLICY.next(child(1, [0.0] * 5), Rivals((), (), raced), ORDER[:5], RNG) == (), "the rows are used up"


def test_the_living_get_nothing_more():
    assert POLICY.more(at_rung(1.0, 1.0), Tally(1000), ORDER, RNG) is None


def test_sizes_for_the_estimate():
    assert (Halving().size(500), Halving().size(120)) == (270, 120)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rungs": ()}, "rungs that grow"),
        ({"rungs": [0, 4]}, "rungs that grow"),
        ({"rungs": [4, 4]}, "rungs that grow"),
        ({"eta": 1}, "eta of at least 2"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=f"racing halving: expected {words}"):
        Halving(**arguments)
