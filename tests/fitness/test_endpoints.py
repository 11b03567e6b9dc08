"""Which options of a provider's model are refused: those by which a cap could be passed, wherever they stand."""

from __future__ import annotations

from typing import Any

import pytest

from evo.errors import ConfigError
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.endpoints import cost_of, refuse_reserved


def settings(options: dict[str, Any]) -> ModelSettings:
    return ModelSettings(name="openai/x", options=options)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"max_tokens": 5000}, "max_tokens"),
        ({"max_completion_tokens": 5000}, "max_completion_tokens"),
        ({"max_output_tokens": 5000}, "max_output_tokens"),
        ({"max_new_tokens": 5000}, "max_new_tokens"),
        ({"max_tokens_to_sample": 5000}, "max_tokens_to_sample"),
        ({"max_gen_len": 5000}, "max_gen_len"),
        ({"num_predict": -1}, "num_predict"),
        ({"n_predict": -1}, "n_predict"),
        ({"extra_body": {"max_completion_tokens": 5000}}, "extra_body.max_completion_tokens"),
        ({"extra_body": {"options": {"num_predict": -1}}}, "extra_body.options.num_predict"),
        ({"generationConfig": {"maxOutputTokens": 5000}}, "generationConfig.maxOutputTokens"),
        ({"requests": [{"max-tokens": 5000}]}, "requests.max-tokens"),
    ],
    ids=str,
)
def test_a_length_beside_max_tokens_is_refused_with_the_mend(options: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=rf"option {place} says how long a reply may be.* set the model's max_tokens"):
        refuse_reserved(settings(options))


@pytest.mark.parametrize("options", [{"n": 3}, {"best_of": 4}, {"extra_body": {"n": 3}}, {"candidateCount": 2}])
def test_several_replies_to_one_call_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="asks for several replies"):
        refuse_reserved(settings(options))


@pytest.mark.parametrize(
    "options",
    [
        {"fallbacks": ["gpt-5"]},
        {"context_window_fallback_dict": {"a": "b"}},
        {"num_retries": 3},
        {"max_retries": 3},
        {"retry_policy": {"TimeoutErrorRetries": 3}},
        {"model_list": []},
        {"extra_body": {"models": ["dearer"]}},
    ],
    ids=str,
)
def test_calls_that_would_be_sent_again_unseen_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"has calls sent again or to another model.*attempts"):
        refuse_reserved(settings(options))


@pytest.mark.parametrize("options", [{"temperature": 1.0}, {"extra_body": {"model": "dearer"}}])
def test_what_is_set_elsewhere_is_refused_in_the_body_too(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="set elsewhere"):
        refuse_reserved(settings(options))


@pytest.mark.parametrize(
    "options",
    [
        {"reasoning_effort": "high", "presence_penalty": 1},
        {
            "extra_body": {
                "reasoning": {"max_tokens": 50},
                "top_k": 5,
                "chat_template_kwargs": {"enable_thinking": False},
            }
        },
        {"thinking": {"type": "enabled", "budget_tokens": 50}},
        {"response_format": {"json_schema": {"properties": {"n": {}, "max_tokens": {}}}}},
        {"logit_bias": {50256: -100}},
        {"min_tokens": 3, "truncate_prompt_tokens": 500, "max_prompt_tokens": 900},
    ],
    ids=str,
)
def test_other_options_may_be_given(options: dict[str, Any]) -> None:
    refuse_reserved(settings(options))


@pytest.mark.parametrize(
    ("used", "cost"),
    [((10, 5, "hi"), 60.0), ((10, 0, ""), 10.0), ((10, 0, None), 10.0), ((10, 0, "hi"), None), ((0, 5, "hi"), None)],
)
def test_a_cost_is_known_where_all_tokens_are(used: tuple[int, int, str | None], cost: float | None) -> None:
    assert cost_of(Price(1.0, 10.0), *used) == cost
    assert cost_of(None, *used) is None
