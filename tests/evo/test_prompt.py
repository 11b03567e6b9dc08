from __future__ import annotations

import pytest

from evo.model import NO_PROMPT, Demo, Prompt, demos_of, with_demos

PARTS = Prompt.of({"system": "You sort mail.", "instruction": "Sort.", "stage-2": "So?", "_mutation-prompt": "Vary."})


def test_a_bare_prompt_has_only_the_genes_to_keep() -> None:
    prompt = Prompt.of({"instruction": "Sort.", "_mutation-prompt": "Change it.", "_temperature": "0.5"})
    assert prompt.genes == {"_mutation-prompt", "_temperature"}
    assert prompt.bare() == Prompt.of("Sort.")
    assert prompt.bare(keep={"_temperature", "_other"}) == prompt.without("_mutation-prompt")


def test_an_operator_works_on_the_part_in_focus():
    focused = PARTS.focused("stage-2")
    assert focused.text == "So?"
    assert focused.with_text("Then?").part("stage-2") == "Then?"
    assert focused.with_text("Then?").part("instruction") == "Sort."


def test_focus_is_no_content():
    assert PARTS.focused("system") == PARTS
    assert hash(PARTS.focused("system")) == hash(PARTS)
    assert PARTS.focused("system").hash == PARTS.hash


def test_text_without_an_instruction_is_the_first_part():
    assert Prompt.of({"_critique": "Too long."}).text == "Too long."
    assert NO_PROMPT.text == ""


def test_genes_of_the_search_are_not_shown_and_do_not_count_as_length():
    assert [name for name, _ in PARTS.shown] == ["system", "instruction", "stage-2"]
    assert PARTS.length == len("You sort mail.Sort.So?")


def test_parts_keep_their_order_and_new_ones_come_last():
    assert [name for name, _ in PARTS.with_part("system", "x").parts] == [name for name, _ in PARTS.parts]
    assert PARTS.with_part("format", "One word.").parts[-1] == ("format", "One word.")
    assert PARTS.without("system").without("stage-2").without("_mutation-prompt") == Prompt.of("Sort.")


def test_a_part_that_is_absent_is_named():
    with pytest.raises(KeyError, match="no part 'format'"):
        PARTS.part("format")


def test_worked_examples_are_a_part_like_others():
    demos = (Demo("Was für ein Tag!", "praise", row=3), Demo('"{x}"', "question", "It asks.", None))
    prompt = with_demos(Prompt.of("Sort."), demos)
    assert demos_of(prompt) == demos
    assert prompt.text == "Sort."
    assert prompt.hash != Prompt.of("Sort.").hash
    assert demos_of(with_demos(prompt, demos[::-1])) == demos[::-1]
    assert with_demos(prompt, ()) == Prompt.of("Sort.")
    assert demos_of(Prompt.of("Sort.")) == ()
