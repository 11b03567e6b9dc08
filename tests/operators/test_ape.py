from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import DEV, TRAIN, ScriptedLlm, at_once, brief, call, drive, failed, gathered
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Brief, Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng
from operators.ape import Ape
from operators.induction import Induce
from operators.rewrites import Paraphrase
from operators.seeds import Seed

SMALL = Ape(num_subsamples=2, num_demos=3, num_prompts_per_subsample=4, subset=4, finalists=2)
ROWS = tuple(row.number for row in DEV)


def steps(method: Ape, state: Any, first: int = 0) -> tuple[dict[int, Any], Any]:
    """Return every step the method asks for before it waits, by number."""
    found: dict[int, Any] = {}
    while True:
        number = first + len(found)
        step, state = method.ask(state, number, child_rng(7, "ask", number))
        if step is None:
            return found, state
        found[number] = step


def newborn(
    number: int, score: float, rows: tuple[int, ...] = ROWS[:4], operator: str = "induce-forward"
) -> Individual:
    return scored(Individual(number, Prompt.of(f"prompt {number:02}"), operator), score, rows)


def scored(one: Individual, score: float, rows: tuple[int, ...]) -> Individual:
    return one.with_evidence(Evaluation.of(Outcome(row, score) for row in rows), Evaluation())


def tell(method: Ape, state: Any, told: Any) -> Any:
    for one in told:
        state = method.tell(state, one)
    return state


def informed(found: dict[int, Any], score: dict[int, float]) -> list[Individual]:
    return [scored(step.individual, score[step.individual.number], step.examples) for step in found.values()]


def living(method: Ape, state: Any) -> list[int]:
    return [one.number for one in method.living(state)]


def test_the_paper_s_sequence_is_followed() -> None:
    method = SMALL
    found, state = steps(method, method.start(brief(2)))
    assert [step.operator for step in list(found.values())[:2]] == [Seed(seed) for seed in brief(2).seeds]
    queries = [step.operator for step in list(found.values())[2:]]
    assert len(queries) == 8
    assert {query.mode for query in queries} == {"forward"}
    assert Counter(query.examples for query in queries) == {queries[0].examples: 4, queries[1].examples: 4}
    assert queries[0].examples != queries[1].examples
    assert all(step.examples == ROWS[:4] for step in found.values())
    score = {number: number / 10 for number in range(10)}
    state = tell(method, state, [newborn(number, score[number]) for number in range(10)])
    for expected in ([9, 8, 7, 6, 5], [9, 8, 7]):
        found, state = steps(method, state, 100)
        assert [step.individual.number for step in found.values()] == expected
        assert all(len(step.examples) == 4 for step in found.values())
        assert not method.finished(state)
        state = tell(method, state, informed(found, score))
    assert method.finished(state)
    assert living(method, state) == [9, 8]
    assert method.ask(state, 200, np.random.default_rng(0)) == (None, state)


def test_samples_are_of_train_rows_where_there_are_some_and_of_dev_rows_else() -> None:
    for task, pool in ((brief(), TRAIN), (brief(train=()), DEV)):
        found, _ = steps(SMALL, SMALL.start(task))
        shown = {row for step in found.values() for row in getattr(step.operator, "examples", ())}
        assert shown <= {row.number for row in pool}
    assert all(len(step.operator.demos) == 3 for step in found.values() if isinstance(step.operator, Induce))


def test_modes_take_turns_and_zero_order_comes_on_top() -> None:
    method = replace(SMALL, mode="both", num_zero_order=3, begin="Let's", opening="Look:")
    queries = [step.operator for step in steps(method, method.start(brief(0)))[0].values()]
    assert Counter(query.mode for query in queries) == {"forward": 4, "reverse": 4, "zero-order": 3}
    assert {(query.begin, query.opening, query.labels) for query in queries} == {("Let's", "Look:", ("good", "bad"))}
    assert len({query.examples for query in queries if query.mode != "zero-order"}) == 2


def test_what_is_induced_keeps_the_first_seed_s_other_parts() -> None:
    seed = Prompt.of({"system": "You sort {text}.", "instruction": "Old."})
    for evolve, part in ((("system", "instruction"), "instruction"), (("system",), "system")):
        found, _ = steps(SMALL, SMALL.start(Brief("x", (seed,), TRAIN, DEV, evolve=evolve)))
        llm = ScriptedLlm(lambda request: "<prompt>New.</prompt>")
        child = at_once(call(found[1], llm, np.random.default_rng(0)))
        expected = seed.focused(part).with_text("New." if part == "instruction" else "New.\n\n{text}")
        assert child == expected


def test_repeats_of_a_text_are_scored_further_only_once() -> None:
    method = replace(SMALL, finalists=1)
    _, state = steps(method, method.start(brief(0)))
    twins = [replace(newborn(number, 0.5), prompt=Prompt.of("the same")) for number in range(8)]
    found, _ = steps(method, tell(method, state, twins), 100)
    assert [step.individual.number for step in found.values()] == [0]


def test_full_scoring_scores_everyone_on_all_rows_at_birth() -> None:
    method = replace(SMALL, scoring="full")
    found, state = steps(method, method.start(brief(1)))
    assert {step.examples for step in found.values()} == {ROWS}
    state = tell(method, state, [newborn(number, number / 10, ROWS) for number in found])
    assert method.finished(state)
    assert living(method, state) == [8, 7]


def test_the_best_are_varied_and_chosen_from_again_with_their_variations() -> None:
    method = replace(SMALL, scoring="full", resample_rounds=2, resample_top=0.3)
    _, state = steps(method, method.start(brief(0)))
    state = tell(method, state, [newborn(number, number / 10, ROWS) for number in range(8)])
    for round, best in ((1, [7, 6, 5]), (2, [11, 7])):
        found, state = steps(method, state, 10 * round)
        assert [step.operator for step in found.values()] == [Paraphrase(0.9, 200)] * len(best)
        assert [step.edges for step in found.values()] == [((number, "base"),) for number in best]
        assert all(step.part == "instruction" for step in found.values())
        assert not method.finished(state)
        born = [newborn(number, 0.69 + 0.1 * (number == 11), ROWS) for number in found]
        state = tell(method, state, born)
    assert method.finished(state)
    assert living(method, state)[0] == 11


def test_a_resampling_round_filters_too_but_scores_no_row_again() -> None:
    method = replace(SMALL, resample_rounds=1, resample_top=0.5)
    driven = drive(method, brief(3), 200)
    assert method.finished(driven.state)
    tried = Counter(
        (step.individual.number, row)
        for step in asked(method, driven)
        if isinstance(step, Evidence)
        for row in step.examples
    )
    born = Counter((one.number, row) for one in driven.individuals if one.ok for row in one.evaluation.scores)
    assert max((tried + born).values()) == 1


def asked(method: Ape, driven: Any, task: Any = None) -> list[Any]:
    """Return the steps of a drive, by going through it again."""
    state, found = method.start(task or brief(3)), []
    for kind, number in driven.steps:
        if kind == "asked":
            step, state = method.ask(state, number, child_rng(1, "ask", number))
            found.append(step)
        else:
            state = method.tell(state, driven.told_of(number))
    return found


@pytest.mark.parametrize("count", [0, 3])
def test_the_calls_are_those_of_the_formula(count: int) -> None:
    method = Ape(num_subsamples=3, num_prompts_per_subsample=8, subset=2, finalists=3, num_zero_order=2)
    task = brief(count)
    driven = drive(method, task, 200, reply=lambda request: f"<prompt>prompt {request.seed}</prompt>")
    found = asked(method, driven, task)
    births = [step for step in found if isinstance(step, Proposal)]
    assert sum(isinstance(step.operator, Induce) for step in births) == 26
    candidates = 26 + count
    n, rows, total = candidates, 2, 2 * candidates
    while n > 3:
        n = max(3, -(-n // 2))
        fresh = 2 if n > 3 else 12 - rows
        total, rows = total + n * fresh, rows + fresh
    scored = sum(len(step.examples) for step in found)
    seeds = [one for one in driven.state.sieve.runners if one.operator == "seed"]
    assert total <= scored <= total + 10 * bool(count)
    assert (scored == total) or (len(driven.state.sieve.runners) == 4 and seeds)
    assert method.finished(driven.state)


def test_an_immigrant_is_compared_on_the_rows_of_all_others() -> None:
    method = SMALL
    _, state = steps(method, method.start(brief(0)))
    state = method.tell(state, newborn(50, 0.9, ROWS[2:6], "migration"))
    assert living(method, state) == []
    state = tell(method, state, [newborn(number, number / 10) for number in range(8)])
    found, state = steps(method, state, 100)
    assert {step.individual.number: step.examples for step in found.values()} == {50: ROWS[:2]}
    state = tell(method, state, informed(found, {50: 0.9}))
    found, _ = steps(method, state, 200)
    assert [step.individual.number for step in found.values()] == [50, 7, 6, 5, 4]
    assert {step.individual.number: step.examples for step in found.values()}[50] == ROWS[6:8]


def test_an_immigrant_during_filtering_joins_the_next_stage() -> None:
    method = SMALL
    _, state = steps(method, method.start(brief(0)))
    state = tell(method, state, [newborn(number, number / 10) for number in range(8)])
    found, state = steps(method, state, 100)
    state = method.tell(state, newborn(150, 0.9, (), "migration"))
    state = tell(method, state, informed(found, {number: number / 10 for number in range(8)}))
    found, state = steps(method, state, 200)
    assert {step.individual.number: step.examples for step in found.values()} == {150: ROWS[:8]}


def test_only_so_many_immigrants_wait_as_there_are_finalists() -> None:
    _, state = steps(SMALL, SMALL.start(brief(0)))
    state = tell(SMALL, state, [newborn(50 + place, place / 10, ROWS, "migration") for place in range(9)])
    assert [one.number for one in state.immigrants] == [58, 57]
    unseen = Individual(70, Prompt.of({"_gene": "x"}), "migration")
    assert SMALL.tell(state, unseen).immigrants == state.immigrants


def test_when_all_fail_the_user_is_told_unless_an_immigrant_comes() -> None:
    method = SMALL
    found, state = steps(method, method.start(brief(0)))
    state = tell(method, state, [failed(number) for number in found])
    with pytest.raises(ConfigError, match="at least 1 living prompts"):
        method.ask(state, 20, np.random.default_rng(0))
    state = method.tell(state, newborn(50, 0.5, (), "migration"))
    found, state = steps(method, state, 60)
    assert [step.examples for step in found.values()] == [ROWS[:4]]
    state = tell(method, state, informed(found, {50: 0.5}))
    state = tell(method, state, informed(steps(method, state, 70)[0], {50: 0.5}))
    assert living(method, state) == [50]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=8, max_size=8))
def test_the_order_of_telling_does_not_matter(data: Any, scores: Any) -> None:
    _, state = steps(SMALL, SMALL.start(brief(0)))
    born = [failed(n) if s is None else newborn(n, s) for n, s in enumerate(scores)]
    straight, mixed = tell(SMALL, state, born), tell(SMALL, state, data.draw(st.permutations(born)))
    assert straight == mixed
    if any(one.ok for one in born):
        found, state = steps(SMALL, straight, 100)
        ended = [gathered(step) for step in found.values()]
        assert tell(SMALL, state, ended) == tell(SMALL, state, data.draw(st.permutations(ended)))


@pytest.mark.parametrize("shuffle", [None, 1])
def test_a_run_is_the_same_with_any_number_of_slots(shuffle: Any) -> None:
    method = replace(SMALL, resample_rounds=2, resample_top=0.5)
    one, many = drive(method, brief(2), 100, slots=1), drive(method, brief(2), 100, slots=9, shuffle=shuffle)
    assert one.state == many.state
    assert method.finished(one.state)


def test_old_evidence_told_again_ends_no_step() -> None:
    _, state = steps(SMALL, SMALL.start(brief(0)))
    state = tell(SMALL, state, [newborn(number, number / 10) for number in range(8)])
    _, state = steps(SMALL, state, 100)
    assert SMALL.tell(state, newborn(7, 0.7)) == state


def test_what_a_task_must_have() -> None:
    with pytest.raises(ConfigError, match="expects rows to learn"):
        SMALL.start(brief(0, train=(), dev=()))
    with pytest.raises(ConfigError, match=r"set task\.description"):
        replace(SMALL, num_zero_order=1).start(replace(brief(0), description=""))


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "zero-order"},
        {"scoring": "ucb"},
        {"num_demos": 0},
        {"num_zero_order": -1},
        {"keep": 1.5},
        {"resample_top": "all"},
        {"finalists": 0},
        {"temperature": 3},
    ],
    ids=str,
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="ape expects"):
        Ape(**arguments)
