from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.model import Evaluation, Individual, Outcome, Prompt
from operators.front import coverage, drawn_order
from operators.minibatches import Minibatches


def member(number: int, *scores: float | None) -> Individual:
    outcomes = Evaluation.of(Outcome(row, score) for row, score in enumerate(scores))
    return Individual(number, Prompt.of(f"prompt {number}"), "seed", evaluation=outcomes)


def test_whoever_is_best_on_a_row_is_on_the_front_and_ties_count_for_each() -> None:
    members = [member(0, 1, 0, 0.5), member(1, 0, 1, 0.5), member(2, 0.9, 0.9, 0.4)]
    assert coverage(members, (0, 1, 2)) == {0: 2, 1: 2}


def test_who_is_matched_on_every_row_is_dominated_even_by_several() -> None:
    both, left, right = member(0, 1, 1, 0, 0), member(1, 1, 0, 1, 1), member(2, 0, 1, 1, 1)
    assert coverage([both, left, right], range(4)) == {1: 3, 2: 3}


def test_the_best_on_average_may_be_dominated() -> None:
    wide = member(0, *[1] * 8, 0, 0)
    members = [wide, member(1, *[1] * 5, 0, 0, 0, 1, 0), member(2, *[0] * 5, 1, 1, 1, 0, 1)]
    assert max(members, key=lambda one: one.fitness) is wide
    assert coverage(members, range(10)) == {1: 6, 2: 4}


def test_of_equals_the_fittest_stays_and_rows_without_a_score_count_for_nobody() -> None:
    assert coverage([member(4, 1, 1), member(3, 1, 1), member(5, 1, 1)], (0, 1)) == {3: 2}
    assert coverage([member(0, None, 0.5), member(1, None, 0.0)], (0, 1, 9)) == {0: 1}
    assert coverage([], (0, 1)) == {}


SCORES = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=5, max_size=5), min_size=1, max_size=7)


@given(SCORES)
def test_the_front_covers_every_row_with_nobody_to_spare(scores: list[list[float]]) -> None:
    members = [member(number, *own) for number, own in enumerate(scores)]
    front = coverage(members, range(5))
    best = [max(own[row] for own in scores) for row in range(5)]
    covers = {number: {row for row in range(5) if scores[number][row] == best[row]} for number in front}
    assert set().union(*covers.values()) == set(range(5))
    assert {number: len(rows) for number, rows in covers.items()} == front
    for number, rows in covers.items():
        others = set().union(*(covers[other] for other in front if other != number), set())
        assert not rows <= others
    assert coverage(members[::-1], range(5)) == front


def test_parents_are_drawn_in_proportion_to_the_rows_they_are_best_on() -> None:
    front = {3: 1, 5: 3, 8: 6}
    orders = [drawn_order(front, np.random.default_rng(seed)) for seed in range(2000)]
    assert {tuple(sorted(order)) for order in orders} == {(3, 5, 8)}
    first = Counter(order[0] for order in orders)
    for number, rows in front.items():
        assert first[number] / 2000 == pytest.approx(rows / 10, abs=0.04)
    assert drawn_order({}, np.random.default_rng(0)) == ()


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 5))
def test_an_epoch_of_minibatches_shows_every_row_and_none_twice_at_once(count: int, size: int, seed: int) -> None:
    rng, batches = np.random.default_rng(seed), Minibatches(tuple(range(count)), size)
    for _ in range(3):
        seen: Counter[int] = Counter()
        for _ in range(batches.count):
            rows, batches = batches.take(rng)
            assert len(set(rows)) == len(rows) == min(size, count)
            seen.update(rows)
        assert set(seen) == set(range(count))
        assert not batches.queue


def test_epochs_are_shuffled_anew() -> None:
    rng, batches, epochs = np.random.default_rng(1), Minibatches(tuple(range(30)), 30), []
    for _ in range(3):
        rows, batches = batches.take(rng)
        epochs.append(rows)
    assert all(one != other for one, other in pairwise(epochs))
