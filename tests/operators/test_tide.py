from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import SEEDS, ScriptedLlm, ask_all, brief, failed, individual, tell_all

from evo.errors import ConfigError, OperatorError
from evo.model import DROPPED, Demo, Evaluation, Outcome, Prompt, with_demos
from operators.novelty import Novel
from operators.seeds import Seed
from operators.tide import Tide


def begun(method: Tide, scores: tuple[float, ...] = (0.1, 0.5, 0.3, 0.4, 0.2)) -> Any:
    state = method.start(brief(len(scores)))
    _, state = ask_all(method, state, 0)
    born = [individual(n, seed.text, score) for (n, score), seed in zip(enumerate(scores), brief().seeds, strict=False)]
    return tell_all(method, state, born)


def bred(method: Tide, state: Any, number: int, seed: int = 0) -> tuple[Any, Any]:
    proposal, state = method.ask(state, number, np.random.default_rng(seed))
    assert proposal is not None
    return proposal, state


def test_seeds_come_first_and_children_are_bred_from_the_first_that_lives() -> None:
    method = Tide()
    proposals, state = ask_all(method, method.start(brief(2)), 0)
    assert [type(proposal.operator) for proposal in proposals] == [Seed, Seed]
    assert method.ask(state, 2, np.random.default_rng(0))[0] is None
    proposal, _ = bred(method, method.tell(state, individual(1, "Sort it.", 0.2)), 2)
    assert {parent.number for parent in proposal.parents} == {1}
    dead = tell_all(method, state, [failed(0), failed(1)])
    with pytest.raises(ConfigError, match="at least 1 living"):
        method.ask(dead, 2, np.random.default_rng(0))


def test_reflection_is_the_main_operator_at_first() -> None:
    method = Tide()
    state = begun(method)
    drawn = Counter(bred(method, state, 9, seed)[0].operator.name for seed in range(400))
    assert drawn.most_common(1)[0][0] == "reflect"
    assert 0.4 < drawn["reflect"] / 400 < 0.7
    assert set(drawn) > {"few-shot", "crossover-mutation", "edit"}


def test_with_a_model_that_cannot_write_edits_take_over() -> None:
    method = Tide(patience=None)
    state = begun(method)
    written = Counter[bool]()
    for number in range(10, 130):
        proposal, state = bred(method, state, number, number)
        free = proposal.operator.name in ("edit", "reframe", "phrase-crossover", "few-shot")
        written[free] += number >= 70
        state = method.tell(state, individual(number, f"Text {number}.", 0.2) if free else failed(number))
    assert written[True] > 2 * written[False]


def test_every_birth_is_compared_with_what_was_tried() -> None:
    method = Tide()
    state = begun(method)
    state = method.tell(state, individual(9, "Dropped early.", 0.0, status=DROPPED))
    proposal, _ = bred(method, state, 10)
    assert isinstance(proposal.operator, Novel)
    assert len(proposal.operator.known) == 6


def test_the_worst_makes_room_and_the_dropped_never_live() -> None:
    method = Tide(population=3)
    state = begun(method)
    assert [member.number for member in method.living(state)] == [1, 3, 2]
    state = method.tell(state, individual(9, "Better.", 0.45))
    state = method.tell(state, individual(10, "Dropped.", 0.9, status=DROPPED))
    assert [member.number for member in method.living(state)] == [1, 9, 3]


def test_length_costs_in_the_ranking() -> None:
    method = Tide()
    state = begun(method, (0.5,))
    state = method.tell(state, individual(9, "word " * 160, 0.55))
    assert [member.number for member in method.living(state)] == [0, 9]
    assert [m.number for m in Tide(length_penalty=0).living(begun(Tide(length_penalty=0), (0.5,)))] == [0]


def test_more_evidence_on_a_member_ranks_it_anew_and_is_no_birth() -> None:
    method = Tide()
    state = begun(method)
    best = method.living(state)[0]
    found = Evaluation.of([Outcome(0, 0.5), Outcome(1, 0.0), Outcome(2, 0.0)])
    after = method.tell(state, replace(best, evaluation=found))
    assert method.living(after)[0].number == 3
    assert after.credits == state.credits
    assert method.tell(after, replace(best, evaluation=found)) == after


def test_a_gain_is_credited_to_the_operator_against_the_parent_it_varied() -> None:
    method = Tide(operators={"edit": 1.0}, length_penalty=0.0)
    state = begun(method, (0.25,))
    _, state = bred(method, state, 9)
    state = method.tell(state, individual(9, "A child.", 1.0))
    (credit,) = state.credits
    assert (credit.gains, credit.total, credit.fresh) == (1, 0.75, 1)


def test_what_a_child_is_longer_comes_off_its_gain_worked_examples_included() -> None:
    method = Tide(operators={"edit": 1.0}, length_penalty=0.04)
    state = begun(method, (0.25,))
    _, state = bred(method, state, 9)
    child = individual(9, "", 1.0)
    longer = with_demos(Prompt.of(SEEDS[0]), (Demo("i" * 150, "a" * 50),))
    state = method.tell(state, replace(child, prompt=longer))
    assert state.credits[0].total == pytest.approx(0.75 - 0.02)


def test_edits_of_a_member_with_worked_examples_are_no_repetitions() -> None:
    method = Tide(operators={"edit": 1.0, "reframe": 1.0, "few-shot": 1.0})
    demos = tuple(Demo(f"A long text about the matter number {number}.", "good") for number in range(4))
    base = individual(0, "", 0.4)
    state = method.start(brief(1))
    _, state = ask_all(method, state, 0)
    state = method.tell(state, replace(base, prompt=with_demos(Prompt.of("What is the tone of this text?"), demos)))
    born = Counter[bool]()
    for seed in range(60):
        proposal, _ = bred(method, state, 9, seed)
        try:
            asyncio.run(proposal.operator(proposal.parents, ScriptedLlm(lambda _: ""), np.random.default_rng(seed)))
        except OperatorError:
            born[False] += 1
        else:
            born[True] += 1
    assert born[False] <= 0.1 * 60


def test_worked_examples_take_part_only_where_targets_are_replies() -> None:
    method = Tide()
    for replies, some in ((True, True), (False, False)):
        state = method.start(brief(1, targets_are_replies=replies))
        _, state = ask_all(method, state, 0)
        state = method.tell(state, individual(0, "Sort it.", 0.4))
        drawn = {bred(method, state, 9, seed)[0].operator.name for seed in range(200)}
        assert ("few-shot" in drawn) == some


def test_when_nothing_gets_better_the_best_starts_again_with_new_company() -> None:
    method = Tide(patience=7, renewals=2, operators={"edit": 1.0})
    state = begun(method)
    for number in range(10, 13):  # births are counted from the seed that is best
        _, state = bred(method, state, number, number)
        state = method.tell(state, individual(number, f"Text {number}.", 0.1))
    assert [member.number for member in method.living(state)] == [1]
    names = []
    for number in range(20, 23):
        proposal, state = bred(method, state, number, number)
        names.append(proposal.operator.name)
        state = method.tell(state, individual(number, f"New {number}.", 0.3))
    assert names == ["induce-zero-order", "induce-zero-order", "edit"]


def test_who_leads_by_luck_on_few_rows_does_not_put_off_a_restart() -> None:
    method = Tide(patience=9, renewals=1, operators={"edit": 1.0})  # four births after the best are of seeds
    state = begun(method)
    known = Evaluation.of([Outcome(row, 0.8) for row in range(100)])
    state = method.tell(state, individual(1, SEEDS[1], evaluation=known))
    for number in range(10, 15):
        _, state = bred(method, state, number, number)
        lucky = Evaluation.of([Outcome(row, 1.0) for row in range(3)])
        state = method.tell(state, individual(number, f"Text {number}.", evaluation=lucky))
        if number < 14:
            assert method.living(state)[0].number == 10
    assert [member.number for member in method.living(state)] == [1]


def test_without_a_description_a_restart_learns_from_rows() -> None:
    method = Tide(patience=1, operators={"edit": 1.0})
    state = replace(begun(method), brief=replace(brief(), description=""), renewals=1)
    assert bred(method, state, 9)[0].operator.name == "induce-forward"


def test_what_earlier_runs_taught_is_a_prior() -> None:
    method = Tide(credits={"edit": [50, 0.08], "reflect": [50, -0.05]})
    state = begun(method)
    drawn = Counter(bred(method, state, 9, seed)[0].operator.name for seed in range(200))
    assert drawn["edit"] > drawn["reflect"]
    silent = begun(Tide(credits={"reflect": [0, 0.0, 0, 20]}))
    drawn = Counter(bred(Tide(), silent, 9, seed)[0].operator.name for seed in range(200))
    assert drawn["reflect"] < 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"population": 0}, "population"),
        ({"optimize_for": "fun"}, "calls, time"),
        ({"credits": {"paint": [1, 0]}}, "paint"),
        ({"credits": {"edit": 3}}, "new, spoilt"),
        ({"credits": {"edit": [1, 0, 3]}}, "new, spoilt"),
        ({"credits": {"edit": [1, 0, 3, -1]}}, "births in the credit"),
        ({"credits": {"edit": [1, 5]}}, "mean gain"),
        ({"operators": {"edit": 0}}, "above 0"),
        ({"patience": 0}, "patience"),
        ({"at_once": 0}, "at_once"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Tide(**arguments)


def test_time_has_more_births_under_way() -> None:
    assert (Tide().in_flight, Tide(optimize_for="time").in_flight, Tide(at_once=64).in_flight) == (4, 16, 64)
