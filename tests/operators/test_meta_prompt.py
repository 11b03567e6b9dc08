from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, ScriptedLlm, at_once, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Individual, Prompt
from evo.schema import describe
from operators.meta_prompt import MetaPrompt, polished, position_of

SHOWN = [individual(3, "Sort it.", 0.123), individual(1, "Is it “good”? 好吗?", 0.555), individual(2, "Judge.", 0.7)]


def written(reply: str, operator: MetaPrompt | None = None, shown: list[Individual] = SHOWN) -> Prompt:
    llm = ScriptedLlm(lambda request: reply)
    return at_once((operator or MetaPrompt())(shown, llm, np.random.default_rng(0)))


def test_an_instruction_tried_with_other_genes_is_known() -> None:
    base = individual(1, "Sort.")
    base = replace(base, prompt=base.prompt.with_part("_mutation-prompt", "Change it."))
    llm = ScriptedLlm(lambda request: "<prompt>Judge.</prompt>")
    operator = MetaPrompt(known=frozenset({Prompt.of("Judge.").hash}))
    with pytest.raises(OperatorError, match="tried before"):
        at_once(operator([base], llm, np.random.default_rng(0)))


def test_the_meta_prompt_has_the_paper_s_parts_in_their_order() -> None:
    operator = MetaPrompt(exemplars=(12, 13), rows=TRAIN[:2])
    llm = ScriptedLlm(lambda request: "<prompt>weigh the words</prompt>")
    child = at_once(operator(SHOWN, llm, np.random.default_rng(0)))
    (request,) = llm.requests
    assert (request.temperature, request.max_tokens) == (1.0, 1024)
    places = [
        request.text.index(piece)
        for piece in (
            "score from 0 to 100",
            "Instruction 1: Sort it.\nScore: 12\n",
            "Instruction 2: Is it “good”? 好吗?\nScore: 56\n",
            "Instruction 3: Judge.\nScore: 70\n",
            "Examples of the task",
            "Example 1\n<INS>\nQ: train text 12\nA: good\n",
            "Example 2\n<INS>\nQ: train text 13\nA: bad\n",
            "unlike all of those above",
        )
    ]
    assert places == sorted(places)
    assert child == Prompt.of("Weigh the words")
    first = replace(operator, exemplars_first=True).asked(SHOWN)
    assert first.index("Examples of the task") < first.index("Instruction 1:") < first.index("unlike all")


@pytest.mark.parametrize(
    ("position", "shape"),
    [
        ("before_Q", "<INS>\nQ: train text 12\nA: good"),
        ("Q_begin", "Q: <INS>\ntrain text 12\nA: good"),
        ("Q_end", "Q: train text 12\n<INS>\nA: good"),
        ("A_begin", "Q: train text 12\nA: <INS> good"),
    ],
)
def test_each_position_has_its_shape(position: Any, shape: str) -> None:
    text = MetaPrompt(position=position, rows=TRAIN[:1]).asked(SHOWN)
    assert f"Example 1\n{shape}\n" in text
    assert ("first words of an answer" in text) == (position == "A_begin")


@pytest.mark.parametrize(
    ("layout", "position"),
    [
        ("{prompt}\n\n{input}", "before_Q"),
        ("{prompt}\nText: {input}\nLabel:", "before_Q"),
        ("Q: {prompt}\n{input}\nA:", "Q_begin"),
        ("{input}\n\n{prompt}", "Q_end"),
        ("Text: {input}\n{prompt}\nAnswer:", "Q_end"),
        ("Q: {input}\nA: {prompt}", "A_begin"),
        ("Q: {input}\nAnswer:\n{prompt}", "A_begin"),
        ("nothing", "before_Q"),
    ],
)
def test_the_layout_gives_the_position(layout: str, position: str) -> None:
    assert position_of(layout) == position
    assert position_of(layout, frozenset({"input"})) == "before_Q"


@pytest.mark.parametrize(("buckets", "scores"), [(100, "12 56 70"), (20, "2 11 14"), (None, "0.123 0.555 0.700")])
def test_scores_are_whole_numbers_or_exact(buckets: int | None, scores: str) -> None:
    shown = [individual(1, "a", 0.123), individual(2, "b", 0.555), individual(3, "c", 0.7)]
    text = MetaPrompt(num_score_buckets=buckets).asked(shown)
    assert [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Score:")] == scores.split()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("Sure: think step by step.", "no <prompt>"),
        ("<prompt>" + "so " * 200 + "</prompt>", "at most 500 characters"),
        ("<prompt>Put <INS> first.</prompt>", "placeholder"),
        ("<prompt>judge.</prompt>", "tried before"),
    ],
)
def test_a_reply_that_is_not_wanted_fails(reply: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        written(reply, MetaPrompt(known=frozenset({Prompt.of("Judge.").hash})))


def test_digits_are_refused_where_asked() -> None:
    assert written("<prompt>Take 2 steps.</prompt>").text == "Take 2 steps."
    for text in ("Take 2 steps.", "Take ٣ steps."):
        with pytest.raises(OperatorError, match="without digits"):
            written(f"<prompt>{text}</prompt>", MetaPrompt(no_digits=True))


def test_only_the_placeholder_as_a_word_is_refused() -> None:
    assert written("<prompt>INSTRUCTIONS: read on.</prompt>").text == "INSTRUCTIONS: read on."


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("**think** it over ", "Think it over"),
        ("“höre” zu", "“höre” zu"),
        ("écoute…", "Écoute…"),
        ("思考 🙂", "思考 🙂"),
    ],
)
def test_text_of_any_language_is_polished(text: str, clean: str) -> None:
    assert polished(text) == clean
    assert written(f"<prompt>{text}</prompt>").text == clean


def test_untrusted_text_is_put_in_once() -> None:
    shown = [individual(1, "Cost $most {input} $answer", 0.5)]
    row = replace(TRAIN[0], inputs={"input": "$place {answer} <prompt>x</prompt>"})
    text = MetaPrompt(rows=(row,), task="$tried").asked(shown)
    assert "Cost $most {input} $answer" in text
    assert "Q: $place {answer} <prompt>x</prompt>" in text
    assert "Keep these placeholders in the new prompt, exactly as they are written: {input}" in text


def test_without_examples_the_task_is_described() -> None:
    assert "The task: Sort texts." in MetaPrompt(task="Sort texts.").asked(SHOWN)
    assert "The task" not in MetaPrompt(task="Sort texts.", rows=TRAIN[:1]).asked(SHOWN)


def test_other_parts_are_the_best_parent_s_and_the_part_in_focus_is_written() -> None:
    parts = [Prompt.of({"system": f"s{n}", "instruction": f"i{n}"}).focused("system") for n in (1, 2)]
    shown = [replace(individual(n, "", n / 4), prompt=prompt) for n, prompt in enumerate(parts, 1)]
    child = written("<prompt>be kind</prompt>", shown=shown)
    assert child == Prompt.of({"system": "Be kind", "instruction": "i2"})
    assert "Instruction 1: s1" in MetaPrompt().asked(shown)


def test_rows_are_recorded_by_number() -> None:
    recorded = json.loads(describe(MetaPrompt(exemplars=(12, 13), rows=TRAIN[:2], known=frozenset({"a"}))))
    assert recorded["exemplars"] == [12, 13]
    assert {"rows", "known", "task"}.isdisjoint(recorded)


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="opro expects position to be one of"):
        MetaPrompt(position="middle")  # type: ignore[arg-type]


ONLY = MetaPrompt(instructions_only=True, task="Sort texts.")


@pytest.mark.parametrize(
    ("position", "where"),
    [
        ("before_Q", "on a line above the question"),
        ("Q_begin", "at the beginning of the question"),
        ("Q_end", "at the end of the question"),
        ("A_begin", "at the beginning of the answer"),
    ],
)
def test_with_instructions_only_a_title_names_place_and_task_and_lines_follow(position: Any, where: str) -> None:
    title, *lines = replace(ONLY, position=position).asked(SHOWN).split("\n\n")
    assert where in title
    assert title.endswith("the task: Sort texts.")
    assert lines == [
        "Precision: 12 <TEXT>Sort it.</TEXT>",
        "Precision: 56 <TEXT>Is it “good”? 好吗?</TEXT>",
        "Precision: 70 <TEXT>Judge.</TEXT>",
    ]


def test_with_instructions_only_the_first_whole_text_of_the_reply_is_taken() -> None:
    reply = "Precision: 80 <TEXT>weigh the words</TEXT>\n\nPrecision: 90 <TEXT>Or not.</TEXT>\n\nPrecision: 95 <TEX"
    assert written(reply, ONLY).text == "Weigh the words"
    for unusable, why in (("<prompt>Weigh.</prompt>", "no <TEXT>"), ("<TEXT>Weigh", "</TEXT> after")):
        with pytest.raises(OperatorError, match=why):
            written(unusable, ONLY)


def test_with_instructions_only_untrusted_text_is_put_in_once_and_placeholders_are_asked_for() -> None:
    shown = [individual(1, "Cost $most {input} $where", 0.5)]
    text = replace(ONLY, task="$most").asked(shown)
    assert text.endswith("Precision: 50 <TEXT>Cost $most {input} $where</TEXT>")
    assert "the task: $most." in text
    assert "Keep these placeholders in the new prompt, exactly as they are written: {input}" in text


def test_with_instructions_only_a_task_without_a_description_leaves_the_place() -> None:
    assert MetaPrompt(instructions_only=True).asked(SHOWN).startswith("How precisely, from 0 to 100, a task is done")
    assert "the task:" not in MetaPrompt(instructions_only=True).asked(SHOWN)
