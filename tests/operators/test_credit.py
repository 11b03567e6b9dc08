from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from breeding import individual

from evo.model import Evaluation, Outcome
from operators.credit import NOISE, SPREAD, Credit, drawn_operator, paired_gain


def with_gain(credit: Credit, gain: float, times: int) -> Credit:
    for _ in range(times):
        credit = credit.after(gain, fresh=True)
    return credit


def shares(credits: list[Credit], weights: dict[str, float], count: int = 4000) -> dict[str, float]:
    drawn = Counter(drawn_operator(credits, weights, np.random.default_rng(seed)) for seed in range(count))
    return {name: drawn[name] / count for name in weights}


def test_without_any_gain_the_belief_is_the_prior() -> None:
    assert Credit("edit").posterior(-0.1) == pytest.approx((-0.1, SPREAD))


def test_the_posterior_is_the_conjugate_one() -> None:
    mean, spread = Credit("edit").after(0.1, fresh=True).posterior(-0.05)
    precision = 1 / NOISE**2 + 1 / SPREAD**2
    assert mean == pytest.approx((0.1 / NOISE**2 - 0.05 / SPREAD**2) / precision)
    assert spread == pytest.approx(precision**-0.5)


def test_old_gains_fade() -> None:
    early, late = Credit("a"), Credit("b")
    for gain in (0.2, *[0.0] * 200):
        early = early.after(gain, fresh=True)
    for gain in (*[0.0] * 200, 0.2):
        late = late.after(gain, fresh=True)
    assert early.posterior(0)[0] < late.posterior(0)[0] / 5
    assert early.gains < 100


def test_a_birth_without_a_new_prompt_lowers_the_chance_and_not_the_gain() -> None:
    before = with_gain(Credit("a"), 0.05, 4)
    after = before.after(None, fresh=False)
    assert after.posterior(0) == before.posterior(0)
    assert after.validity < before.validity


def test_an_operator_whose_model_cannot_write_gives_way() -> None:
    hopeless = Credit("reflect")
    for _ in range(12):
        hopeless = hopeless.after(None, fresh=False)
    edits = with_gain(Credit("edit"), 0.0, 12)
    assert shares([hopeless, edits], {"reflect": 0.9, "edit": 0.1})["reflect"] < 0.3
    assert shares([Credit("reflect"), edits], {"reflect": 0.9, "edit": 0.1})["reflect"] > 0.5


def test_what_gains_more_is_drawn_more_than_its_prior_share() -> None:
    better, worse = with_gain(Credit("better"), 0.05, 30), with_gain(Credit("worse"), -0.05, 30)
    found = shares([better, worse], {"better": 0.5, "worse": 0.5})
    assert found["better"] > 0.9


def test_what_has_a_greater_weight_is_drawn_more_until_its_children_say_otherwise() -> None:
    weights = {"trusted": 0.8, "other": 0.2}
    assert 0.8 < shares([Credit("trusted"), Credit("other")], weights)["trusted"] < 0.98
    disappointed = [with_gain(Credit("trusted"), -0.15, 40), with_gain(Credit("other"), 0.0, 10)]
    assert shares(disappointed, weights)["trusted"] < 0.5


def test_what_is_surely_worse_is_left_to_chance_alone_whatever_its_prior() -> None:
    better, worse = with_gain(Credit("better"), 0.1, 60), with_gain(Credit("worse"), -0.1, 60)
    assert shares([better, worse], {"better": 0.05, "worse": 0.95})["worse"] < 0.02


def test_where_children_mostly_lose_an_untried_operator_is_no_better_believed_than_the_others() -> None:
    tried = with_gain(Credit("tried"), -0.2, 20)
    assert 0.3 < shares([tried, Credit("new")], {"tried": 0.5, "new": 0.5})["tried"] < 0.7


def test_an_operator_without_weight_is_never_drawn() -> None:
    assert shares([Credit("a"), with_gain(Credit("b"), 0.3, 9)], {"a": 1.0, "b": 0.0}, 200)["b"] == 0


def test_a_gain_is_paired_over_shared_rows() -> None:
    parent = individual(0, "Sort it.", evaluation=Evaluation.of([Outcome(0, 1.0), Outcome(1, 0.0), Outcome(2, 0.0)]))
    child = individual(1, "Sort it!", evaluation=Evaluation.of([Outcome(1, 1.0), Outcome(2, 0.0), Outcome(3, 1.0)]))
    assert paired_gain(child, parent) == pytest.approx(0.5)
    assert paired_gain(child, individual(2, "Other", evaluation=Evaluation.of([Outcome(9, 1.0)]))) is None
