from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import OperatorError
from operators.parsing import between_tags, normalised


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Step 2. <prompt>Be brief.</prompt> Done.", "Be brief."),
        ("<prompt>first</prompt> then <prompt>second</prompt>", "second"),
        ("<prompt>draft <prompt>inner</prompt> tail</prompt>", "inner"),
        ("< PROMPT >\n  Be brief. \n</ Prompt >", "Be brief."),
        ("<prompt>```\nBe brief.\n```</prompt>", "Be brief."),
        ("<prompt>```text\nBe brief.\n```</prompt>", "Be brief."),
        ('<prompt>"Be brief."</prompt>', "Be brief."),
        ("<prompt>\u201cBe brief.\u201d</prompt>", "Be brief."),
        ('<prompt>"good" or "bad"</prompt>', '"good" or "bad"'),
        ("<prompt>Say {input} < 3.</prompt>", "Say {input} < 3."),
    ],
)
def test_what_stands_in_the_last_tags_is_read(reply: str, expected: str) -> None:
    assert between_tags(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Sorry, I cannot help with that.",
        "<prompt>cut off",
        "<prompt>whole</prompt> and again <prompt>cut off",
        "no opening</prompt>",
        "<prompt></prompt>",
        "<prompt> ... </prompt>",
        '<prompt>""</prompt>',
        "<prompts>other tag</prompts>",
    ],
)
def test_anything_else_is_refused(reply: str) -> None:
    with pytest.raises(OperatorError):
        between_tags(reply)


def test_a_prompt_that_is_too_long_is_refused() -> None:
    assert between_tags("<prompt>12345</prompt>", longest=5) == "12345"
    with pytest.raises(OperatorError, match="at most 5 characters, got 6"):
        between_tags("<prompt>123456</prompt>", longest=5)


def test_another_tag_may_be_asked_for() -> None:
    assert between_tags("<prompt>a</prompt><idea>b</idea>", tag="idea") == "b"


@given(st.text(alphabet="<>/ promtPROMT`\"'ab\n", max_size=80))
def test_no_reply_gives_an_empty_prompt_or_another_error(reply: str) -> None:
    try:
        prompt = between_tags(reply)
    except OperatorError:
        return
    assert prompt.strip()
    assert prompt in reply


def test_case_space_and_final_marks_do_not_tell_texts_apart() -> None:
    assert normalised(" Be  Brief.\n") == normalised("be brief")
    assert normalised("be brief") != normalised("be briefer")
