import asyncio

import pytest

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.settings import NamedSettings
from fitness.answer_sets import AnswerSet
from fitness.flaws import row_flaw
from fitness.scorers import make_scorer


def score(reply: str, target: str, **arguments) -> Score:
    scorer = make_scorer(NamedSettings(name="set", **arguments))
    return asyncio.run(scorer(Completion(reply, 1, 1), Example(0, {"input": "i"}, target)))


@pytest.mark.parametrize(
    "reply",
    [
        "billing, refund",
        "Refund, Billing.",
        "refund; billing",
        "- billing\n- refund",
        "1. **Refund**\n2) billing\n",
        "refund\nand billing",
        '["refund", "billing"]',
        "Let me think: is it shipping?\nAnswer: billing, and refund",
        "billing, refund, billing",
        "refund\uff0cbilling",
    ],
)
def test_the_same_set_in_many_forms(reply):
    for target in ("billing, refund", '["billing", "refund"]', "billing\nrefund"):
        assert score(reply, target) == Score(1.0, score(reply, target).answer)
        assert score(reply, target, measure="exact").value == 1


def test_f1_of_items_by_hand():
    result = score("billing, login, shipping", "billing, refund")
    assert result.value == pytest.approx(2 * 1 / (3 + 2))
    assert result.reason == "lacking: refund; not expected: login, shipping"
    assert result.answer == "billing, login, shipping"
    assert score("billing, login", "billing, refund", measure="exact").value == 0


def test_case_and_separator_may_be_named():
    assert score("A|b", "b|A").value == 0
    assert score("A|b, c", "b, c|A", separator="|").value == 1
    assert score("A", "a", ignore_case=False).value == 0


def test_a_reason_stays_short():
    many = ", ".join(f"item {n} {'x' * 500}" for n in range(500))
    result = score(many, "one")
    assert result.reason.endswith("and 490 more")
    assert len(result.reason) < 800


@pytest.mark.parametrize("reply", ["", " \n ", "-", ", ,", "..."])
def test_a_reply_without_items_is_unparsed(reply):
    result = score(reply, "billing")
    assert (result.value, result.parsed) == (0, False)


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("a, b and c", "a, b, c", 1),
        ("a and b", "b, a", 1),
        ("a, b, c", "a, b and c", 1),
        ("a, rock and roll", '["a", "rock and roll"]', 1),
        ("rock and roll", '["rock and roll"]', 1),
        ("research", "research and development", 0),
        ("research and development", "law", 0),
    ],
)
def test_an_and_at_the_end_parts_what_the_other_side_knows_as_two(reply, target, value):
    assert score(reply, target, measure="exact").value == value


@pytest.mark.parametrize(
    "reply",
    [
        '```json\n["a", "b"]\n```',
        'Sure:\n```json\n["a",\n "b"]\n```\nAnything else?',
        "```\na\nb",
        "Sure! Here are:\n- a\n- b\n\nI hope that helps",
        "Sure! Here are:\na\nb",
    ],
)
def test_what_stands_around_a_list_is_no_item(reply):
    assert score(reply, "a, b").value == 1


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("none", "[]", 1),
        ("None.", "none", 1),
        ("```json\n[]\n```", "[]", 1),
        ("Answer: nothing", "[]", 1),
        ("a", "[]", 0),
        ("[]", "a", 0),
    ],
)
def test_no_item_at_all_is_an_answer(reply, target, value):
    assert not row_flaw(AnswerSet(), {}, target)
    result = score(reply, target)
    assert (result.value, result.parsed) == (value, True)
    assert bool(result.reason) == (not value)


def test_a_target_without_items_is_left_out_of_the_data():
    assert row_flaw(AnswerSet(), {}, ", ,") == "target ', ,' holds no item"
    assert not row_flaw(AnswerSet(), {}, "a")
    with pytest.raises(ValueError, match="holds no item"):
        score("a", ",")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "jaccard"}, "unknown measure 'jaccard'"),
        ({"separator": ""}, "expected a separator such as"),
        ({"separator": 3}, "expected a separator such as"),
        ({"seperator": "|"}, "did you mean 'separator'"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        score("a", "a", **arguments)
