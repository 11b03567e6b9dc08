from __future__ import annotations

import math
import random  # noqa: TID251 - the state DEAP draws from must be left as it was
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import failed, individual
from hypothesis import given
from hypothesis import strategies as st

from evo.model import Evaluation, Individual, Outcome, Prompt
from operators.selection import best, duel, random_parents, ranked_on, roulette, tournament

SCORES = (0.1, 0.2, 0.3, 0.4)
FOUR = [individual(number, f"prompt {number}", score) for number, score in enumerate(SCORES)]
DRAWS = 8_000


def unscored(number: int) -> Individual:
    return Individual(number, Prompt.of(f"prompt {number}"), "seed", evaluation=Evaluation.of([Outcome(0, None)]))


def shares(drawn: Any) -> dict[int, float]:
    counts = Counter(one.number for one in drawn)
    return {number: count / sum(counts.values()) for number, count in counts.items()}


def test_roulette_draws_in_proportion_to_fitness() -> None:
    found = shares(roulette(FOUR, DRAWS, np.random.default_rng(0)))
    for number, score in enumerate(SCORES):
        assert found[number] == pytest.approx(score, abs=4 * math.sqrt(score * (1 - score) / DRAWS))


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0, None])
def test_roulette_is_uniform_when_all_are_equal(score: Any) -> None:
    field = [unscored(n) if score is None else individual(n, f"prompt {n}", score) for n in range(4)]
    found = shares(roulette(field, DRAWS, np.random.default_rng(0)))
    assert found == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.02)


def test_roulette_never_draws_what_has_no_fitness_beside_what_has() -> None:
    field = [individual(0, "a", 0.0), unscored(1), individual(2, "c", 0.01)]
    assert shares(roulette(field, 100, np.random.default_rng(0))) == {2: 1.0}


def test_tournament_and_duel_draw_as_their_schemes_say() -> None:
    rng = np.random.default_rng(0)
    with_replacement = shares(tournament(FOUR, 2, rng) for _ in range(DRAWS))
    without = shares(duel(FOUR, rng) for _ in range(DRAWS))
    for rank in range(4):  # of n: ((rank + 1)^2 - rank^2) / n^2, and rank / (n choose 2)
        assert with_replacement[rank] == pytest.approx((2 * rank + 1) / 16, abs=0.02)
        assert without.get(rank, 0.0) == pytest.approx(rank / 6, abs=0.02)


def test_ties_go_to_the_shorter_then_the_older() -> None:
    tied = [individual(5, "short"), individual(3, "much longer"), individual(4, "tiny!")]
    assert [one.number for one in best(tied, 3)] == [4, 5, 3]
    assert tournament(tied, 50, np.random.default_rng(0)).number == 4


@pytest.mark.parametrize("draw", [lambda rng: roulette(FOUR, 5, rng), lambda rng: tournament(FOUR, 2, rng)])
def test_the_global_random_state_is_untouched_and_unread(draw: Any) -> None:
    random.seed(1)
    kept = random.getstate()
    first = draw(np.random.default_rng(3))
    assert random.getstate() == kept
    random.seed(2)
    assert draw(np.random.default_rng(3)) == first


def test_the_global_random_state_is_restored_after_an_error() -> None:
    kept = random.getstate()
    with pytest.raises(IndexError):
        tournament([], 2, np.random.default_rng(0))
    assert random.getstate() == kept


def test_random_parents_hold_different_places() -> None:
    rng = np.random.default_rng(0)
    twins = [FOUR[0], FOUR[0], FOUR[1]]
    pairs = [random_parents(twins, rng) for _ in range(600)]
    assert sum(a == b for a, b in pairs) == pytest.approx(200, abs=50)
    assert random_parents(FOUR[:1], rng) == (FOUR[0], FOUR[0])


FIELD = st.lists(
    st.builds(individual, st.integers(0, 9), st.sampled_from("abcde"), st.sampled_from([0.0, 0.5, 1.0])),
    max_size=12,
    unique_by=lambda one: one.number,
)


@given(field=FIELD, n=st.integers(1, 6), seed=st.integers(0, 99))
def test_truncation_does_not_depend_on_order_or_batches(field: Any, n: Any, seed: Any) -> None:
    chosen = best(field, n)
    assert len(chosen) <= n
    assert len({one.prompt for one in chosen}) == len(chosen)
    shuffled = [field[place] for place in np.random.default_rng(seed).permutation(len(field))]
    one_by_one: tuple[Individual, ...] = ()
    for one in shuffled:
        one_by_one = best((*one_by_one, one), n)
    assert best(shuffled, n) == chosen == one_by_one


def test_failed_births_are_never_chosen() -> None:
    assert best([failed(1), FOUR[0], unscored(2)], 5) == (FOUR[0],)


def test_prompts_that_show_a_model_the_same_are_one_candidate() -> None:
    plain = individual(1, "same", 0.5)
    gifted = replace(individual(2, "same", 0.75), prompt=plain.prompt.with_part("_mutation-prompt", "Change it."))
    assert best([plain, gifted], 2) == (gifted,)
    assert ranked_on([plain, gifted], [o.example for o in plain.evaluation.outcomes]) == (gifted,)
