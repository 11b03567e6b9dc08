from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from operators.bandits import (
    Arm,
    Bandit,
    Contest,
    Name,
    Pull,
    SuccessiveHalving,
    SuccessiveRejects,
    Ucb,
    UcbE,
    Uniform,
    bandit,
)

NAMES = get_args(Name)
Score = Callable[[int, int], float | None]


def played(rule: Bandit, contest: Contest, score: Score) -> tuple[list[tuple[Pull, ...]], Contest]:
    """Return the steps a rule takes and the contest at their end."""
    steps: list[tuple[Pull, ...]] = []
    while pulls := rule.ask(contest):
        steps.append(pulls)
        contest = rule.tell(contest, {pull.arm: [score(pull.arm, row) for row in pull.rows] for pull in pulls})
        assert len(steps) <= contest.budget
    return steps, contest


def sizes(steps: list[tuple[Pull, ...]]) -> list[tuple[list[int], int]]:
    """Return the arms of each step and the rows of each of its pulls, which must be equal."""
    for pulls in steps:
        assert len({len(pull.rows) for pull in pulls}) == 1
    return [([pull.arm for pull in pulls], len(pulls[0].rows)) for pulls in steps]


def equal(arm: int, row: int) -> float:
    return 0.5


def by_place(arm: int, row: int) -> float:
    return arm / 100


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    arms=st.integers(1, 20),
    rows=st.integers(1, 60),
    keep=st.integers(1, 6),
    spare=st.integers(0, 300),
    c=st.sampled_from([0.0, 0.3, 2.0]),
    samples=st.integers(1, 12),
    width=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_no_rule_exceeds_its_budget_and_every_rule_ends(
    name: Any, arms: int, rows: int, keep: int, spare: int, c: float, samples: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    order = tuple(int(row) for row in rng.permutation(1000)[:rows])
    table: list[float | None] = [None, 0.0, 0.5, 1.0]
    rule = bandit(name, c=c, samples=samples, width=width)
    contest = Contest.of(arms, order, keep, arms + spare)
    steps, contest = played(rule, contest, lambda arm, row: table[int(rng.integers(4))])
    assert sum(len(pull.rows) for pulls in steps for pull in pulls) == contest.budget - contest.left
    assert contest.left >= 0
    assert len(contest.kept) == min(keep, arms) == len(set(contest.kept))
    for arm in range(arms):  # every arm has gone through the shared order from its beginning, no row twice
        seen = [row for pulls in steps for pull in pulls if pull.arm == arm for row in pull.rows]
        assert tuple(seen) == order[: len(seen)]
        assert contest.arms[arm].tried == len(seen)
    if arms > keep or name in ("uniform", "ucb", "ucb-e"):
        assert [pull.arm for pull in steps[0]] == list(range(arms))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0, None])
def test_where_all_are_equal_the_first_are_kept(name: Any, score: Any) -> None:
    _, contest = played(bandit(name), Contest.of(36, range(200), 4, 2048), lambda arm, row: score)
    assert contest.kept == (0, 1, 2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_best_are_kept_best_first_where_scores_hold_no_luck(name: Any) -> None:
    _, contest = played(bandit(name), Contest.of(36, range(200), 4, 2048), by_place)
    assert contest.kept == (35, 34, 33, 32)
    assert [contest.arms[arm].mean for arm in contest.kept] == pytest.approx([0.35, 0.34, 0.33, 0.32])


def hits(rule: Bandit) -> int:
    """Return how often, of 100 times, a rule finds the best of 16 arms with 30 pulls for each."""
    chances = np.array([0.6, *[0.45] * 8, *[0.2] * 7])
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        places = rng.permutation(16)
        table: list[list[float]] = (rng.random((16, 480)) < chances[places][:, None]).astype(float).tolist()
        _, contest = played(rule, Contest.of(16, range(480), 1, 480), partial(entry, table))
        found += int(places[contest.kept[0]] == 0)
    return found


def entry(table: list[list[float]], arm: int, row: int) -> float:
    return table[arm][row]


def test_every_rule_finds_the_best_arm_clearly_more_often_than_uniform() -> None:
    plain = hits(Uniform())
    assert 30 <= plain <= 65
    for rule in (Ucb(samples=4, width=2), UcbE(samples=4, width=2), SuccessiveRejects(), SuccessiveHalving()):
        assert hits(rule) >= plain + 12, rule


def test_uniform_gives_all_the_same_rows_at_once() -> None:
    steps, _ = played(Uniform(), Contest.of(3, (7, 5, 9, 1, 2), 1, 11), equal)
    assert steps == [tuple(Pull(arm, (7, 5, 9)) for arm in range(3))]


@pytest.mark.parametrize("rule", [Ucb(samples=4, width=2), UcbE(samples=4, width=2)])
def test_every_arm_is_pulled_once_before_any_is_pulled_again(rule: Bandit) -> None:
    steps, _ = played(rule, Contest.of(9, range(100), 1, 100), by_place)
    assert sizes(steps)[0] == (list(range(9)), 4)
    assert all(len(pulls) <= 2 for pulls in steps[1:])
    tight, _ = played(rule, Contest.of(9, range(100), 1, 20), by_place)
    assert sizes(tight)[0] == (list(range(9)), 2)


def contest_of(*arms: tuple[int, float]) -> Contest:
    """Return a contest in which arms have so many rows and such a mean, and 8 pulls are left."""
    known = tuple(Arm(n, n, n * mean) for n, mean in arms)
    rows = tuple(range(1000))
    return Contest(rows, 1, sum(arm.tried for arm in known) + 8, known, tuple(range(len(known))))


def test_ucb_adds_the_logarithm_of_all_pulls_over_those_of_the_arm() -> None:
    rule = Ucb(c=0.5, samples=4, width=1)
    low, high = 0.5 * math.sqrt(math.log(120) / 20), 0.5 * math.sqrt(math.log(120) / 100)
    for gap, arm in ((low - high - 0.01, 1), (low - high + 0.01, 0)):
        (pull,) = rule.ask(contest_of((100, 0.5 + gap), (20, 0.5)))
        assert pull.arm == arm
        assert len(pull.rows) == 4


def test_the_second_step_of_ucb_is_not_greedy_for_want_of_a_bonus() -> None:
    steps, contest = played(Ucb(samples=1, width=1), Contest.of(2, range(50), 1, 40), lambda arm, row: float(arm == 0))
    assert sizes(steps)[0] == ([0, 1], 1)
    assert contest.arms[1].tried >= 3


def test_the_bonus_of_ucb_grows_with_time_and_that_of_ucb_e_does_not() -> None:
    early = contest_of((40, 0.68), (10, 0.5), (10, 0.0))
    late = contest_of((40, 0.68), (10, 0.5), (600, 0.0))
    chosen = [Ucb(c=0.5, samples=8, width=1).ask(contest)[0].arm for contest in (early, late)]
    assert chosen == [0, 1]
    for c, arm in ((0.25, 0), (4.0, 1)):
        assert [UcbE(c=c, samples=8, width=1).ask(contest)[0].arm for contest in (early, late)] == [arm, arm]


def test_the_last_pulls_of_ucb_fit_what_is_left() -> None:
    steps, contest = played(Ucb(samples=4, width=3), Contest.of(3, range(100), 1, 12 + 10), by_place)
    assert [(len(arms), rows) for arms, rows in sizes(steps)] == [(3, 4), (2, 4), (1, 2)]
    assert contest.left == 0


@pytest.mark.parametrize("rule", [Ucb(samples=4, width=1), UcbE(samples=4, width=1)])
def test_the_budget_is_not_spent_on_an_arm_that_cannot_be_scored(rule: Bandit) -> None:
    def score(arm: int, row: int) -> float | None:
        return None if arm == 1 else 0.1 * arm

    _, contest = played(rule, Contest.of(3, range(100), 1, 40), score)
    assert contest.arms[1] == Arm(4)
    assert contest.left == 0
    assert contest.ranking == (2, 0, 1)


def test_a_missing_score_is_never_worth_zero() -> None:
    assert Arm().told([None, 1.0, None, 0.5]).mean == 0.75
    assert math.isnan(Arm(4).mean)


def test_successive_rejects_has_the_lengths_of_the_paper() -> None:
    arms, budget = 8, 200
    steps, contest = played(SuccessiveRejects(), Contest.of(arms, range(budget), 1, budget), by_place)
    norm = 0.5 + sum(1 / i for i in range(2, arms + 1))
    lengths = [math.ceil((budget - arms) / (norm * (arms + 1 - phase))) for phase in range(1, arms)]
    assert lengths == [11, 13, 15, 18, 22, 29, 44]
    taken = np.cumsum([rows for _, rows in sizes(steps)])
    assert list(taken) == lengths
    assert [len(arms) for arms, _ in sizes(steps)] == [8, 7, 6, 5, 4, 3, 2]
    assert 0 <= contest.left < arms


@pytest.mark.parametrize(("arms", "keep", "budget"), [(36, 4, 2048), (16, 1, 64), (5, 4, 10), (40, 3, 41), (9, 8, 500)])
def test_successive_rejects_spends_its_budget_and_no_more(arms: int, keep: int, budget: int) -> None:
    steps, contest = played(SuccessiveRejects(), Contest.of(arms, range(budget), keep, budget), by_place)
    assert len(contest.alive) == keep
    assert 0 <= contest.left <= arms
    assert all(rows > 0 for _, rows in sizes(steps))


def test_a_phase_without_new_rows_only_rejects() -> None:
    steps, contest = played(SuccessiveRejects(), Contest.of(20, range(100), 2, 30), by_place)
    assert len(steps) < 18
    assert contest.alive == (18, 19)


def test_successive_halving_drops_half_the_arms_in_each_stage() -> None:
    steps, contest = played(SuccessiveHalving(), Contest.of(36, range(2048), 4, 2048), by_place)
    assert [(len(arms), rows) for arms, rows in sizes(steps)] == [(36, 14), (18, 28), (9, 57), (5, 105)]
    assert [arms[0] for arms, _ in sizes(steps)] == [0, 18, 27, 31]
    assert contest.left < 36


def test_successive_halving_drops_half_the_arms_even_where_all_are_equal() -> None:
    steps, contest = played(SuccessiveHalving(), Contest.of(16, range(200), 1, 160), equal)
    assert [(arms, rows) for arms, rows in sizes(steps)] == [
        (list(range(16)), 2),
        (list(range(8)), 5),
        (list(range(4)), 11),
        (list(range(2)), 22),
    ]
    assert contest.kept == (0,)


@pytest.mark.parametrize("name", ["successive-rejects", "successive-halving", "ucb", "ucb-e"])
def test_where_nothing_is_to_be_chosen_at_most_one_pull_is_made(name: Any) -> None:
    steps, contest = played(bandit(name), Contest.of(3, range(50), 4, 1000), by_place)
    assert len(steps) <= 1
    assert contest.kept == ((2, 1, 0) if steps else (0, 1, 2))


def test_when_all_rows_are_used_the_choice_is_made() -> None:
    for name in NAMES:
        steps, contest = played(bandit(name), Contest.of(6, range(5), 2, 1000), by_place)
        assert contest.kept == (5, 4)
        assert sum(len(pulls) for pulls in steps) == 6


def test_a_contest_must_be_possible() -> None:
    with pytest.raises(ValueError, match="at least one row for each of 5 arms, got 4"):
        Contest.of(5, range(3), 1, 4)
    for arms, rows, keep in ((0, range(3), 1), (2, range(0), 1), (2, range(3), 0)):
        with pytest.raises(ValueError, match="expected arms, rows and arms to keep"):
            Contest.of(arms, rows, keep, 10)


@pytest.mark.parametrize("rule", [Ucb, UcbE])
@pytest.mark.parametrize("arguments", [{"c": -1}, {"samples": 0}, {"width": 0}])
def test_arguments_are_checked(rule: Any, arguments: Any) -> None:
    with pytest.raises(ConfigError, match=f"{rule.name} expects"):
        rule(**arguments)


def test_rules_are_found_by_name() -> None:
    assert [getattr(bandit(name), "name", None) for name in NAMES] == list(NAMES)
    assert bandit("ucb", c=0.5, samples=3, width=2) == Ucb(0.5, 3, 2)
    assert bandit("ucb-e", c=0.5, samples=3, width=2) == UcbE(0.5, 3, 2)
