from __future__ import annotations

from dataclasses import replace

import pytest
from breeding import DEV, brief, failed
from reflecting import ALL_DEV, ALL_TRAIN, ONE, World, level, world

from evo.errors import ConfigError
from evo.model import DROPPED, Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from operators.pareto import ReflectPareto
from operators.seeds import Seed


def test_several_trials_are_under_way_from_one_pool_and_end_in_any_order() -> None:
    made = world(replace(ONE, in_flight=2, reflection_minibatch_size=4), replies=["child 6", "child 7"])
    first, second = made.ask(), made.ask()
    assert isinstance(first, Evidence)
    assert isinstance(second, Evidence)
    assert {*first.examples, *second.examples} == set(ALL_TRAIN)
    made.end(2)
    birth = made.ask()
    assert isinstance(birth, Proposal)
    assert set(birth.examples or ()) == set(second.examples)
    made.end(1)
    made.ask()
    made.end(4)
    made.end(3)
    comparisons = [made.ask(), made.ask()]
    assert [step.examples for step in comparisons if isinstance(step, Evidence)] == [ALL_DEV, ALL_DEV]
    made.end(6)
    made.end(5)
    assert made.members == ["child 7", "child 6", "seed 5"]


def test_a_failed_birth_ends_its_trial_and_the_parent_stays() -> None:
    made = world(otherwise="seed 5")  # a copy, which the operator refuses
    made.steps(2)
    assert made.state.trials == ()
    assert made.members == ["seed 5"]
    assert isinstance(made.step(), Evidence)


def test_reflections_begin_when_all_seeds_are_told() -> None:
    made = World(ONE, ONE.start(brief(3)))
    for number in range(3):
        step = made.ask()
        assert isinstance(step, Proposal)
        assert step.operator == Seed(brief().seeds[number])
    made.end(1)
    assert made.ask() is None
    made.end(0)
    made.state = ONE.tell(made.state, failed(2))
    assert isinstance(made.ask(), Evidence)


def test_the_pool_is_compared_on_the_rows_racing_gave_the_seeds() -> None:
    made = World(ONE, ONE.start(replace(brief(0), seeds=tuple(map(Prompt.of, ("seed 5", "seed 4", "seed 3"))))))
    births = [made.ask() for _ in range(3)]
    few, more = DEV[2].number, DEV[4].number
    for number, rows in enumerate(((0, few), (0, few, more))):
        step = births[number]
        assert isinstance(step, Proposal)
        made.state = ONE.tell(made.state, made.born(number, replace(step, examples=rows)))
    dropped = replace(made.scored(Individual(2, Prompt.of("seed 3"), "seed"), ALL_DEV), status=DROPPED)
    made.state = ONE.tell(made.state, dropped)
    assert made.state.rows == (0, few, more)
    made.pending.clear()
    catching_up = made.step()
    assert (catching_up.individual.number, catching_up.examples) == (0, (more,))
    assert made.members == ["seed 5", "seed 4"]


def guest(number: int, prompt: Prompt, *rows: int) -> Individual:
    outcomes = Evaluation.of(Outcome(row, level(prompt, row)) for row in rows)
    return Individual(number, prompt, "migration", ((7, "migrant_of"),), 4, outcomes)


def test_an_immigrant_is_scored_on_the_rows_it_lacks_before_it_joins() -> None:
    made = world()
    made.state = ONE.tell(made.state, guest(90, Prompt.of("guest 8"), 0, 3, 5))
    assert [one.number for one in ONE.living(made.state)] == [90, 0]
    assert made.members == ["seed 5"]
    step = made.step()
    assert (step.individual.number, set(step.examples)) == (90, set(ALL_DEV) - {0, 3, 5})
    assert made.members == ["guest 8", "seed 5"]
    assert made.step().individual.number == 90


def test_immigrants_come_at_any_time_with_any_parts_or_none_of_the_evidence() -> None:
    made = World(ONE, ONE.start(brief(1)))
    made.state = ONE.tell(made.state, guest(90, Prompt.of({"_gene": "x", "other": "guest 9"})))
    assert ONE.living(made.state) == ()
    made.ask()
    made.state = ONE.tell(made.state, failed(0))
    made.pending.clear()
    step = made.step()
    assert (step.individual.number, step.examples) == (90, ALL_DEV)
    assert [one.number for one in ONE.living(made.state)] == [90]
    birth = made.steps(2)[1]
    assert birth.part == "instruction"
    full = guest(91, Prompt.of("guest 7"), *ALL_DEV)
    made.state = ONE.tell(made.state, full)
    assert full in made.state.members
    copy = guest(92, Prompt.of("guest 7"), *ALL_DEV)
    assert ONE.tell(made.state, copy).members == made.state.members


def test_children_that_passed_their_gate_alone_do_not_count_as_living_yet() -> None:
    made = world(replies=["child 9"], task={"train": ()})
    made.step()
    assert [one.prompt.text for one in made.state.waiting] == ["child 9"]
    assert [one.prompt.text for one in ONE.living(made.state)] == ["seed 5"]


def test_arguments_are_checked() -> None:
    for wrong, message in (
        ({"candidate_selection_strategy": "best"}, "candidate_selection_strategy to be one of pareto, current_best"),
        ({"module_selector": "some"}, "module_selector to be one of round_robin, all, random"),
        ({"acceptance_criterion": ">="}, "acceptance_criterion to be one of strict_improvement"),
        ({"reflection_minibatch_size": 0}, "reflection_minibatch_size"),
        ({"max_merge_invocations": -1}, "max_merge_invocations"),
        ({"epsilon": 1.5}, "epsilon to be from 0 to 1"),
        ({"population": 0}, "population"),
        ({"in_flight": 0}, "in_flight"),
    ):
        with pytest.raises(ConfigError, match=message):
            ReflectPareto(**wrong)
