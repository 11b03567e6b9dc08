import numpy as np
import pytest
from individuals import child, scored

from evo.errors import ConfigError
from evo.rivals import Rivals, Tally
from fitness.paired_test import PairedTest

ORDER = tuple(range(20))
RNG = np.random.default_rng(0)
WEAK, CLOSE = [0.0, 0.1] * 5, [0.8, 0.7] * 5


def following(newborn, *living, **arguments):
    return PairedTest(**{"block": 10, "keep": 2, **arguments}).next(newborn, Rivals(living), ORDER, RNG)


def test_blocks_follow_until_all_rows_or_the_most():
    assert following(child(1)) == ORDER[:10]
    assert following(child(1, WEAK)) == ORDER[10:]
    assert following(child(1, WEAK), most=15) == ORDER[10:15]
    assert following(child(1, WEAK * 2)) == ()


def test_a_newborn_is_dropped_when_as_many_as_are_kept_are_significantly_better():
    first, second = scored(2, [1.0, 0.9] * 10), scored(3, [0.9, 1.0] * 10)
    assert following(child(1, WEAK), first) == ORDER[10:]
    assert following(child(1, WEAK), first, second) is None
    assert following(child(1, WEAK), first, second, scored(4, WEAK), keep=3) == ORDER[10:]
    assert following(child(1, WEAK * 2), first, second) is None, "the last block counts too"


def test_without_a_number_all_who_live_must_be_better():
    first, equal = scored(2, [1.0, 0.9] * 10), scored(3, WEAK * 2)
    assert following(child(1, WEAK), first, keep=None) is None
    assert following(child(1, WEAK), first, equal, keep=None) == ORDER[10:]
    assert following(child(1, WEAK), keep=None) == ORDER[10:]


def test_alpha_sets_how_hard_the_race_is():
    noisy = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    worse = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]  # 3 rows lost and 1 won: p = 0.172
    assert following(child(1, worse), scored(2, noisy), keep=1, alpha=0.18) is None
    assert following(child(1, worse), scored(2, noisy), keep=1, alpha=0.16) == ORDER[10:]


def test_only_shared_rows_are_tested_and_ties_drop_nobody():
    assert following(child(1, WEAK), scored(2, dict.fromkeys(range(10, 20), 1.0)), keep=1) == ORDER[10:]
    assert following(child(1, WEAK), scored(2, WEAK), keep=1, alpha=0.5) == ORDER[10:]
    assert following(child(1, [None] * 10), scored(2, [1.0] * 10), keep=1) == ORDER[10:]


def test_seed_prompts_are_kept_and_the_dropped_are_no_rivals():
    assert following(scored(1, WEAK), scored(2, [1.0] * 10), keep=1) == ORDER[10:]
    assert following(child(1, WEAK), scored(2, [1.0] * 10, status="dropped"), keep=1) == ORDER[10:]


def test_the_living_get_nothing_more():
    assert PairedTest().more([scored(1, WEAK), scored(2, CLOSE)], Tally(1000), ORDER, RNG) is None


def test_sizes_for_the_estimate():
    assert (PairedTest().size(120), PairedTest(most=60).size(120), PairedTest(most=60).size(50)) == (120, 60, 50)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"block": 1}, "block of at least 2"),
        ({"most": 20}, "most of at least 30"),
        ({"alpha": 0.7}, "alpha from 0 to 0.5"),
        ({"keep": 0}, "keep of at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=f"racing paired-test: expected {words}"):
        PairedTest(**arguments)
