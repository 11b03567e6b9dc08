"""What holds for every registered scorer, so that a new one is tried the moment it is listed."""

import asyncio
import dataclasses
import inspect
import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from isolating import STRICTEST

from evo.model import Completion, Example, Score
from evo.plugins import names, resolve
from evo.settings import NamedSettings
from fitness.judge import Bench, Judge
from fitness.scorers import make_scorer

NEEDED = {
    "regex": {"pattern": "(a+)"},
    "judge": {"rubric": "r"},
    "exact": {"any_of": True},
    "code": {"isolation": STRICTEST},
}
TARGETS = {"numeric": "7", "exact": '["a"]', "code": "assert 1"}
SLOW = {"code"}
LISTED = sorted(names("evo.scorers"))


def made(name):
    return make_scorer(NamedSettings(name=name, **NEEDED.get(name, {})))


def judging(scorer, script):
    return Bench(scorer, script(reply=lambda request: "So.\nGRADE: 3")) if isinstance(scorer, Judge) else scorer


def test_the_tables_above_name_scorers_that_are_there():
    assert {*NEEDED, *TARGETS, *SLOW} <= set(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_a_scorer_is_a_frozen_picklable_dataclass_that_says_what_it_does(name):
    kind, scorer = resolve("evo.scorers", name), made(name)
    assert dataclasses.is_dataclass(kind)
    assert inspect.getdoc(kind).splitlines()[0].endswith((".", ":"))
    assert scorer.wants_choices in (True, False)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        scorer.wants_choices = True


@pytest.mark.parametrize("name", [name for name in LISTED if name not in SLOW])
def test_whatever_a_model_replies_gets_a_score_with_short_reasons(name, script):
    scorer = judging(made(name), script)
    row = Example(0, {"input": "a source"}, TARGETS.get(name, "a"), ("a", "b"))

    @settings(max_examples=40)
    @given(st.text(st.characters(codec=None), max_size=80))
    @example("\ud800")
    @example("\0")
    @example("9" * 5_000)
    @example("a " * 2_000)
    @example("[" * 5_000)
    @example('{"a": "\\ud800"}')
    def check(reply):
        verdict = asyncio.run(scorer(Completion(reply, 1, 1, logprobs=(-1.0, -2.0), lengths=(1, 1)), row))
        assert isinstance(verdict, Score)
        assert 0 <= verdict.value <= 1
        assert len(verdict.reason) < 2_000
        assert verdict.parsed or (verdict.value == 0 and verdict.reason)

    check()


@pytest.mark.parametrize("reply", ["\ud800", "\0", "raise ValueError('\\ud800')", "x = " + "9" * 5_000, "(" * 500])
def test_whatever_code_a_model_replies_gets_a_score(reply):
    verdict = asyncio.run(made("code")(Completion(reply, 1, 1), Example(0, {"input": "i"}, "assert 0")))
    assert (verdict.value, len(verdict.reason) < 900) == (0, True)
