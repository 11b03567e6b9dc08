from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, ScriptedLlm, at_once, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Evaluation, Individual, Outcome, Prompt, demos_of, with_demos
from evo.schema import describe
from operators.capo_operators import CapoCrossover, CapoMutation
from operators.few_shot import demo_of

DEMOS = tuple(demo_of(row) for row in TRAIN)


def parent(number: int, text: str, *demos: Any) -> Individual:
    return replace(individual(number, ""), prompt=with_demos(Prompt.of(text), demos))


BASE, MATE = parent(1, "Sort $x it.", *DEMOS[:3]), parent(2, "Judge it.", *DEMOS[3:4])


def bred(
    operator: Any, parents: Any, reply: str = "<prompt>New text.</prompt>", seed: int = 0
) -> tuple[Prompt, list[Any]]:
    llm = ScriptedLlm(lambda request: reply)
    return at_once(operator(parents, llm, np.random.default_rng(seed))), llm.requests


def test_a_crossover_merges_instructions_and_draws_examples_of_both() -> None:
    child, (request,) = bred(CapoCrossover(task="Sort texts."), [BASE, MATE])
    assert child.part("instruction") == "New text."
    assert len(demos_of(child)) == 2
    assert set(demos_of(child)) <= set(DEMOS[:4])
    for piece in ("The task: Sort texts.\n", "Prompt 1: Sort $x it.\n", "Prompt 2: Judge it.\n"):
        assert piece in request.text


def test_parents_of_one_instruction_are_crossed_without_a_call() -> None:
    child, requests = bred(CapoCrossover(), [BASE, parent(2, "sort $x it", *DEMOS[4:])])
    assert requests == []
    assert child.part("instruction") == "Sort $x it."
    assert len(demos_of(child)) == 3


def test_a_crossover_that_loses_a_placeholder_fails() -> None:
    parents = [parent(1, "Sort {input} now."), parent(2, "Judge {input}.")]
    with pytest.raises(OperatorError, match=r"expected \{input\}"):
        bred(CapoCrossover(), parents)
    assert bred(CapoCrossover(), parents, "<prompt>Weigh {input}.</prompt>")[0].text == "Weigh {input}."
    assert bred(CapoCrossover(), [parents[0], MATE])[0].text == "New text."


def test_a_mutation_rewords_and_keeps_the_examples_in_some_order() -> None:
    orders = set()
    for seed in range(20):
        child, (request,) = bred(CapoMutation(task="Sort texts."), [BASE], seed=seed)
        assert child.part("instruction") == "New text."
        assert set(demos_of(child)) == set(DEMOS[:3])
        orders.add(demos_of(child))
    assert len(orders) > 3
    assert "The task: Sort texts.\n" in request.text
    assert "Instruction: Sort $x it.\n" in request.text


def test_adding_adds_with_the_parent_s_own_words_where_it_was_right() -> None:
    # the paper's code forgets what it added
    operator = CapoMutation("add", 15, example=TRAIN[3])
    for practice, words in ((Evaluation(), ""), (Evaluation.of([Outcome(15, 1.0, reply="It lacks.")]), "It lacks.")):
        child, _ = bred(operator, [replace(BASE, practice=practice)])
        assert len(demos_of(child)) == 4
        assert {demo.row: demo.working for demo in demos_of(child)}[15] == words
        assert json.loads(describe(operator))["row"] == 15
        assert {"example", "task"}.isdisjoint(json.loads(describe(operator)))


def test_removing_removes_one() -> None:
    gone = {frozenset(DEMOS[:3]) - set(demos_of(bred(CapoMutation("remove"), [BASE], seed=n)[0])) for n in range(30)}
    assert gone == {frozenset({demo}) for demo in DEMOS[:3]}


@pytest.mark.parametrize("reply", ["New text.", "<prompt>sort $x it</prompt>"])
def test_replies_that_cannot_be_used_fail(reply: str) -> None:
    with pytest.raises(OperatorError, match="expected"):
        bred(CapoMutation(), [BASE], reply)


@pytest.mark.parametrize(
    "arguments", [{"change": "add"}, {"change": "keep", "example": TRAIN[0]}, {"change": "grow"}, {"temperature": 3}]
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="capo-mutation expects"):
        CapoMutation(**arguments)
