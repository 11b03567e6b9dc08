from __future__ import annotations

import pytest

from evo.model import Demo, Prompt, with_demos
from fitness.rendering import Frame, messages, stages

ROW = {"input": "Late again!", "topic": "post"}
DEMOS = (Demo("Lovely.", "praise"), Demo("Why?", "question", "It asks."))
SORT = with_demos(Prompt.of("Sort."), DEMOS)


def body(prompt: Prompt, layout: str = "{prompt}\n\n{input}", own: frozenset[str] = frozenset()) -> str:
    """Return the one user message."""
    ((role, text),) = messages(Frame(layout, own), prompt, ROW)
    assert role == "user"
    return text


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("{prompt}\n\n{input}", "Sort.\n\nLate again!"),
        ("{input}\n{instruction}", "Late again!\nSort."),
        ("{prompt}\n\n{examples}\n\nMail: {input}\nSort:", "Sort.\n\nMail: Late again!\nSort:"),
    ],
)
def test_instruction_and_row_go_where_the_layout_says(layout, expected):
    assert body(Prompt.of("Sort."), layout) == expected


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (
            "{prompt}\n\n{input}",
            "Sort.\n\nLovely.\npraise\n\nWhy?\nIt asks.\nquestion\n\nLate again!\n",
        ),
        (
            "{prompt}\n\nMail: {input}\nKind:",
            "Sort.\n\nMail: Lovely.\nKind: praise\n\nMail: Why?\nKind: It asks.\nquestion\n\nMail: Late again!\nKind:",
        ),
        (
            "{examples}\n\n{prompt} {input}",
            "Lovely.\npraise\n\nWhy?\nIt asks.\nquestion\n\nSort. Late again!\n",
        ),
        ("{input}\n\n{prompt}", "Lovely.\npraise\n\nWhy?\nIt asks.\nquestion\n\nLate again!\n\nSort."),
    ],
)
def test_worked_examples_are_shown_as_the_row_is(layout, expected):
    assert body(SORT, layout) == expected


def test_a_row_is_never_shown_its_own_answer():
    prompt = with_demos(Prompt.of("Sort."), [Demo("Late again!", "complaint", row=7), Demo("Lovely.", "praise", row=8)])
    ((_, other),) = messages(Frame(), prompt, ROW, row=9)
    ((_, own),) = messages(Frame(), prompt, ROW, row=7)
    assert "complaint" in other
    assert own == "Sort.\n\nLovely.\npraise\n\nLate again!\n"


def test_parts_and_rows_are_never_templates():
    sly = with_demos(Prompt.of("Say {input} or {examples}."), [Demo("{prompt}", "{input}")])
    ((_, text),) = messages(Frame(), sly, {"input": "{prompt} {examples}"})
    assert text == "Say {input} or {examples}.\n\n{prompt}\n{input}\n\n{prompt} {examples}\n"


def test_a_named_part_stands_where_the_layout_names_it():
    prompt = Prompt.of({"instruction": "Sort.", "format": "One word."})
    assert body(prompt, "{prompt}\n{input}\n{format}") == "Sort.\nLate again!\nOne word."
    assert Frame("{prompt}\n{input}").unplaced(["instruction", "format", "system", "_gene"]) == ["format"]
    assert Frame("{prompt}\n{input}\n{format}").unplaced(["instruction", "format"]) == []


def test_a_system_part_is_a_message_of_its_own_and_genes_are_never_shown():
    prompt = Prompt.of({"instruction": "Sort.", "system": "You sort mail.", "_mutation-prompt": "Vary it."})
    shown = messages(Frame(), prompt, ROW)
    assert shown == (("system", "You sort mail."), ("user", "Sort.\n\nLate again!"))


def test_own_placeholders_are_filled_in_every_part():
    prompt = Prompt.of({"instruction": "About {topic}: {input}", "system": "You know {topic}."})
    own = frozenset({"topic", "input"})
    shown = messages(Frame(own=own), prompt, ROW)
    assert shown == (("system", "You know post."), ("user", "About post: Late again!"))


def test_worked_examples_stand_before_a_prompt_with_its_own_placeholders():
    prompt = with_demos(Prompt.of("About: {input}"), DEMOS[:1])
    assert body(prompt, own=frozenset({"input"})) == "Lovely.\npraise\n\nAbout: Late again!"


def test_later_stages_follow_the_replies_before_them():
    prompt = Prompt.of({"instruction": "Think.", "stage-2": "Answer.", "stage-3": "Sure?"})
    assert stages(prompt) == ("stage-2", "stage-3")
    assert messages(Frame(), prompt, ROW, ["Hm."])[1:] == (("assistant", "Hm."), ("user", "Answer."))
    assert messages(Frame(), prompt, ROW, ["Hm.", "A."])[3:] == (("assistant", "A."), ("user", "Sure?"))
