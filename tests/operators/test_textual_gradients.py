from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, ScriptedLlm

from evo.errors import ConfigError, OperatorError
from evo.model import Evaluation, Example, Individual, Outcome, Prompt
from evo.schema import describe
from operators.textual_gradients import CRITIQUE, GradientEdit, TextualGradient

ROWS = (*TRAIN, Example(20, {"text": "first", "title": "second"}, "good"), Example(21, {"input": "x" * 5000}, "bad"))
ANSWERS = {12: "good", 13: "good", 14: "", 20: "bad", 21: "good"}  # 12 and 14 to 20 are good, 13 and 21 bad
REPLY = "Well.\n<reason>It does not say when a text is bad.</reason>\n<prompt>Find the bad ones.</prompt>"


def base(text: str = "Sort the texts.", **parts: str) -> Individual:
    outcomes = [
        Outcome(n, float(ANSWERS[n] == row.target), ANSWERS[n], reply="I cannot say." if n == 14 else "")
        for row in ROWS
        if (n := row.number) in ANSWERS
    ]
    prompt = Prompt.of({"system": "Be kind.", "instruction": text, **parts})
    return Individual(1, prompt, "seed", practice=Evaluation.of(outcomes))


def reason(text: str = "It is vague.") -> Individual:
    return Individual(5, Prompt.of({CRITIQUE: text}), TextualGradient.name)


def made(kind: Any, errors: tuple[int, ...], **more: Any) -> Any:
    return kind(errors, ROWS, **more)


def asked(kind: Any, *parents: Individual, errors: tuple[int, ...] = (13,), reply: str = REPLY) -> Any:
    llm = ScriptedLlm(partial(lambda text, request: text, reply))
    return made(kind, errors)(parents, llm, np.random.default_rng(3)), llm


BOTH = [(TextualGradient, (base(),)), (GradientEdit, (base(), reason()))]


@pytest.mark.parametrize(("kind", "parents"), BOTH)
async def test_the_model_is_called_once_and_shown_the_prompt_and_the_errors_of_the_group_alone(
    kind: Any, parents: Any
) -> None:
    call, llm = asked(kind, *parents, errors=(12, 13, 14))
    await call
    (request,) = llm.requests
    assert (request.temperature, request.max_tokens) == (1.0, 1000)
    assert "\nInstruction: Sort the texts.\n" in request.text
    assert "Text: train text 13\nRight answer: bad\nAnswer given: good\n" in request.text
    assert "Text: train text 14\nRight answer: good\nAnswer given: I cannot say.\n" in request.text
    assert "train text 12" not in request.text  # the prompt is right on it
    assert "second" not in request.text
    assert request.text.count("Case ") == 2


@pytest.mark.parametrize(("kind", "parents"), BOTH)
async def test_rows_of_several_columns_and_long_ones_are_shown_in_short(kind: Any, parents: Any) -> None:
    call, llm = asked(kind, *parents, errors=(20, 21))
    await call
    assert "Text: text: first\ntitle: second\nRight answer: good\n" in llm.requests[0].text
    assert len(llm.requests[0].text) < 3000


async def test_a_gradient_is_no_prompt_for_the_task() -> None:
    call, _ = asked(TextualGradient, base())
    gradient = await call
    assert gradient == Prompt.of({CRITIQUE: "It does not say when a text is bad."})
    assert gradient.shown == ()


async def test_an_edit_is_shown_the_reason_and_changes_the_whole_part_in_focus_alone() -> None:
    text = "  Sort the texts. \n\tSort the texts.  "  # white space at the ends of lines, and a line that comes twice
    parent = base(text, examples="Sort the texts.")
    call, llm = asked(GradientEdit, parent, reason("It is vague."))
    child = await call
    assert child.parts == (
        ("system", "Be kind."),
        ("instruction", "Find the bad ones."),
        ("examples", "Sort the texts."),
    )
    assert "\nWhat is wrong with the instruction: It is vague.\n" in llm.requests[0].text
    focused = Individual(1, parent.prompt.focused("system"), "seed", practice=parent.practice)
    call, llm = asked(GradientEdit, focused, reason())
    assert (await call).parts[:2] == (("system", "Find the bad ones."), ("instruction", text))
    assert "\nInstruction: Be kind.\n" in llm.requests[0].text


@pytest.mark.parametrize("copied", ["sort the texts", "<>It is vague."])
async def test_a_copy_of_the_prompt_or_of_the_reason_is_refused(copied: str) -> None:
    call, _ = asked(GradientEdit, base(), reason("<>It is vague."), reply=f"<prompt> {copied} </prompt>")
    with pytest.raises(OperatorError, match="got a copy of parent"):
        await call


@pytest.mark.parametrize(("kind", "parents"), BOTH)
@pytest.mark.parametrize(
    "reply", ["Because it is vague.", "<reason>It is\n<prompt>Find", "<reason> </reason><prompt>?"]
)
async def test_a_reply_without_whole_tags_is_refused(kind: Any, parents: Any, reply: str) -> None:
    call, _ = asked(kind, *parents, reply=reply)
    with pytest.raises(OperatorError, match="expected"):
        await call


@pytest.mark.parametrize(("kind", "parents"), BOTH)
async def test_without_errors_the_model_is_not_asked_to_explain_any(kind: Any, parents: Any) -> None:
    call, llm = asked(kind, *parents, errors=(12, 15))
    with pytest.raises(OperatorError, match="individual 1 is wrong on"):
        await call
    assert llm.requests == []


async def test_texts_are_put_in_as_they_are() -> None:
    nasty = "Use $errors, $base, {input}, $$ and <prompt>."
    call, llm = asked(GradientEdit, base(nasty), reason(f"{nasty} twice"))
    await call
    assert llm.requests[0].text.count(nasty) == 2
    assert "exactly as they are written: {input}\n" in llm.requests[0].text
    call, llm = asked(TextualGradient, base(nasty))
    await call
    assert llm.requests[0].text.count(nasty) == 1


@pytest.mark.parametrize("kind", [TextualGradient, GradientEdit])
def test_what_is_recorded_names_the_rows_without_their_texts(kind: Any) -> None:
    assert describe(made(kind, (12, 13))) == '{"errors": [12, 13], "temperature": 1.0, "max_tokens": 1000}'


@pytest.mark.parametrize("kind", [TextualGradient, GradientEdit])
@pytest.mark.parametrize("arguments", [{"temperature": 2.5}, {"max_tokens": 0}])
def test_arguments_are_checked(kind: Any, arguments: Any) -> None:
    with pytest.raises(ConfigError, match=f"{kind.name} expects"):
        made(kind, (), **arguments)
