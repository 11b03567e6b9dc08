from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from breeding import LABELS, ask_all, brief, drive, tell_all
from climbing import LONG, bases, begun, edits_of, first_with, iterate, scored, world

from evo.errors import ConfigError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.randomness import child_rng
from operators.grips import Grips
from operators.phrase_script import PhraseScript
from operators.phrases import split
from operators.seeds import Seed

GREEDY = Grips()


def test_the_paper_s_sequence_is_followed() -> None:
    state = begun(GREEDY, 0.3, 0.5, 0.4)
    assert bases(state) == [1]
    births, state = iterate(GREEDY, state, 10, 0.2, 0.6, None, 0.55, 0.6)
    assert len(births) == GREEDY.num_candidates == 5
    assert all(birth.edges == ((1, "base"),) and birth.examples is None for birth in births)
    assert all(len(edits_of(birth)) == 1 for birth in births)
    assert bases(state) == [11]  # of two as good the first
    births, state = iterate(GREEDY, state, 20, 0.6, 0.6, 0.1, 0.6, 0.5)
    assert bases(state) == [11]  # as good is not better
    assert {birth.edges[0] for birth in births} == {(11, "base")}
    births, state = iterate(GREEDY, state, 30, 0.61, 0.7, 0.62, 0.63, 0.1)
    assert bases(state) == [31]
    assert state.failures == 0


def test_two_successive_failures_end_the_search() -> None:
    state = begun(GREEDY, 0.5)
    _, state = iterate(GREEDY, state, 10, *[0.5] * 5)
    assert not GREEDY.finished(state)
    _, state = iterate(GREEDY, state, 20, *[0.6] * 5)
    assert state.failures == 0
    for first in (30, 40):
        assert not GREEDY.finished(state)
        _, state = iterate(GREEDY, state, first, *[0.1] * 5)
    assert GREEDY.finished(state)
    assert GREEDY.ask(state, 50, np.random.default_rng(0)) == (None, state)
    assert [one.number for one in GREEDY.living(state)] == [20]


def test_an_outage_is_no_failure_of_the_search() -> None:
    _, state = iterate(GREEDY, begun(GREEDY, 0.5), 10, *[0.1] * 5)
    for first in (20, 30, 40):
        _, state = iterate(GREEDY, state, first, *[None] * 5)
        assert not GREEDY.finished(state)
    _, state = iterate(GREEDY, state, 50, None, 0.1, *[None] * 3)
    assert GREEDY.finished(state)


def test_ten_iterations_are_enough_even_if_all_succeed() -> None:
    state = begun(GREEDY, 0.1)
    for turn in range(10):
        assert not GREEDY.finished(state)
        _, state = iterate(GREEDY, state, 10 * turn + 10, *[0.2 + turn / 20] * 5)
    assert GREEDY.finished(state)


def test_what_the_winner_deleted_may_come_back_with_its_parent_and_leaves_the_tracker_then() -> None:
    state = begun(GREEDY, 0.5)
    births, place, first, state = first_with(GREEDY, state, "delete")
    gone = edits_of(births[place])[0][1]
    assert gone in {phrase.text for phrase in split(f"{LONG} 0", "clause")}
    told = [scored(first + n, 0.6 if n == place else 0.1, f"{LONG[20:]} {n}") for n in range(5)]
    state = tell_all(GREEDY, state, told)
    winner = first + place
    assert [(lost.phrase, lost.source.number) for lost in state.lines[0].deleted] == [(gone, 0)]
    assert not any(lost.source.evaluation.outcomes for lost in state.lines[0].deleted)  # or states would grow
    births, place, second, state = first_with(GREEDY, state, "add", 2000)
    assert edits_of(births[place]) == (("add", gone),)
    assert births[place].edges == ((winner, "base"), (0, "deleted-from"))
    assert births[place].generation == 1 + births[place].parents[0].generation
    worse = tell_all(GREEDY, state, [scored(second + n, 0.2) for n in range(5)])
    assert [lost.phrase for lost in worse.lines[0].deleted] == [gone]
    better = tell_all(GREEDY, state, [scored(second + n, 0.9 if n == place else 0.2) for n in range(5)])
    assert better.lines[0].deleted == ()


def test_losers_deletes_are_not_tracked_and_nothing_is_put_back_before_a_delete_won() -> None:
    state = begun(GREEDY, 0.5)
    for first in (10, 20):
        births, state = iterate(GREEDY, state, first, *[0.4] * 5)
        assert "add" not in {edit for birth in births for edit, _ in edits_of(birth)}
    assert state.lines[0].deleted == ()


def test_incoherent_prompts_may_win() -> None:
    _, state = ask_all(GREEDY, begun(GREEDY, 0.5), 10)
    state = tell_all(GREEDY, state, [scored(10 + n, 0.5 + n / 100, "word of or and, bad") for n in range(5)])
    assert bases(state) == [14]


def told_labels(number: int, answers: list[str]) -> Individual:
    targets = [LABELS[n % 2] for n in range(12)]
    outcomes = [Outcome(n, float(answers[n] == targets[n]), answer=answers[n]) for n in range(12)]
    return Individual(number, Prompt.of(f"p {number}, or q"), "seed", evaluation=Evaluation.of(outcomes))


@pytest.mark.parametrize(("objective", "base"), [("balanced", 11), ("accuracy", 10)])
def test_the_objective_keeps_a_prompt_from_collapsing_to_one_label(objective: Any, base: int) -> None:
    method = Grips(objective=objective, num_candidates=2)
    _, state = ask_all(method, method.start(brief(1)), 0)
    state = method.tell(state, scored(0, 0.1))
    _, state = ask_all(method, state, 10)
    collapsed = told_labels(10, ["good"] * 12)
    mixed = told_labels(11, [*["bad", "good"] * 3, *["good", "bad"] * 3])  # as often right
    assert bases(tell_all(method, state, [collapsed, mixed])) == [base]


def test_parts_are_edited_apart_and_phrases_come_back_where_they_were() -> None:
    method = Grips(iterations=None, patience=10**6)
    seed = Prompt.of({"system": f"Be exact, {LONG}", "instruction": LONG})
    task = {"evolve": ("system", "instruction")}
    made = world(method, seed, task=task, scores=lambda prompt, row: 1 - len(str(prompt.parts)) / 2000)
    lost: dict[str, set[str]] = {"system": set(), "instruction": set()}
    seen: Counter[Any] = Counter()
    for step in made.steps(301)[1:]:
        ((operation, phrase),) = edits_of(step)
        seen[step.part, operation] += 1
        if operation == "delete":
            lost[step.part].add(phrase)
        if operation == "add":
            assert phrase in lost[step.part]
    assert {part for part, _ in seen} == {"system", "instruction"}
    assert seen["system", "add"]
    assert seen["instruction", "add"]


@pytest.mark.parametrize("mode", ["greedy", "annealing", "beam"])
def test_the_path_depends_neither_on_slots_nor_on_the_order_of_telling(mode: Any) -> None:
    method = Grips(mode=mode, patience=9, num_compose=2, substitute="model")
    paths = [
        drive(method, brief(4), 60, slots=slots, shuffle=shuffle) for slots, shuffle in ((1, None), (64, 3), (7, 5))
    ]
    born = [sorted(path.individuals, key=lambda one: one.number)[:54] for path in paths]
    assert born[0] == born[1] == born[2]


@pytest.mark.parametrize("substitute", ["bank", "model"])
@pytest.mark.parametrize(("mode", "width"), [("greedy", 1), ("beam", 3)])
def test_calls_are_as_the_formula_says(substitute: Any, mode: Any, width: int) -> None:
    method = Grips(mode=mode, beam=3, iterations=4, patience=4, substitute=substitute)
    made = world(method, Prompt.of(LONG), Prompt.of(f"Say it, {LONG}"), otherwise="a new phrase", scores=lambda *_: 0.5)
    while not method.finished(made.state):
        made.step()
    births = 2 + 5 + 3 * width * 5
    assert made.number == births
    assert made.rows == births * 12  # (S + iterations x m) x |D|, and nobody was scored twice
    assert bool(made.llm.requests) is (substitute == "model")


def test_a_model_is_asked_once_for_each_substitution() -> None:
    method = Grips(substitute="model", iterations=3, patience=3, num_compose=2)
    made = world(method, otherwise="some other phrase", scores=lambda *_: 0.5)
    steps = made.steps(1 + 3 * 5)[1:]
    assert method.finished(made.state)
    drawn = sum(edit == "substitute" for step in steps for edit, _ in edits_of(step))
    assert len(made.llm.requests) == drawn > 0


def test_levels_and_arguments_reach_the_operator() -> None:
    method = Grips(level="sentence", substitute="model", num_compose=3, temperature=0.9, max_tokens=50)
    operator = script_of(method)
    assert (operator.level, operator.by_model, len(operator.edits)) == ("sentence", True, 3)
    assert (operator.labels, operator.temperature, operator.max_tokens) == (LABELS, 0.9, 50)
    assert script_of(Grips(level="word")).level == "word"
    assert script_of(Grips()).level == "clause"


def script_of(method: Grips) -> PhraseScript:
    operator = ask_all(method, begun(method, 0.5), 10)[0][0].operator
    assert isinstance(operator, PhraseScript)
    return operator


def test_seeds_are_asked_for_as_they_are_and_nothing_else_before_they_are_told() -> None:
    births, state = ask_all(GREEDY, GREEDY.start(brief(3)), 0)
    assert [birth.operator for birth in births] == [Seed(seed) for seed in brief(3).seeds]
    state = GREEDY.tell(state, scored(0, 0.4))
    assert GREEDY.ask(state, 9, child_rng(0, "ask", 9)) == (None, state)
    assert [one.number for one in GREEDY.living(state)] == [0]


def test_arguments_are_checked() -> None:
    for wrong, message in (
        ({"num_candidates": 0}, "num_candidates"),
        ({"num_compose": 0}, "num_compose"),
        ({"patience": 0}, "patience"),
        ({"iterations": 0}, "iterations"),
        ({"beam": 0}, "beam"),
        ({"level": "clause"}, "level to be one of phrase, word, sentence"),
        ({"mode": "hot"}, "mode to be one of greedy, annealing, beam"),
        ({"substitute": "pegasus"}, "substitute to be one of bank, model"),
        ({"objective": "f1"}, "objective to be one of balanced, accuracy"),
        ({"start_from": "last"}, "start_from to be one of best, first"),
        ({"restart": True}, "restart to be one of never, seeds, best"),
        ({"temperature": 3}, "temperature to be from 0 to 2"),
        ({"max_tokens": 0}, "max_tokens"),
    ):
        with pytest.raises(ConfigError, match=message):
            Grips(**wrong)
