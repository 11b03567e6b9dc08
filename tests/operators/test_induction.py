from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, ScriptedLlm, at_once, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Example, Prompt, Request
from evo.schema import describe
from operators.induction import Induce
from operators.induction_templates import GAP, OPENING

DEMOS = TRAIN[:2]


def replying(text: str) -> ScriptedLlm:
    return ScriptedLlm(lambda request: f"Sure. <prompt>{text}</prompt>")


def written(operator: Induce, reply: str, *parents: Any) -> Prompt:
    return at_once(operator(parents, replying(reply), np.random.default_rng(0)))


def asked(operator: Induce) -> Request:
    llm = replying("Sort the text by tone.")
    at_once(operator((), llm, np.random.default_rng(0)))
    (request,) = llm.requests
    return request


def test_forward_shows_the_rows_and_asks_for_the_instruction_after_them() -> None:
    request = asked(Induce(demos=DEMOS))
    text = request.text
    assert text.startswith(OPENING)
    for row in DEMOS:
        assert f"Input: {row.inputs['input']}\nOutput: {row.target}\n" in text
    assert text.index("train text 13") < text.index("What was the instruction?")
    assert (request.temperature, request.top_p, request.max_tokens) == (0.9, 0.9, 200)


def test_reverse_puts_the_gap_before_the_rows() -> None:
    text = asked(Induce(mode="reverse", demos=DEMOS)).text
    assert text.index(f"The instruction: {GAP}") < text.index("Input: train text 12")
    assert text.rindex(GAP) > text.index("Output: bad")
    assert "only what is missing" in text


def test_zero_order_shows_the_description_and_no_row() -> None:
    text = asked(Induce(mode="zero-order", demos=DEMOS, description="Sort $letters.")).text
    assert "do this task: Sort $letters." in text
    assert "train text" not in text


def test_labels_are_told_where_they_are_known_and_few() -> None:
    assert "one of: good, bad.\n" in asked(Induce(demos=DEMOS, labels=("good", "bad"))).text
    assert "one of" not in asked(Induce(demos=DEMOS)).text
    assert "one of" not in asked(Induce(demos=DEMOS, labels=tuple(map(str, range(21))))).text


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_opening_may_be_another(mode: Any) -> None:
    text = asked(Induce(mode=mode, demos=DEMOS, opening="Dr. Smith sorted $these.")).text
    assert "Dr. Smith sorted $these." in text
    assert OPENING not in text


def test_a_beginning_is_asked_for_and_insisted_on() -> None:
    operator = Induce(demos=DEMOS, begin="Let's")
    assert "begins with the words: Let's\n" in replied(operator, "let's think it through.")
    with pytest.raises(OperatorError, match='begins with "Let\'s"'):
        written(operator, "Think it through.")


def replied(operator: Induce, reply: str) -> str:
    llm = replying(reply)
    at_once(operator((), llm, np.random.default_rng(0)))
    return llm.requests[0].text


def test_rows_are_data_and_never_templates() -> None:
    row = Example(3, {"a": "$gap ${facts}", "b": "{x}"}, "$opening")
    text = asked(Induce(mode="reverse", demos=(row,))).text
    assert "Input: a: $gap ${facts}\nb: {x}\nOutput: $opening" in text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Sort. Be quick. Be kind. Be brief.", "at most 3 sentences, got 4"),
        ("Sort\nthe\ntext\nnow", "at most 3 sentences"),
        ("Say good for Train   text 12 and so on.", "repeats row 12"),
        (f"Sort {GAP} it.", "with the gap"),
    ],
)
def test_a_filling_that_is_no_instruction_is_refused(reply: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        written(Induce(mode="reverse", demos=DEMOS), reply)


def test_forward_may_be_long_and_a_short_input_may_occur_alone() -> None:
    long = "Sort. Be quick. Be kind. Be brief."
    assert written(Induce(demos=DEMOS), long).text == long
    words = (Example(1, {"input": "cat"}, "dog"),)
    assert written(Induce(mode="reverse", demos=words), "Name the opposite of a cat.").text
    with pytest.raises(OperatorError, match="repeats row 1"):
        written(Induce(mode="reverse", demos=words), "For cat write dog.")


def test_a_reply_without_its_tag_gives_no_prompt() -> None:
    llm = ScriptedLlm(lambda request: "The instruction was to sort.")
    with pytest.raises(OperatorError, match="no <prompt>"):
        at_once(Induce(demos=DEMOS)((), llm, np.random.default_rng(0)))


@pytest.mark.parametrize(("operator", "reason"), [(Induce(), "rows"), (Induce(mode="zero-order"), "description")])
def test_there_must_be_something_to_learn_from(operator: Induce, reason: str) -> None:
    with pytest.raises(OperatorError, match=f"expected .*{reason}.*, got none"):
        written(operator, "Sort.")


def test_without_a_parent_the_other_parts_are_the_base_s() -> None:
    base = Prompt.of({"system": "You sort.", "instruction": "Old {text} and {text} of {id}"})
    child = written(Induce(demos=DEMOS, base=base), "Sort {id} now.")
    assert child.part("system") == "You sort."
    assert child.text == "Sort {id} now.\n\n{text}"
    assert written(Induce(demos=DEMOS), "Sort.") == Prompt.of("Sort.")
    assert written(Induce(demos=DEMOS, base=base.focused("system")), "Be kind.").part("system") == "Be kind."


def test_with_a_parent_it_is_a_restart() -> None:
    parent = individual(7, "Read it well.")
    llm = replying("Sort by tone.")
    child = at_once(Induce(demos=DEMOS)((parent,), llm, np.random.default_rng(0)))
    assert child == Prompt.of("Sort by tone.")
    assert "Read it well" not in llm.requests[0].text
    with pytest.raises(OperatorError, match="copy of parent 7"):
        written(Induce(demos=DEMOS), "read it well", parent)


def test_the_log_tells_modes_and_rows_but_not_their_texts() -> None:
    operator = Induce(mode="reverse", demos=DEMOS, description="Sort.", base=Prompt.of("secret"))
    assert operator.name == "induce-reverse"
    record = describe(operator)
    assert '"examples": [12, 13]' in record
    assert "train text" not in record
    assert "secret" not in record


@pytest.mark.parametrize(
    "arguments", [{"mode": "backward"}, {"temperature": 3}, {"top_p": 1.5}, {"max_tokens": 0}], ids=str
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="induce expects"):
        Induce(**arguments)
