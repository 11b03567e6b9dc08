from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import DEV, TRAIN, ask_all, brief, drive, failed, individual, tell_all
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from operators.meta_prompt import TRIED, MetaPrompt
from operators.opro import Opro
from operators.seeds import Seed

N = 8
FOUR = (0.1, 0.5, 0.3, 0.4)


def newborn(number: int, score: float, wrong: tuple[int, ...] = ()) -> Individual:
    """Return an individual scored on all dev rows, and on the train rows, some of them wrong."""
    practice = Evaluation.of(Outcome(row.number, float(row.number not in wrong), "good") for row in TRAIN)
    dev = Evaluation.of(Outcome(row.number, score) for row in DEV)
    return individual(number, f"prompt {number}", evaluation=dev, practice=practice)


def repeated(number: int) -> Individual:
    """Return a birth that failed because the model wrote what was tried before."""
    return replace(failed(number), note=f"{TRIED} (3x)")


def begun(method: Opro, scores: tuple[float, ...] = FOUR, **more: Any) -> Any:
    """Return the state after the seeds are scored: seed n is individual n."""
    proposals, state = ask_all(method, method.start(brief(len(scores), **more)), 0)
    assert [proposal.operator for proposal in proposals] == [Seed(seed) for seed in brief(len(scores)).seeds]
    return tell_all(method, state, [newborn(number, score) for number, score in enumerate(scores)])


def shown(proposal: Any) -> list[int]:
    assert [role for _, role in proposal.edges] == [*["shown"] * (len(proposal.edges) - 1), "base"]
    return [number for number, _ in proposal.edges]


def rows_shown(method: Opro, state: Any, seed: int) -> tuple[int, ...]:
    proposal, _ = method.ask(state, 50, np.random.default_rng(seed))
    assert isinstance(proposal, Proposal)
    assert isinstance(proposal.operator, MetaPrompt)
    assert tuple(row.number for row in proposal.operator.rows) == proposal.operator.exemplars
    return proposal.operator.exemplars


def test_the_paper_s_sequence_is_followed() -> None:
    method = Opro(num_search_steps=2)
    proposals, state = ask_all(method, begun(method), 10)
    assert len(proposals) == N
    assert all(proposal.operator == proposals[0].operator for proposal in proposals)
    assert shown(proposals[0]) == [0, 2, 3, 1]
    assert proposals[0].examples is None
    born = [newborn(10 + place, score) for place, score in enumerate((0.6, 0.2, 0.45, 0.05, 0.0, 0.0, 0.0, 0.0))]
    state = tell_all(method, state, born)
    proposals, state = ask_all(method, state, 20)
    assert len(proposals) == N
    assert shown(proposals[0]) == [0, 11, 2, 3, 12, 1, 10]
    assert not method.finished(state)
    state = tell_all(method, state, [newborn(20 + place, 0.0) for place in range(N)])
    assert method.finished(state)
    assert method.ask(state, 99, np.random.default_rng(0)) == (None, state)


def test_only_the_best_are_kept_and_shown_in_ascending_order() -> None:
    method = Opro(max_num_instructions=3)
    _, state = ask_all(method, begun(method), 10)
    state = tell_all(method, state, [newborn(10 + place, place / 10) for place in range(N)])
    assert [one.number for one in state.shown] == [17, 16, 1]
    assert shown(ask_all(method, state, 20)[0][0]) == [1, 16, 17]


def test_instructions_under_the_threshold_are_left_out_unless_all_are() -> None:
    method = Opro(old_instruction_score_threshold=0.35)
    assert shown(ask_all(method, begun(method), 10)[0][0]) == [3, 1]
    blind = replace(method, old_instruction_score_threshold=0.9)
    assert shown(ask_all(blind, begun(blind), 10)[0][0]) == [0, 2, 3, 1]


def test_seeds_and_what_was_tried_are_refused_as_children() -> None:
    method = Opro(max_num_instructions=2)
    _, state = ask_all(method, begun(method), 10)
    state = tell_all(method, state, [newborn(10 + place, 0.0) for place in range(N)])
    proposal, _ = method.ask(state, 20, np.random.default_rng(0))
    assert isinstance(proposal, Proposal)
    texts = [*(f"prompt {number}" for number in range(4)), *(f"prompt {10 + place}" for place in range(N))]
    assert proposal.operator.known == {Prompt.of(text).hash for text in texts}  # type: ignore[attr-defined]


def test_of_twins_born_in_one_step_one_lives() -> None:
    method = Opro()
    _, state = ask_all(method, begun(method), 10)
    twins = [replace(newborn(10 + place, 0.9), prompt=Prompt.of("the same")) for place in range(N)]
    assert [one.number for one in tell_all(method, state, twins).shown] == [10, 1, 3, 2, 0]


def test_the_search_ends_when_the_model_proposes_nothing_new() -> None:
    method = Opro(patience=2)
    state = begun(method)
    stale = replace(newborn(0, 0.5), prompt=Prompt.of("prompt 0"))
    for first, outcome in ((10, repeated), (20, None)):
        assert not method.finished(state)
        _, state = ask_all(method, state, first)
        born = [outcome(first + n) if outcome else replace(stale, number=first + n) for n in range(N)]
        state = tell_all(method, state, born)
    assert method.finished(state)
    assert not method.finished(replace(state, stale=1))
    endless = Opro(patience=None, num_search_steps=None)
    assert not endless.finished(replace(state, stale=500, step=10_000))


def test_the_search_ends_when_the_model_proposes_nothing_better_where_the_paper_s_rule_is_asked_for() -> None:
    method = Opro(patience=2, stop_after="nothing_better")
    state = begun(method)
    for first, score, over in ((10, 0.1, False), (20, 0.95, False), (30, 0.2, False), (40, 0.95, True)):
        _, state = ask_all(method, state, first)
        state = tell_all(method, state, [newborn(first + place, score) for place in range(N)])
        assert method.finished(state) is over
    assert not Opro(patience=2).finished(state), "all of them were new"


def test_a_model_that_only_repeats_itself_ends_the_search() -> None:
    method = Opro(patience=2, num_search_steps=None)
    driven = drive(method, brief(4), 100, reply=lambda request: "<prompt>What is the tone of this text?</prompt>")
    assert len(driven.individuals) == 4 + 2 * N
    assert method.finished(driven.state)


@pytest.mark.parametrize("note", ["connection refused", "no example could be scored: 503"])
def test_an_outage_neither_uses_up_nor_renews_patience(note: str) -> None:
    method = Opro(patience=2)
    _, state = ask_all(method, begun(method), 10)
    state = tell_all(method, state, [repeated(10 + place) for place in range(N)])
    for first in (20, 30, 40):
        _, state = ask_all(method, state, first)
        prompt = Prompt.of("Unheard of.") if "scored" in note else Prompt(())
        born = [replace(failed(first + place), note=note, prompt=prompt) for place in range(N)]
        state = tell_all(method, state, born)
        assert state.stale == 1
    assert not method.finished(state)


def test_something_new_resets_the_patience() -> None:
    method = Opro(patience=2)
    _, state = ask_all(method, begun(method), 10)
    state = tell_all(method, state, [repeated(10 + place) for place in range(N)])
    assert state.stale == 1
    _, state = ask_all(method, state, 20)
    assert tell_all(method, state, [newborn(20, 0.0), *(failed(21 + n) for n in range(N - 1))]).stale == 0


def test_random_examples_change_from_step_to_step_and_not_within_one() -> None:
    method = Opro()
    state = begun(method)
    assert len({rows_shown(method, state, seed) for seed in range(30)}) > 10
    proposals, _ = ask_all(method, state, 10)
    assert len({proposal.operator.exemplars for proposal in proposals}) == 1  # type: ignore[attr-defined]
    assert set(rows_shown(method, state, 0)) <= {row.number for row in TRAIN}


def test_constant_examples_stay_those_of_the_first_step() -> None:
    method = Opro(few_shot_selection_criteria="constant")
    proposals, state = ask_all(method, begun(method), 10)
    first = proposals[0].operator.exemplars  # type: ignore[attr-defined]
    state = tell_all(method, state, [failed(10 + place) for place in range(N)])
    assert {rows_shown(method, state, seed) for seed in range(20)} == {first}


def after_mistakes(criterion: Any) -> Any:
    """Return a method and its state: 12 and 13 were got wrong by one that is shown no more, 14 and 15 by some shown."""
    method = Opro(few_shot_selection_criteria=criterion, max_num_instructions=3, num_few_shot=2)
    proposals, state = ask_all(method, method.start(brief(4)), 0)
    assert {proposal.examples for proposal in proposals} == {tuple(range(20))}
    wrong = [(12, 13), (14,), (14, 15), (14, 15)]
    born = [newborn(number, FOUR[number], wrong[number]) for number in range(4)]
    return method, tell_all(method, state, born)


def test_accumulated_mistakes_are_drawn_with_equal_chances() -> None:
    method, state = after_mistakes("accumulative_most_frequent")
    counts = Counter(row for seed in range(300) for row in rows_shown(method, state, seed))
    assert set(counts) == {12, 13, 14, 15}
    assert min(counts.values()) > 100


def test_current_mistakes_are_shown_by_how_many_made_them() -> None:
    method, state = after_mistakes("current_most_frequent")
    assert {rows_shown(method, state, seed) for seed in range(30)} == {(14, 15)}
    more = replace(method, num_few_shot=3)
    filled = {rows_shown(more, state, seed)[2] for seed in range(60)}
    assert filled == {12, 13, 16, 17, 18, 19}


def test_without_train_rows_mistakes_are_those_on_dev_rows_and_racing_decides() -> None:
    method = Opro(few_shot_selection_criteria="current_most_frequent")
    proposals, _ = ask_all(method, method.start(brief(4, train=())), 0)
    assert {proposal.examples for proposal in proposals} == {None}


def test_the_position_follows_the_layout_unless_named() -> None:
    position: Any
    for position, layout, expected in (
        ("layout", "{input}\n{prompt}", "Q_end"),
        ("Q_begin", "{input}\n{prompt}", "Q_begin"),
    ):
        method = Opro(instruction_pos=position)
        proposals, _ = ask_all(method, begun(method, layout=layout), 10)
        assert proposals[0].operator.position == expected  # type: ignore[attr-defined]


def test_a_step_works_on_one_part() -> None:
    method = Opro()
    parts = set()
    for seed in range(20):
        state = begun(method, evolve=("instruction", "system"))
        proposal, state = method.ask(state, 10, np.random.default_rng(seed))
        assert isinstance(proposal, Proposal)
        other, _ = method.ask(state, 11, np.random.default_rng(seed + 1))
        assert other is not None
        assert proposal.part == other.part  # type: ignore[union-attr]
        parts.add(proposal.part)
    assert parts == {"instruction", "system"}


def test_an_immigrant_is_scored_on_the_rows_that_all_shown_have() -> None:
    method = Opro()
    _, state = ask_all(method, begun(method), 10)
    stranger = replace(
        newborn(70, 0.9), evaluation=Evaluation.of([Outcome(3, 0.9), Outcome(5, 0.9)]), practice=Evaluation()
    )
    state = method.tell(state, stranger)
    step, state = method.ask(state, 80, np.random.default_rng(0))
    assert isinstance(step, Evidence)
    assert step.examples == (0, 1, 2, 4, *range(6, 12), *range(12, 20))
    assert method.ask(state, 81, np.random.default_rng(0)) == (None, state)
    state = tell_all(method, state, [failed(10 + place) for place in range(N)])
    assert method.ask(state, 81, np.random.default_rng(0)) == (None, state)  # the next step waits for the immigrant
    state = method.tell(state, newborn(70, 0.9))
    assert state.shown[0].number == 70
    assert (state.immigrants, state.asked) == ((), frozenset())


def test_an_immigrant_with_all_rows_joins_between_two_steps() -> None:
    method = Opro()
    _, state = ask_all(method, begun(method), 10)
    state = method.tell(state, newborn(70, 0.9))
    assert [one.number for one in state.shown] == [1, 3, 2, 0]
    state = tell_all(method, state, [failed(10 + place) for place in range(N)])
    assert state.shown[0].number == 70


def test_an_immigrant_saves_a_run_whose_seeds_all_failed() -> None:
    method = Opro()
    _, state = ask_all(method, method.start(brief(2)), 0)
    state = tell_all(method, state, [failed(0), failed(1)])
    with pytest.raises(ConfigError, match="living prompts"):
        method.ask(state, 2, np.random.default_rng(0))
    state = method.tell(state, replace(newborn(70, 0.9), evaluation=Evaluation()))
    step, state = method.ask(state, 3, np.random.default_rng(0))
    assert isinstance(step, Evidence)
    assert step.examples == tuple(range(12))
    state = method.tell(state, newborn(70, 0.9))
    assert shown(method.ask(state, 4, np.random.default_rng(0))[0]) == [70]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=20, max_size=20))
def test_the_order_of_telling_does_not_matter(data: Any, scores: Any) -> None:
    method = Opro(num_search_steps=2, num_generated_instructions_in_each_step=4)

    def outcome(number: int) -> Individual:
        score = scores[number] if number else 0.5
        return failed(number) if score is None else newborn(number, score)

    def told(shuffle: bool) -> Any:
        state, number, states = method.start(brief(4)), 0, []
        while not method.finished(state):
            proposals, state = ask_all(method, state, number)
            born = [outcome(number + place) for place in range(len(proposals))]
            state = tell_all(method, state, data.draw(st.permutations(born)) if shuffle else born)
            number += len(proposals)
            states.append(state)
        return states

    assert told(shuffle=True) == told(shuffle=False)


@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_a_run_is_the_same_with_any_number_of_slots(shuffle: Any) -> None:
    method = Opro(num_search_steps=4)
    one, many = drive(method, brief(), 100, slots=1), drive(method, brief(), 100, slots=9, shuffle=shuffle)
    assert one.state == many.state


def test_calls_are_those_of_the_formula() -> None:
    steps, calls = 5, []

    def reply(request: Any) -> str:
        calls.append(request)
        return f"<prompt>new {request.seed}</prompt>"

    driven = drive(Opro(num_search_steps=steps), brief(6), 1000, reply=reply)
    assert len(calls) == steps * N
    assert sum(len(one.evaluation.outcomes) for one in driven.individuals) == (6 + steps * N) * len(DEV)
    assert not any(one.practice.outcomes for one in driven.individuals)


def continued(request: Any) -> str:
    """Return what a pre-trained model goes on with: lines like those it was shown."""
    return f"\n\nPrecision: 90 <TEXT>new {request.seed}</TEXT>\n\nPrecision: 95 <TEXT>"


def test_with_instructions_only_the_model_sees_all_ever_scored_and_no_example_step_by_step() -> None:
    method, asked = Opro(instructions_only=True, num_search_steps=4, num_generated_instructions_in_each_step=6), []

    def reply(request: Any) -> str:
        asked.append(request.text)
        return continued(request)

    driven = drive(method, brief(4), 1000, reply=reply)
    lines = [[line for line in text.split("\n\n") if line.startswith("Precision: ")] for text in asked]
    assert [len(shown) for shown in lines] == [4 + 6 * (place // 6) for place in range(24)]
    for text, shown in zip(asked, lines, strict=True):
        assert text == "\n\n".join([text.split("\n\n")[0], *shown])
        scores = [int(line.split()[1]) for line in shown]
        assert scores == sorted(scores)
    assert {text.split("\n\n")[0] for text in asked} == {
        "How precisely, from 0 to 100, a task is done with each of these texts put on a line above the question; "
        "the task: Sort texts."
    }
    assert len(driven.individuals) == len(method.living(driven.state)) == 4 + 4 * 6
    assert all(one.prompt.text.startswith("New ") for one in driven.individuals[4:])


def test_with_instructions_only_a_bound_that_is_named_holds() -> None:
    method = Opro(instructions_only=True, max_num_instructions=3)
    assert shown(ask_all(method, begun(method), 10)[0][0]) == [2, 3, 1]
    assert Opro().most_shown == 20
    assert Opro(instructions_only=True).most_shown is None


def test_with_instructions_only_no_score_is_too_low_to_be_shown() -> None:
    method = Opro(instructions_only=True)
    scores = (0.0, 0.5, 0.05, 0.4)
    assert shown(ask_all(method, begun(method, scores), 10)[0][0]) == [0, 2, 3, 1]


def test_with_instructions_only_calls_are_those_of_the_formula() -> None:
    steps, calls = 5, []

    def reply(request: Any) -> str:
        calls.append(request)
        return continued(request)

    driven = drive(Opro(num_search_steps=steps, instructions_only=True), brief(6), 1000, reply=reply)
    assert len(calls) == steps * N
    assert sum(len(one.evaluation.outcomes) for one in driven.individuals) == (6 + steps * N) * len(DEV)
    assert not any(one.practice.outcomes for one in driven.individuals)


def test_arguments_without_a_use_are_refused_with_the_mend() -> None:
    with pytest.raises(
        ConfigError, match=r"expects no num_few_shot with instructions_only.*got 5; leave one of the two"
    ):
        Opro(instructions_only=True, num_few_shot=5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_search_steps": 0},
        {"num_generated_instructions_in_each_step": 0},
        {"max_num_instructions": 0},
        {"old_instruction_score_threshold": 1.5},
        {"num_score_buckets": 0},
        {"num_few_shot": -1},
        {"few_shot_selection_criteria": "best"},
        {"instruction_pos": "top"},
        {"patience": 0},
        {"stop_after": "midnight"},
        {"temperature": 3},
        {"max_chars": 0},
        {"instructions_only": True, "old_instruction_score_threshold": 0.3},
        {"instructions_only": True, "num_few_shot": 5},
        {"instructions_only": True, "few_shot_selection_criteria": "constant"},
        {"instructions_only": True, "exemplars_first": True},
        {"instructions_only": True, "max_num_instructions": 0},
    ],
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="opro expects"):
        Opro(**arguments)
