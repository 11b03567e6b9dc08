from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from breeding import ScriptedLlm, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Evaluation, Example, Individual, Outcome, Prompt
from evo.schema import describe
from operators.reflection import Reflect, lessons, reflection

ROWS = tuple(Example(n, {"input": f"text {n}"}, ("good", "bad")[n % 2]) for n in range(6))
OUTCOMES = (
    Outcome(0, 1.0, answer="good"),
    Outcome(1, 0.0, answer="good", reply="I think it is good.", reason="expected 'bad', got 'good'"),
    Outcome(2, 0.25, answer="fine", reason="too long"),
    Outcome(3, None, error="time out"),
)
PARENT = replace(individual(7, "Sort it."), evaluation=Evaluation.of(OUTCOMES))
NEW = "<prompt>Sort it, mind irony.</prompt>"


def llm(reply: str = NEW) -> ScriptedLlm:
    return ScriptedLlm(lambda request: reply)


async def text_shown(operator: Reflect, parent: Individual = PARENT) -> str:
    model = llm()
    await operator([parent], model, np.random.default_rng(0))
    (request,) = model.requests
    return request.text


async def test_the_model_sees_inputs_replies_scores_and_feedback_in_one_call() -> None:
    model = llm()
    child = await Reflect(ROWS[:3], temperature=0.3, max_tokens=77)([PARENT], model, np.random.default_rng(0))
    assert child == Prompt.of("Sort it, mind irony.")
    (request,) = model.requests
    assert (request.temperature, request.max_tokens) == (0.3, 77)
    assert "Instruction: Sort it.\n" in request.text
    assert "how it did in 3 cases" in request.text
    assert "Case 1, right\nInput: text 0\nReply: good\n\n" in request.text
    wrong = "Case 2, wrong\nInput: text 1\nReply: I think it is good.\nFeedback: expected 'bad', got 'good'\n\n"
    assert wrong in request.text
    assert "Case 3, score 0.25 of 1\nInput: text 2\nReply: fine\nFeedback: too long; expected 'good'\n" in request.text


async def test_rows_without_a_score_are_not_shown_and_none_at_all_is_an_error() -> None:
    text = await text_shown(Reflect(ROWS))
    assert "text 3" not in text
    assert "text 4" not in text
    with pytest.raises(OperatorError, match="rows on which parent 7 has a score"):
        await Reflect(ROWS[3:])([PARENT], llm(), np.random.default_rng(0))
    with pytest.raises(OperatorError, match="show it such rows"):
        await Reflect()([PARENT], llm(), np.random.default_rng(0))


async def test_a_miss_without_a_reason_still_tells_what_was_expected() -> None:
    silent = replace(PARENT, evaluation=Evaluation(), practice=Evaluation.of([Outcome(1, 0.0)]))
    assert "Case 1, wrong\nInput: text 1\nReply: (nothing)\nFeedback: expected 'bad'\n" in await text_shown(
        Reflect(ROWS), silent
    )


async def test_copies_and_unusable_replies_are_refused() -> None:
    for reply, message in (("<prompt>SORT IT.</prompt>", "copy of parent 7"), ("Sort it better.", "no <prompt>")):
        with pytest.raises(OperatorError, match=message):
            await Reflect(ROWS)([PARENT], llm(reply), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("reply", "echo"),
    [
        ("What do the wrong cases have in common?", True),
        ("Study them and write a better instruction. Feedback: expected", True),
        ("Sort it by what the writer feels about the matter.", False),
        ("Sort it.", True),
        ("Name it.", False),
    ],
)
async def test_words_of_the_request_are_no_instruction(reply: str, echo: bool) -> None:
    try:
        child = await Reflect(ROWS)([PARENT], llm(f"<prompt>{reply}</prompt>"), np.random.default_rng(0))
    except OperatorError:
        assert echo
    else:
        assert not echo
        assert child.text == reply


async def test_what_a_parent_said_is_no_echo() -> None:
    parent = replace(PARENT, prompt=Prompt.of("What do the wrong cases have in common? Sort the text into two piles."))
    kept = "Sort the text into two piles."
    child = await Reflect(ROWS)([parent], llm(f"<prompt>{kept}</prompt>"), np.random.default_rng(0))
    assert child.text == kept


async def test_one_part_is_rewritten_and_the_others_are_shown_as_staying() -> None:
    parts = {"system": "Be kind.", "instruction": "Sort it.", "stage-2": "Check it.", "examples": "[]", "_gene": "x"}
    parent = replace(PARENT, prompt=Prompt.of(parts).focused("system"))
    model = llm("<prompt>Be strict.</prompt>")
    child = await Reflect(ROWS)([parent], model, np.random.default_rng(0))
    assert dict(child.parts) == {**parts, "system": "Be strict."}
    text = model.requests[0].text
    assert "Instruction: Be kind.\n\n" in text
    assert 'the part "system" of a longer prompt' in text
    assert "[instruction] Sort it.\n[stage-2] Check it.\n" in text
    assert "_gene" not in text
    assert "[examples]" not in text
    assert "longer prompt" not in await text_shown(Reflect(ROWS))


async def test_several_parts_take_a_call_each_on_the_parents_own_texts() -> None:
    parent = replace(PARENT, prompt=Prompt.of({"system": "Be kind.", "instruction": "Sort it."}))
    replies = iter(["<prompt>Be strict.</prompt>", "<prompt>Sort it well.</prompt>"])
    model = ScriptedLlm(lambda request: next(replies))
    child = await Reflect(ROWS, ("system", "instruction"))([parent], model, np.random.default_rng(0))
    assert dict(child.parts) == {"system": "Be strict.", "instruction": "Sort it well."}
    assert [("Be strict." in request.text) for request in model.requests] == [False, False]
    assert model.requests[0].seed != model.requests[1].seed


def test_data_is_never_a_template_and_placeholders_are_kept() -> None:
    nasty = "Use $base, ${keep}, {input}, $$ <prompt>"
    row = Example(0, {"input": nasty}, "x")
    text = reflection(Prompt.of(nasty), [(row, Outcome(0, 0.0, reply=nasty, reason=nasty))])
    assert text.count(nasty) == 4
    assert "exactly as they are written: {keep}, {input}\n" in text


def test_lessons_are_three_mistakes_and_one_success() -> None:
    scores = (0.0, 0.5, 0.0, 0.0, 1.0, 1.0)
    parent = replace(PARENT, evaluation=Evaluation.of(Outcome(n, score) for n, score in enumerate(scores)))
    shown = [lessons(parent, ROWS, np.random.default_rng(seed)) for seed in range(40)]
    assert {len(rows) for rows in shown} == {4}
    assert {sum(scores[row.number] == 1 for row in rows) for rows in shown} == {1}
    assert {row.number for rows in shown for row in rows} == set(range(6))
    assert lessons(individual(1, "a"), (), np.random.default_rng(0)) == ()


def test_the_log_names_the_rows_shown_and_holds_no_data() -> None:
    recorded = describe(Reflect(ROWS[:2]), "system")
    assert '"examples": [0, 1]' in recorded
    assert "text 0" not in recorded


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        Reflect(temperature=3)
    with pytest.raises(ConfigError, match="max_tokens"):
        Reflect(max_tokens=0)
