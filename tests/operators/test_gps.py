from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import DEV, brief, drive, failed
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng
from operators.gps import Gps
from operators.restatements import BackTranslation, Cloze, Continuation
from operators.rules import Rules
from operators.seeds import Seed

SMALL = Gps(top_k=2, generations=2, children=2, sample=4, finalists=3)
ROWS = tuple(row.number for row in DEV)


def steps(method: Gps, state: Any, first: int = 0) -> tuple[dict[int, Any], Any]:
    """Return every step the method asks for before it waits, by number."""
    found: dict[int, Any] = {}
    while True:
        number = first + len(found)
        step, state = method.ask(state, number, child_rng(7, "ask", number))
        if step is None:
            return found, state
        found[number] = step


def newborn(number: int, score: float, rows: tuple[int, ...] = ROWS[:4], operator: str = "continuation") -> Individual:
    return scored(Individual(number, Prompt.of(f"prompt {number:03}"), operator), score, rows)


def scored(one: Individual, score: float, rows: tuple[int, ...]) -> Individual:
    return one.with_evidence(Evaluation.of(Outcome(row, score) for row in rows), Evaluation())


def tell(method: Gps, state: Any, told: Any) -> Any:
    for one in told:
        state = method.tell(state, one)
    return state


def begun(method: Gps, scores: tuple[float, ...] = (0.1, 0.5, 0.3)) -> Any:
    """Return the state after the seeds are scored: seed n is individual n."""
    found, state = steps(method, method.start(brief(len(scores))))
    assert [step.operator for step in found.values()] == list(map(Seed, brief(len(scores)).seeds))
    return tell(method, state, [newborn(number, score, operator="seed") for number, score in enumerate(scores)])


def numbers(individuals: Any) -> list[int]:
    return [one.number for one in individuals]


def test_the_paper_s_sequence_is_followed() -> None:
    method = SMALL
    state = begun(method)
    assert numbers(state.survivors) == [1, 2]
    for generation, expected in ((1, [11, 10]), (2, [20, 23])):
        parents = numbers(state.survivors)
        found, state = steps(method, state, 10 * generation)
        assert [step.edges for step in found.values()] == [((number, "base"),) for number in parents * 2]
        assert all(step.operator == Continuation() for step in found.values())
        assert all(step.examples == ROWS[:4] for step in found.values())
        scores = {10: 0.4, 11: 0.6, 12: 0.2, 13: 0.2, 20: 0.3, 21: 0.1, 22: 0.1, 23: 0.2}
        state = tell(method, state, [newborn(number, scores[number]) for number in found])
        assert numbers(state.survivors) == expected
        assert not method.finished(state)
    assert numbers(state.archive) == [11, 1, 10]
    found, state = steps(method, state, 30)
    assert [(step.individual.number, step.examples) for step in found.values()] == [
        (number, ROWS[4:]) for number in (11, 1, 10)
    ]
    state = tell(method, state, [scored(step.individual, 0.5, step.examples) for step in found.values()])
    assert method.finished(state)
    assert method.ask(state, 99, np.random.default_rng(0)) == (None, state)


def test_children_alone_are_the_next_generation_but_no_survivor_is_forgotten() -> None:
    found, state = steps(SMALL, begun(SMALL, (0.9, 0.8)), 10)
    state = tell(SMALL, state, [newborn(number, 0.1) for number in found])
    assert numbers(state.survivors) == [10, 11]
    assert numbers(SMALL.living(state)) == [0, 1]
    assert numbers(state.archive) == [0, 1, 10]


def test_when_no_child_is_left_the_survivors_are_reproduced_again() -> None:
    found, state = steps(SMALL, begun(SMALL), 10)
    known = replace(newborn(11, 0.9), prompt=state.archive[0].prompt)
    state = tell(SMALL, state, [failed(10), known, failed(12), failed(13)])
    assert numbers(state.survivors) == [1, 2]
    assert state.generation == 2
    again, _ = steps(SMALL, state, 20)
    assert [step.edges for step in again.values()] == [step.edges for step in found.values()]


def test_luck_on_the_sample_is_found_out_by_fresh_rows() -> None:
    method = replace(SMALL, generations=1)
    found, state = steps(method, begun(method), 10)
    state = tell(method, state, [newborn(number, 1.0 if number == 12 else 0.75) for number in found])
    found, state = steps(method, state, 20)
    luck = {12: 0.0, 10: 0.75, 1: 0.5}
    ended = [scored(step.individual, luck[step.individual.number], step.examples) for step in found.values()]
    assert numbers(method.living(state))[0] == 12
    state = tell(method, state, ended)
    assert numbers(method.living(state)) == [10, 1]


def test_the_best_seed_is_rescored_even_when_it_is_no_finalist() -> None:
    method = replace(SMALL, generations=1, finalists=1)
    found, state = steps(method, begun(method), 10)
    found, state = steps(method, tell(method, state, [newborn(number, 0.9) for number in found]), 20)
    assert [step.individual.number for step in found.values()] == [10, 1]
    state = tell(method, state, [scored(step.individual, 0.5, step.examples) for step in found.values()])
    assert method.finished(state)


@pytest.mark.parametrize(("fresh", "expected"), [(None, ROWS[4:]), (3, ROWS[4:7]), (0, ())])
def test_how_many_rows_are_fresh(fresh: Any, expected: Any) -> None:
    method = replace(SMALL, generations=1, fresh=fresh)
    found, state = steps(method, begun(method), 10)
    found, state = steps(method, tell(method, state, [newborn(number, 0.9) for number in found]), 20)
    assert {step.examples for step in found.values()} == ({expected} if expected else set())
    assert method.finished(state) is (not expected)


def test_a_sample_of_all_rows_leaves_none_fresh() -> None:
    method = replace(SMALL, generations=1, sample=100)
    found, state = steps(method, method.start(brief(2)))
    assert {step.examples for step in found.values()} == {ROWS}
    state = tell(method, state, [newborn(number, 0.5, ROWS, "seed") for number in found])
    found, state = steps(method, state, 10)
    assert method.finished(tell(method, state, [newborn(number, 0.5, ROWS) for number in found]))


def test_operators_are_drawn_by_weight() -> None:
    method = replace(
        SMALL,
        children=150,
        operators={"cloze": 2.0, "back-translation": 1.0, "continuation": 0.0},
        languages=("Latin",),
        blacklist=("moo",),
        cloze_share=0.5,
    )
    found, _ = steps(method, begun(method), 10)
    drawn = Counter(type(step.operator) for step in found.values())
    assert drawn[Continuation] == 0
    assert drawn[Cloze] / 300 == pytest.approx(2 / 3, abs=0.1)
    used = {type(step.operator): step.operator for step in found.values()}
    assert used[Cloze] == Cloze(share=0.5, rules=Rules(blacklist=("moo",)))
    assert used[BackTranslation] == BackTranslation(languages=("Latin",), rules=Rules(blacklist=("moo",)))


def test_an_immigrant_is_selected_on_the_same_rows() -> None:
    found, state = steps(SMALL, begun(SMALL), 10)
    state = SMALL.tell(state, newborn(50, 1.0, ROWS[3:], "migration"))
    assert 50 not in numbers(SMALL.living(state))
    state = tell(SMALL, state, [newborn(number, 0.4) for number in found])
    found, state = steps(SMALL, state, 60)
    assert [(step.individual.number, step.examples) for step in found.values()] == [(50, ROWS[:3])]
    state = tell(SMALL, state, [scored(step.individual, 0.0, step.examples) for step in found.values()])
    assert numbers(state.survivors) == [10, 11]
    found, state = steps(SMALL, begun(SMALL), 10)
    state = SMALL.tell(state, newborn(50, 1.0, ROWS, "migration"))
    assert numbers(tell(SMALL, state, [newborn(number, 0.4) for number in found]).survivors) == [50, 10]


def test_when_all_seeds_fail_the_user_is_told_unless_an_immigrant_comes() -> None:
    found, state = steps(SMALL, SMALL.start(brief(2)))
    state = tell(SMALL, state, [failed(number) for number in found])
    with pytest.raises(ConfigError, match="at least 1 living prompts"):
        SMALL.ask(state, 10, np.random.default_rng(0))
    state = SMALL.tell(state, newborn(50, 0.5, ROWS, "migration"))
    found, _ = steps(SMALL, state, 60)
    assert {step.edges for step in found.values()} == {((50, "base"),)}


def test_the_archive_does_not_grow_without_end() -> None:
    method = replace(SMALL, generations=None)
    driven = drive(method, brief(4), 300)
    assert len(driven.state.archive) <= 3
    assert not method.finished(driven.state)
    best = max(one.fitness for one in driven.individuals if one.ok)
    assert max(one.fitness for one in method.living(driven.state)) == best


def test_the_calls_are_those_of_the_formula() -> None:
    method = Gps(top_k=3, generations=3, children=2, sample=5, finalists=2, operators={"back-translation": 1.0})
    replies = iter(range(10_000))
    driven = drive(method, brief(5), 1000, reply=lambda request: f"<prompt>text number {next(replies)}</prompt>")
    state, found = method.start(brief(5)), []
    for kind, number in driven.steps:
        if kind == "asked":
            step, state = method.ask(state, number, child_rng(1, "ask", number))
            found.append(step)
        else:
            state = method.tell(state, driven.told_of(number))
    births = [step for step in found if isinstance(step, Proposal)]
    assert len(births) == 5 + 3 * 3 * 2
    assert next(replies) == 2 * 18
    extra = [step for step in found if isinstance(step, Evidence)]
    assert len(extra) in (2, 3)
    assert {len(step.examples) for step in extra} == {7}
    assert {len(step.examples or ()) for step in births} == {5}
    assert method.finished(state)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=4, max_size=4))
def test_the_order_of_telling_does_not_matter(data: Any, scores: Any) -> None:
    _, state = steps(SMALL, begun(SMALL), 10)
    born = [failed(n) if s is None else newborn(n, s) for n, s in enumerate(scores, 10)]
    assert tell(SMALL, state, born) == tell(SMALL, state, data.draw(st.permutations(born)))


@pytest.mark.parametrize("shuffle", [None, 1])
def test_a_run_is_the_same_with_any_number_of_slots(shuffle: Any) -> None:
    method = replace(SMALL, operators={"continuation": 1.0, "back-translation": 1.0})
    one, many = drive(method, brief(3), 100, slots=1), drive(method, brief(3), 100, slots=9, shuffle=shuffle)
    assert one.state == many.state
    assert method.finished(one.state)


@pytest.mark.parametrize(
    "arguments",
    [
        {"top_k": 0},
        {"generations": 0},
        {"fresh": -1},
        {"cloze_share": 2},
        {"operators": {"cloze": 0.0}},
        {"operators": {"cloze": -1.0}},
        {"temperature": 3},
        {"languages": ()},
    ],
    ids=str,
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="expects"):
        Gps(**arguments)


def test_an_unknown_operator_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="gps: unknown operator 'closed'; did you mean 'cloze'"):
        Gps(operators={"closed": 1.0})
