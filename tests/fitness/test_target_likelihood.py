from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from evo.errors import ConfigError
from evo.model import Completion, Example, Prompt, Request
from evo.settings import ModelSettings, NamedSettings, TaskSettings
from fitness.evaluator import RowEvaluator
from fitness.fake import FakeLlm, toy_rows
from fitness.scorers import make_scorer
from fitness.target_likelihood import Likelihood
from fitness.tasks import load_task

FREE = Example(0, {"input": "x"}, "a long target")
CHOSEN = Example(0, {"input": "x"}, "yes", ("no", "yes"))


def told(logprobs: tuple[float, ...], lengths: tuple[int, ...]) -> Completion:
    return Completion("", 1, 1, logprobs=logprobs, lengths=lengths)


def task(scorer: Any, **more: Any) -> Any:
    settings = {"data": toy_rows(60), "scorer": scorer, **more}
    return load_task(TaskSettings.model_validate(settings), (), 0)


async def test_a_token_s_mean_likelihood_does_not_depend_on_the_length() -> None:
    for tokens in (1, 4, 100):
        score = await Likelihood()(told((tokens * math.log(0.3),), (tokens,)), FREE)
        assert score.value == pytest.approx(0.3)
        assert score.answer == ""
        assert "expected 'a long target'" in score.reason


async def test_with_choices_the_target_s_own_likelihood_counts_or_its_share() -> None:
    completion = told((math.log(0.1), math.log(0.04)), (1, 2))
    by_token, by_share = await Likelihood()(completion, CHOSEN), await Likelihood(unit="share")(completion, CHOSEN)
    assert by_token.value == pytest.approx(0.2)
    assert by_share.value == pytest.approx(0.04 / 0.14)
    assert by_token.answer == by_share.answer == "no"


async def test_values_beyond_floating_point_stay_in_range() -> None:
    assert (await Likelihood()(told((-math.inf,), (3,)), FREE)).value == 0.0
    assert (await Likelihood()(told((1e-9,), (1,)), FREE)).value == 1.0
    assert (await Likelihood(unit="share")(told((-9000.0, -9001.0), (1, 1)), CHOSEN)).value == pytest.approx(
        0.269, abs=1e-3
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
async def test_a_likelihood_that_is_no_number_is_a_failure_and_no_score(value: float) -> None:
    with pytest.raises(ValueError, match="expected log-likelihoods, got"):
        await Likelihood()(told((value,), (1,)), FREE)
    with pytest.raises(ValueError, match="expected log-likelihoods, got"):
        await Likelihood(unit="share")(told((value, -1.0), (1, 1)), CHOSEN)


async def test_where_every_choice_is_impossible_none_has_a_share() -> None:
    with pytest.raises(ValueError, match="a likelihood above 0"):
        await Likelihood(unit="share")(told((-math.inf, -math.inf), (1, 1)), CHOSEN)


@pytest.mark.parametrize("completion", [Completion("yes", 1, 1), told((-1.0,), (1,)), told((-1.0, -1.0), (1,))])
async def test_likelihoods_that_do_not_match_are_a_failure_and_no_score(completion: Completion) -> None:
    with pytest.raises(ValueError, match="adapter is at fault"):
        await Likelihood()(completion, CHOSEN)


async def test_a_row_without_choices_asks_for_its_target_alone() -> None:
    asked: list[Request] = []

    class Spy(FakeLlm):
        async def complete(self, request: Request) -> Completion:
            asked.append(request)
            return await super().complete(request)

    plain = task("likelihood")
    evaluation = await RowEvaluator(plain, Spy()).evaluate(Prompt.of("Sort."), plain.examples("dev"))
    assert plain.brief.labels == ()
    assert {request.choices for request in asked} == {("negative",), ("positive",)}
    assert all(0 < score < 1 for score in evaluation.scores.values())
    asked.clear()
    chosen = task("likelihood", choices=["negative", "positive"])
    await RowEvaluator(chosen, Spy()).evaluate(Prompt.of("Sort."), chosen.examples("dev"))
    assert {request.choices for request in asked} == {("negative", "positive")}


async def test_a_better_instruction_makes_targets_likelier() -> None:
    plain = task("likelihood")
    evaluator = RowEvaluator(plain, FakeLlm())
    poor, good = [
        (await evaluator.evaluate(Prompt.of(text), plain.examples("dev"))).mean
        for text in ("Sort.", "Read carefully, judge the overall tone and sentiment, give exactly the label.")
    ]
    assert good > poor + 0.05


def test_shares_need_choices_which_are_the_targets_where_none_are_given() -> None:
    assert task({"name": "likelihood", "unit": "share"}).brief.labels == ("negative", "positive")
    rows = [{"input": f"row {n}", "target": f"target {n}"} for n in range(60)]
    assert task("likelihood", data=rows).brief.labels == ()
    with pytest.raises(ConfigError, match="2 to 20 distinct targets"):
        task({"name": "likelihood", "unit": "share"}, data=rows)


async def test_a_share_of_nothing_is_a_failure() -> None:
    with pytest.raises(ValueError, match="no choices"):
        await Likelihood(unit="share")(told((-1.0,), (1,)), FREE)


def test_a_model_without_likelihoods_is_refused_at_the_start() -> None:
    mute = FakeLlm(ModelSettings(name="fake/toy", options={"choose": False}))
    with pytest.raises(ConfigError, match="scorer likelihood needs a model that gives log-likelihoods, but fake/toy"):
        RowEvaluator(task("likelihood"), mute)
    RowEvaluator(replace(task("likelihood"), scorer=make_scorer(NamedSettings(name="exact"))), mute)


def test_an_unknown_unit_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="unknown unit 'tokens'; did you mean 'token'"):
        make_scorer(NamedSettings.model_validate({"name": "likelihood", "unit": "tokens"}))
