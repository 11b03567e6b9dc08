from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from breeding import LABELS, TRAIN, ScriptedLlm, at_once, brief, individual
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import ConfigError, OperatorError
from evo.model import EXAMPLES, Demo, Evaluation, Individual, Outcome, Prompt, demos_of, with_demos
from evo.schema import describe
from operators.few_shot import (
    Change,
    Demonstrate,
    FewShot,
    added,
    chosen,
    crossed,
    demo_of,
    ordered,
    reasoned,
    removed,
    swapped,
    unused,
    working,
)
from operators.steady_state import SteadyState

ALL = tuple(demo_of(row) for row in TRAIN)
seeds = st.integers(0, 2**32)
subsets = st.lists(st.sampled_from(ALL), unique=True).map(tuple)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def silent(request: Any) -> str:
    raise AssertionError("a model was called")


def bred(operator: Any, parent: Individual, seed: int = 0) -> Prompt:
    return at_once(operator([parent], ScriptedLlm(silent), rng(seed)))  # type: ignore[no-any-return]


def parent(*demos: Demo, **more: Any) -> Individual:
    return replace(individual(1, "x", **more), prompt=with_demos(Prompt.of("Sort it."), demos))


def test_a_row_becomes_a_worked_example_with_its_number() -> None:
    assert demo_of(TRAIN[0]) == Demo("train text 12", LABELS[0], row=12)


@given(demos=subsets, seed=seeds)
def test_changes_do_what_they_say(demos: tuple[Demo, ...], seed: int) -> None:
    more, fewer = added(demos, TRAIN, rng(seed)), removed(demos, rng(seed))
    other, mixed = swapped(demos, TRAIN, rng(seed)), ordered(demos, rng(seed))
    assert more[: len(demos)] == demos
    assert len(more) == min(len(demos) + 1, len(ALL))
    assert len(fewer) == max(0, len(demos) - 1)
    assert set(fewer) < set(demos) or fewer == demos == ()
    assert sum(a != b for a, b in zip(demos, other, strict=True)) == (0 < len(demos) < len(ALL))
    assert Counter(mixed) == Counter(demos)
    assert all(len(set(some)) == len(some) for some in (more, other))


@given(first=subsets, second=subsets, seed=seeds)
def test_a_crossover_holds_the_mean_number_of_those_of_both(first: Any, second: Any, seed: int) -> None:
    child = crossed(first, second, rng(seed))
    assert len(child) == (len(first) + len(second)) // 2
    assert len(set(child)) == len(child)
    assert set(child) <= {*first, *second}


def test_of_a_demo_both_parents_have_the_one_with_reasoning_counts() -> None:
    told = replace(ALL[0], working="Because.")
    assert crossed((ALL[0],), (told,), rng()) == crossed((told,), (ALL[0],), rng()) == (told,)


def test_examples_are_drawn_without_repeats_and_rows_run_out() -> None:
    assert len(set(chosen(TRAIN, 5, rng()))) == 5
    assert set(chosen(TRAIN, 50, rng())) == set(ALL)
    assert chosen((), 5, rng()) == ()
    assert unused((replace(ALL[0], row=None),), TRAIN) == TRAIN[1:]


def test_reasoning_is_the_model_s_own_where_it_was_right() -> None:
    outcomes = [
        Outcome(12, 1.0, answer="good", reply="It praises the lamp.\nGood"),
        Outcome(13, 0.0, answer="good", reply="It praises."),
        Outcome(14, 1.0, answer="good", reply=""),
        Outcome(15, None, error="timeout", reply="It"),
        Outcome(16, 1.0, answer="good", reply="so " * 900),
    ]
    found = reasoned(ALL[:5], outcomes)
    assert [demo.working for demo in found] == ["It praises the lamp.", "", "", "", ""]
    kept = (replace(ALL[0], working="Mine."),)
    assert reasoned(kept, outcomes) == kept


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Good", ""),
        ("It shines.\n\nGood.", "It shines."),
        ("I say it is good", "I say it is good"),
        ("  数学,二加二\n« good »", "数学,二加二\n« good »"),
    ],
)
def test_only_a_last_line_that_is_the_answer_is_cut_off(reply: str, text: str) -> None:
    assert working(reply, "good") == text


@pytest.mark.parametrize("change", get_args(Change))
def test_each_change_alone(change: Change) -> None:
    right = Evaluation.of([Outcome(12, 1.0, answer="good", reply="It shines.")])
    base = parent(*ALL[:3], practice=right)
    demos = demos_of(bred(FewShot((change,), rows=TRAIN), base, 3))
    assert demos != demos_of(base.prompt)
    expected = {"add": {4}, "remove": {2}, "swap": {3}, "order": {3}, "choose": {1, 2, 3, 4, 5}, "reason": {3}}
    assert len(demos) in expected[change]
    assert any(demo.working == "It shines." for demo in demos) == (change == "reason")


def test_the_instruction_stays_and_at_most_so_many_are_shown() -> None:
    base = parent()
    for seed in range(60):
        child = bred(FewShot(upper_shots=2, rows=TRAIN), base, seed)
        assert child.part("instruction") == "Sort it."
        assert len(demos_of(child)) <= 2
        base = replace(base, prompt=child)


@pytest.mark.parametrize("operator", [FewShot(), FewShot(("remove",), rows=TRAIN), FewShot(("add",))])
def test_where_nothing_can_change_the_birth_fails(operator: FewShot) -> None:
    with pytest.raises(OperatorError, match="expected worked examples that can be changed"):
        bred(operator, parent())


def test_rows_are_not_recorded_but_their_numbers_are() -> None:
    assert describe(Demonstrate.of(TRAIN[:2])) == '{"numbers": [12, 13]}'
    assert "rows" not in describe(FewShot(rows=TRAIN))


def test_demonstrating_puts_rows_into_the_prompt() -> None:
    right = Evaluation.of([Outcome(13, 1.0, answer="bad", reply="It lacks.")])
    child = bred(Demonstrate.of((TRAIN[1], TRAIN[0])), parent(*ALL[4:6], practice=right))
    assert demos_of(child) == (replace(ALL[1], working="It lacks."), ALL[0])


@pytest.mark.parametrize("arguments", [{"changes": ()}, {"changes": ("grow",)}, {"upper_shots": 0}])
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="few-shot expects"):
        FewShot(**arguments)


def test_steady_state_changes_worked_examples_where_asked() -> None:
    for weights, share in (({"few-shot": 1}, 1.0), ({**dict(SteadyState().operators)}, 0.0)):
        method = SteadyState(operators=weights)
        _, state = method.ask(method.start(brief(1)), 0, rng())
        state = method.tell(state, individual(0, "Sort it."))
        asked = [method.ask(state, 1, rng(seed))[0] for seed in range(50)]
        few = [one for one in asked if one is not None and isinstance(one.operator, FewShot)]
        assert len(few) == share * len(asked)
        for proposal in few:
            assert (proposal.part, proposal.operator.rows) == (EXAMPLES, TRAIN)  # type: ignore[attr-defined]
