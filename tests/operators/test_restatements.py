from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from breeding import ScriptedLlm, at_once, individual
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import ConfigError, OperatorError
from evo.model import Prompt, Request
from operators.gaps import filled, hidden
from operators.restatements import BackTranslation, Cloze, Continuation
from operators.rules import Rules

TEXT = "Read the {text} with care and say what its writer feels about it."
BASE = individual(4, TEXT)


def child(operator: Any, *replies: str, base: Any = BASE, seed: int = 0) -> tuple[Prompt, list[Request]]:
    left = list(replies)
    llm = ScriptedLlm(lambda request: f"Fine. <prompt>{left.pop(0)}</prompt>")
    return at_once(operator((base,), llm, np.random.default_rng(seed))), llm.requests


def test_continuation_asks_for_the_second_of_two_prompts_that_mean_the_same() -> None:
    prompt, (request,) = child(Continuation(), "Study the {text} and name the mood.")
    assert prompt == Prompt.of("Study the {text} and name the mood.")
    assert f"Prompt 1: {TEXT}" in request.text
    assert request.text.endswith("Prompt 2:")
    assert "exactly as they are written: {text}\n" in request.text
    assert (request.temperature, request.top_p) == (1.0, 0.9)


def test_back_translation_goes_to_a_language_and_back() -> None:
    prompt, requests = child(BackTranslation(), "Lies den {text}.", "Read the {text} now.")
    there, back = (request.text for request in requests)
    language = re.findall(r"into (\w+)\.", there)[0]
    assert language in BackTranslation().languages
    assert f"Prompt 1: {TEXT}" in there
    assert "into English." in back
    assert "Prompt 1: Lies den {text}." in back
    assert TEXT not in back
    assert prompt.text == "Read the {text} now."


def test_languages_are_drawn_by_the_generator() -> None:
    drawn = {
        re.findall(r"into (\w+)\.", child(BackTranslation(), "a b", "c d {text}", seed=seed)[1][0].text)[0]
        for seed in range(80)
    }
    assert drawn == set(BackTranslation().languages)
    only = BackTranslation(languages=("Latin",), home="German")
    assert [re.findall(r"into (\w+)\.", request.text)[0] for request in child(only, "a b", "c d")[1]] == [
        "Latin",
        "German",
    ]


def gapped_of(request: Request) -> str:
    found = re.search(r"^Prompt 1: (.*)$", request.text, re.MULTILINE)
    assert found is not None
    return found[1]


def fill(request: Request) -> str:
    return re.sub(r"\[gap \d+\]", "something new", gapped_of(request))


def test_cloze_hides_words_and_has_them_filled() -> None:
    llm = ScriptedLlm(lambda request: f"<prompt>{fill(request)}</prompt>")
    prompt = at_once(Cloze()((BASE,), llm, np.random.default_rng(0)))
    gapped = gapped_of(llm.requests[0])
    assert TEXT not in llm.requests[0].text
    kept = re.split(r"\[gap \d+\]", gapped)
    assert len(kept) > 1
    assert "{text}" in gapped
    assert filled(prompt.text, kept)
    hidden_words = len(TEXT.split()) - sum(len(piece.split()) for piece in kept)
    assert hidden_words == round(0.3 * len(TEXT.split()))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Judge how they write.", "gaps filled, got another text"),
        (TEXT, "a copy of parent 4"),
    ],
)
def test_a_cloze_that_changes_all_or_nothing_is_refused(reply: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        child(Cloze(), reply)


@pytest.mark.parametrize("text", ["Sort.", "{text}", "{text} {id}"])
def test_cloze_needs_a_word_to_hide_and_one_to_keep(text: str) -> None:
    with pytest.raises(OperatorError, match="of which a word can be hidden"):
        child(Cloze(), "whatever", base=individual(4, text))


@given(text=st.text("ab{} .\n", min_size=1, max_size=60), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_hidden_pieces_are_the_text_less_some_words(text: str, share: float, seed: int) -> None:
    try:
        kept = hidden(text, share, 3, np.random.default_rng(seed))
    except OperatorError:
        assert sum(not re.search(r"[{}]", word) for word in text.split()) == 0 or len(text.split()) < 2
        return
    assert len(kept) > 1
    assert (
        1 <= len(text.split()) - sum(len(piece.split()) for piece in kept) <= max(1, round(share * len(text.split())))
    )
    assert filled("new words".join(kept), kept)
    assert sum(piece.count("{") for piece in kept) == text.count("{")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Read  my text and SAY it", True),
        ("Read my new text and say it!", True),
        ("Read the text and say it now", False),
        ("Read text and say it", False),
        ("Read ... text and say it", False),
        ("Please read my text and say it", False),
        ("Read my letter and say it", False),
        ("Read my text and", False),
    ],
)
def test_whether_gaps_are_filled(text: str, verdict: bool) -> None:
    assert filled(text, ("Read ", " text and ", " it.")) is verdict


def test_a_gap_may_be_at_either_end() -> None:
    assert filled("Now read it", ("", " read ", ""))
    assert not filled("read it", ("", " read ", ""))
    assert not filled("Now read", ("", " read ", ""))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sort.", "at least 2 words"),
        ("Sort {text} well}", "balanced braces"),
        ("Sort }text{ well", "balanced braces"),
        ("Sort {text} or {text}", "{text} 1 times"),
        ("Sort {text} by {id}", "{id} 0 times"),
        ("Sort {text} as HTTPS://a.b has it", "blacklist"),
        ("As an AI I do not sort {text}", "blacklist"),
        ("Sort [gap 1] the {text}", "blacklist"),
    ],
)
def test_the_rules_drop_what_is_no_prompt(text: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        Rules().check(text, TEXT)
    with pytest.raises(OperatorError, match=reason):
        child(Continuation(), text)


def test_what_the_parent_has_breaks_no_rule() -> None:
    odd = "See www.a.org for {text} and {text} :}"
    Rules().check("Look at www.a.org for {text} or {text} :}", odd)
    Rules(blacklist=("moo",)).check("Sort https: {text}", TEXT)
    with pytest.raises(OperatorError, match="'moo'"):
        Rules(blacklist=("moo",)).check("A smooth {text}", TEXT)


@pytest.mark.parametrize("operator", [Continuation(), Cloze(), BackTranslation(("French",))], ids=lambda one: one.name)
def test_a_reply_without_its_tag_gives_no_prompt(operator: Any) -> None:
    llm = ScriptedLlm(lambda request: "I would say it so: read.")
    with pytest.raises(OperatorError, match="no <prompt>"):
        at_once(operator((BASE,), llm, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Continuation, {"temperature": 9}),
        (Continuation, {"top_p": -1}),
        (Cloze, {"share": 2}),
        (Cloze, {"longest": 0}),
        (BackTranslation, {"languages": ()}),
        (BackTranslation, {"languages": ("French", "")}),
        (BackTranslation, {"max_tokens": 0}),
    ],
    ids=str,
)
def test_arguments_are_checked(kind: Any, arguments: Any) -> None:
    with pytest.raises(ConfigError, match="expects"):
        kind(**arguments)
