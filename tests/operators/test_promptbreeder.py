"""The paper's sequence, step by step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from breeding import DEV, brief, drive, failed
from units_by_hand import scored, unit, world

from evo.errors import ConfigError
from evo.model import Example, Prompt
from evo.ports import Evidence
from evo.randomness import child_rng
from operators.breeder_recipes import FIRST_HYPER, RECIPES, ZERO_HYPER
from operators.genes import MUTATION, TEMPERATURE
from operators.mutation_prompts import FirstOrder, FirstUnit, Given
from operators.promptbreeder import Promptbreeder
from operators.seeds import Seed

SMALL = Promptbreeder(population=6, generations=4, batch=5, seed_units=0)
DIRECT = replace(SMALL, operators={"first-order": 1}, crossover=0)


def test_the_first_population_is_written_from_mutation_prompts_and_styles() -> None:
    here = world(DIRECT, brief(2))
    first = here.stage()
    seeds = [here.births[number] for number in first[:2]]
    given = [here.births[number] for number in first[2:]]
    assert [proposal.operator for proposal in seeds] == [Seed(seed) for seed in brief(2).seeds]
    assert seeds[0].examples == seeds[1].examples
    assert all(isinstance(proposal.operator, Given) and proposal.examples == () for proposal in given)
    assert len({proposal.operator for proposal in given}) == len(given) <= 6
    for number in first:
        here.tell(number)
    units = [here.births[number] for number in here.stage()]
    assert len(units) == 6
    for proposal in units:
        assert isinstance(proposal.operator, FirstUnit)
        assert proposal.operator.parts == ("instruction", "stage-2")
        assert proposal.roles == ("mutation_prompt",)
        assert proposal.parents[0].number in first[2:]
        assert len(proposal.examples or ()) == 5
    assert len({proposal.operator.temperature for proposal in units}) == 6  # type: ignore[attr-defined]
    assert Counter(Counter(proposal.examples for proposal in units).values()) == {2: 3}


def test_a_mutated_copy_of_the_winner_takes_the_loser_s_place_and_the_winner_stays() -> None:
    here = world(DIRECT, brief(2))
    while not here.state.founding.closed:
        here.tell(here.ask() or 0)
    for _ in range(4):
        before = here.state.slots
        meetings = here.state.round.meetings if here.state.round else here.state.timetable.rounds[0]
        asked = here.stage()
        while any(isinstance(here.steps[number], Evidence) for number in asked):
            for number in asked:
                here.tell(number)
            asked = here.stage()
        fitness = {one.individual.number: here.quality(one.individual) for one in before}
        children = {}
        for number, meeting in zip(asked, meetings, strict=True):
            winner, loser = sorted(meeting.slots, key=lambda slot: -fitness[before[slot].individual.number])
            proposal = here.births[number]
            assert proposal.edges[0] == (before[winner].individual.number, "base")
            children[loser] = here.tell(number)
        for slot, member in enumerate(here.state.slots):
            expected = children[slot].number if slot in children else before[slot].individual.number
            assert member.individual.number == expected
    assert DIRECT.finished(here.state)
    assert here.ask() is None


@pytest.mark.parametrize("form", ["generational", "steady-state"])
def test_both_sides_of_a_tournament_know_its_rows_and_survivors_are_scored_afresh(form: Any) -> None:
    here = world(replace(SMALL, form=form), brief(2)).run()
    decided = [state for state in here.states if state.round is not None and state.round.plans is not None]
    assert len({state.rounds for state in decided}) == 4 * (1 if form == "generational" else 3)
    for state in decided:
        numbers = {number for plan in state.round.plans for number in (plan.winner, plan.slot)}
        for meeting in state.round.meetings:
            for side in meeting.sides(state.slots):
                assert not numbers.isdisjoint(meeting.slots)
                assert side.knows(meeting.rows)
    survivors = Counter(step.individual.number for step in here.steps.values() if isinstance(step, Evidence))
    assert max(survivors.values()) > 1


def test_a_newborn_is_scored_at_birth_on_the_batch_of_its_first_tournament() -> None:
    here = world(SMALL, brief(2)).run()
    first: dict[int, set[int]] = {}
    for state in here.states:
        for meeting in state.round.meetings if state.round else ():
            for side in meeting.sides(state.slots):
                first.setdefault(side.individual.number, set(meeting.rows))
    newborn = [number for number in first if number in here.births]
    assert len(newborn) >= 6 + 3 * 3
    assert all(set(here.births[number].examples or ()) == first[number] for number in newborn)


def test_a_steady_state_tournament_costs_two_batches_and_one_birth() -> None:
    method = replace(DIRECT, form="steady-state")
    here = world(method, brief(2)).run()
    assert here.state.rounds == 4 * 3
    assert len(here.copies) == 4 * 3
    for state in here.states:
        if state.round is not None:
            assert len(state.round.meetings) == 1


def test_a_hypermutation_is_two_births_and_the_new_mutation_prompt_is_applied_at_once() -> None:
    for kind in (ZERO_HYPER, FIRST_HYPER):
        here = world(replace(SMALL, operators={kind: 1}, crossover=0), brief(2)).run()
        mutants = [
            number for number, p in here.births.items() if p.operator.name in ("new-mutation", "better-mutation")
        ]
        assert len(here.copies) == len(mutants) == 4 * 3
        for child, proposal in here.copies.items():
            assert proposal.operator.name == kind
            assert isinstance(proposal.operator.mutation, FirstOrder)  # type: ignore[attr-defined]
            assert proposal.roles == ("base", "mutation_prompt")
            mutant = here.born[proposal.parents[1].number]
            assert mutant.number in mutants
            assert here.births[mutant.number].examples == ()
            assert here.born[child].prompt.part(MUTATION) == mutant.prompt.part(MUTATION)
            applied = [
                request for request in here.llm.requests if request.text.startswith(mutant.prompt.part(MUTATION))
            ]
            assert len(applied) == 1
        older = {edge for number in mutants for edge in here.births[number].edges}
        assert bool(older) is (kind == FIRST_HYPER)
        assert {role for _, role in older} <= {"base"}
    assert any(number in mutants for number, _ in older), "an evolved mutation-prompt is mutated again"


def test_a_copy_gets_a_perturbed_temperature_and_mutates_at_it() -> None:
    here = world(SMALL, brief(2)).run()
    moved = set()
    for number, proposal in here.copies.items():
        own = float(here.born[number].prompt.part(TEMPERATURE))
        base = float(here.born[proposal.parents[0].number].prompt.part(TEMPERATURE))
        assert abs(own - base) <= 0.2 + 1e-4
        assert 0 <= own <= 2
        assert own == pytest.approx(proposal.operator.temperature, abs=1e-4)  # type: ignore[attr-defined]
        moved.add(round(own - base, 3))
    assert len(moved) > 5
    cool = world(replace(SMALL, temperature=[0.9, 1.0], temperature_step=1.0), brief(2)).run()
    assert all(request.temperature <= 1.0 for request in cool.llm.requests)


@pytest.mark.parametrize("prompts_per_unit", [1, 2])
def test_the_task_prompt_that_is_mutated_is_drawn_and_recorded(prompts_per_unit: Any) -> None:
    here = world(replace(DIRECT, prompts_per_unit=prompts_per_unit, generations=8), brief(2)).run()
    parts = Counter(proposal.part for proposal in here.copies.values())
    assert set(parts) == {"instruction", "stage-2"} if prompts_per_unit == 2 else {"instruction"}
    for number, proposal in here.copies.items():
        child, base = dict(here.born[number].prompt.parts), dict(here.born[proposal.parents[0].number].prompt.parts)
        shown = [name for name in child if not name.startswith("_") and child[name] != base[name]]
        assert set(shown) <= {proposal.part}


def test_a_task_prompt_that_a_seed_lacks_is_written_for_its_copies() -> None:
    here = world(replace(DIRECT, seed_units=6, generations=12), brief(6)).run()
    added = {number: p for number, p in here.copies.items() if p.operator.name == "add-part"}
    assert added
    for number, proposal in added.items():
        base, child = here.born[proposal.parents[0].number].prompt, here.born[number].prompt
        assert proposal.part == "stage-2"
        assert proposal.roles == ("base", "mutation_prompt")
        assert "stage-2" not in dict(base.parts)
        assert child.part("stage-2").startswith("Prompt ")
        assert child.part("instruction") == base.part("instruction")
        mutation = child.part(MUTATION)
        assert any(text.startswith(f"{mutation}\n") for text in (request.text for request in here.llm.requests))
    both = [p for p in here.copies.values() if "stage-2" in dict(p.parents[0].prompt.parts)]
    assert {p.part for p in both} == {"instruction", "stage-2"}


def test_a_hypermutation_of_a_part_that_a_seed_lacks_and_crossover_into_it() -> None:
    here = world(replace(SMALL, operators={ZERO_HYPER: 1}, seed_units=6, crossover=0), brief(6)).run()
    bases = {n: here.born[p.parents[0].number].prompt for n, p in here.copies.items()}
    added = [n for n, p in here.copies.items() if p.part not in dict(bases[n].parts)]
    assert added
    assert all(here.born[n].prompt.part(MUTATION) == here.copies[n].parents[1].prompt.part(MUTATION) for n in added)
    crossed = world(replace(SMALL, operators={"crossover": 1}, seed_units=3, generations=9), brief(6)).run()
    got = [n for n, p in crossed.copies.items() if "mate" in p.roles and p.part not in dict(p.parents[0].prompt.parts)]
    assert got
    assert all("stage-2" in dict(crossed.born[n].prompt.parts) for n in got)


def test_the_best_seeds_become_units_with_a_mutation_prompt_that_was_drawn() -> None:
    here = world(replace(DIRECT, seed_units=2), brief(4), quality=lambda one: 0.9 - 0.1 * one.number)
    while not here.state.founding.closed:
        here.tell(here.ask() or 0)
    assert [one.individual.number for one in here.state.slots[:2]] == [0, 1]
    assert all(one.carrier.prompt.part(MUTATION) for one in here.state.slots)
    assert len(here.state.slots) == 6
    here.run()
    child = next(p for p in here.copies.values() if p.parents[0].number in (0, 1))
    assert child.roles == ("base", "mutation_prompt")


def test_generation_after_generation_the_population_has_one_size() -> None:
    here = world(SMALL, brief(2)).run()
    sizes = {len(SMALL.living(state)) for state in here.states if state.founding.closed}
    assert sizes == {6}


@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_a_run_is_the_same_with_any_number_of_slots_and_any_order(shuffle: Any) -> None:
    for method in (SMALL, replace(SMALL, contexts=2), replace(SMALL, form="steady-state", generations=3)):
        one = drive(method, brief(3), 300, slots=1)
        many = drive(method, brief(3), 300, slots=9, shuffle=shuffle)
        assert one.state == many.state
        assert method.finished(one.state)


def test_calls_and_rows_are_what_the_formula_says() -> None:
    dev = tuple(Example(n, {"input": f"text {n}"}, "good") for n in range(20_000, 60_000))
    size, seeds, chosen, batch, rounds = 8, 3, 2, 2, 5
    method = replace(DIRECT, population=size, generations=rounds, batch=batch, seed_units=chosen)
    here = world(method, brief(seeds, dev=dev)).run()
    rows = sum(len(step.examples or ()) for step in here.steps.values())
    assert rows == seeds * batch + size * batch + (2 * rounds - 1) * size * batch // 2
    assert len(here.llm.requests) == (size - chosen) * 2 + rounds * size // 2
    hyper = world(replace(method, operators={ZERO_HYPER: 1}), brief(seeds, dev=dev)).run()
    assert len(hyper.llm.requests) == (size - chosen) * 2 + 2 * rounds * size // 2


@pytest.mark.parametrize(
    "more", [{"contexts": 2}, {"operators": {"lamarckian": 1}}, {"contexts": 2, "operators": {"lamarckian": 1}}]
)
def test_workings_are_the_rest_of_the_rows_that_the_formula_counts(more: Any) -> None:
    train = tuple(Example(n, {"input": f"text {n}"}, "good") for n in range(20_000, 60_000))
    size, workings, rounds = 6, 3, 5
    method = replace(DIRECT, population=size, workings=workings, generations=rounds, **more)
    rows = {row.number for row in train}
    here = world(method, brief(2, train=train), quality=lambda one: 0.5).run()  # nobody is ever right: all is needed
    assert (
        sum(row in rows for step in here.steps.values() for row in step.examples or ()) == rounds * size * workings // 2
    )


def test_rows_a_unit_knows_are_not_asked_for_again() -> None:
    here = world(replace(SMALL, batch=100), brief(2)).run()
    assert not any(isinstance(step, Evidence) and step.examples[0] in range(12) for step in here.steps.values())
    assert all(len(p.examples or ()) == len(DEV) for p in here.copies.values())


def test_a_failed_birth_leaves_the_loser_where_it_is() -> None:
    here = world(SMALL, brief(2), fails=lambda number, proposal: "base" in proposal.roles).run()
    first = next(state for state in here.states if state.founding.closed)
    assert [one.individual.number for one in here.state.slots] == [one.individual.number for one in first.slots]
    assert here.state.rounds == 4


def test_a_hypermutation_without_a_mutation_prompt_breeds_nothing() -> None:
    method = replace(SMALL, operators={ZERO_HYPER: 1})
    here = world(method, brief(2), fails=lambda number, proposal: proposal.operator.name == "new-mutation").run()
    assert not here.copies
    assert here.state.rounds == 4


def test_an_empty_slot_is_filled_by_a_copy_of_whoever_meets_it() -> None:
    failing = {"first-unit": 3}

    def fails(number: int, proposal: Any) -> bool:
        name = proposal.operator.name
        failing[name] = failing.get(name, 0) - 1
        return failing[name] >= 0

    here = world(SMALL, brief(2), fails=fails).run()
    started = next(state for state in here.states if state.founding.closed)
    assert sum(one is None for one in started.slots) == 3
    assert None not in here.state.slots


def test_when_nobody_lives_the_user_is_told() -> None:
    here = world(SMALL, brief(2), fails=lambda number, proposal: True)
    with pytest.raises(ConfigError, match="living prompts"):
        here.run()
    here.state = SMALL.tell(here.state, unit(700, "Rescue.", 0.5))
    assert here.ask() is not None


def test_an_immigrant_takes_a_loser_s_place_with_all_it_carries() -> None:
    for moment in (1, 8, 15, 24, 40):
        here = world(replace(SMALL, generations=None), brief(2)).run(moment)
        guest = unit(900, "From another island.", 1.0)
        here.state = SMALL.tell(here.state, guest)
        assert SMALL.tell(here.state, guest) == here.state
        here.run(moment + 40)
        found = next(state for state in here.states if any(s and s.individual.number == 900 for s in state.slots))
        member = next(s for s in found.slots if s.individual.number == 900)
        assert member.carrier.prompt.part(MUTATION) == "Mutation of 900."
        assert member.temperature == 1.25
        assert all(len(state.slots) in (0, 6) for state in here.states)


def test_an_immigrant_from_another_method_is_given_what_it_lacks() -> None:
    here = world(replace(SMALL, generations=None), brief(2)).run(30)
    guest = replace(unit(900, "x", 1.0), prompt=Prompt.of("From another method."))
    here.state = SMALL.tell(here.state, guest)
    here.run(70)
    member = next(s for state in here.states for s in state.slots if s and s.individual.number == 900)
    assert member.carrier in here.state.founding.sources
    assert 1 <= member.temperature <= 2


def test_an_immigrant_without_evidence_is_scored_before_it_counts() -> None:
    here = world(replace(SMALL, generations=None), brief(2)).run(30)
    guest = replace(unit(900, "Unscored.", 1.0), evaluation=unit(1, "x", 1.0).practice)
    here.state = SMALL.tell(here.state, guest)
    here.run(90)
    assert any(isinstance(step, Evidence) and step.individual.number == 900 for step in here.steps.values())
    for state in here.states:
        assert all(member.ok for member in SMALL.living(state))


@pytest.mark.parametrize("form", ["generational", "steady-state"])
def test_the_end_is_told_where_immigrants_take_every_loser_s_place(form: Any) -> None:
    method = replace(DIRECT, form=form, generations=1, batch=100)
    here = world(method, brief(2))
    while not here.state.founding.closed:
        here.tell(here.ask() or 0)
    for number in range(900, 906):
        here.state = method.tell(
            here.state, scored(unit(number, f"Guest {number}.", 0.5), [row.number for row in DEV], 1)
        )
    here.run()
    assert method.finished(here.state)
    assert here.ask() is None
    assert {one.number for one in method.living(here.state)} & {*range(900, 906)}
    assert len(here.copies) == 3  # a round that breeds nobody is none


def test_arrivals_that_wait_are_no_more_than_the_population() -> None:
    here = world(SMALL, brief(2)).run(12)
    for number in range(900, 950):
        here.state = SMALL.tell(here.state, unit(number, f"Guest {number}.", 0.5))
    assert [one.number for one in here.state.immigrants] == list(range(944, 950))
    here.state = SMALL.tell(here.state, failed(960))
    assert len(here.state.immigrants) == 6


def test_crossover_alone_and_the_nine_operators() -> None:
    nine = replace(SMALL, operators="nine_uniform", generations=30)
    assert nine.weights == dict.fromkeys([*RECIPES, "crossover"], 1.0)
    assert SMALL.weights == dict.fromkeys(RECIPES, 1.0)
    here = world(nine, brief(2)).run()
    for proposal in here.copies.values():
        assert ("mate" in proposal.roles) is (proposal.operator.name == "crossover")


@pytest.mark.parametrize(
    "arguments",
    [
        {"population": 1},
        {"generations": 0},
        {"batch": 0},
        {"form": "lazy"},
        {"prompts_per_unit": 3},
        {"operators": "ten"},
        {"operators": {"first-order": -1}},
        {"operators": {"first-order": 0}},
        {"crossover": 2},
        {"fallback": "none"},
        {"contexts": -1},
        {"workings": 0},
        {"similarity": "high"},
        {"temperature": 1.0},
        {"temperature": [2.0, 1.0]},
        {"temperature": [1.0, 2.5]},
        {"temperature_step": -0.1},
        {"seed_units": 51},
        {"first_mutation": "all"},
        {"random_string": -1},
        {"random_string": 5.5},
        {"fitness_sharing": 1.5},
        {"fitness_sharing": -0.1},
        {"mutation_prompts": []},
        {"thinking_styles": "Think."},
    ],
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="promptbreeder expects"):
        Promptbreeder(**arguments)


def test_an_unknown_operator_is_named_with_its_neighbour() -> None:
    with pytest.raises(ConfigError, match="did you mean 'first-order'"):
        Promptbreeder(operators={"first-ordr": 1})


def test_what_a_task_must_have_is_said_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError, match="train rows for contexts"):
        replace(SMALL, contexts=2).start(brief(2, train=()))
    locked = replace(brief(1), seeds=(Prompt.of({"instruction": "One.", "stage-2": "Two."}),))
    with pytest.raises(ConfigError, match="'stage-2', but it is locked"):
        SMALL.start(locked)
    assert SMALL.start(replace(locked, evolve=("instruction", "stage-2"))).kit.parts == ("instruction", "stage-2")
    assert replace(SMALL, prompts_per_unit=1).start(locked).kit.parts == ("instruction",)


def test_without_a_description_the_first_seed_stands_in() -> None:
    assert SMALL.start(replace(brief(2), description="")).kit.description == brief().seeds[0].text


def test_every_draw_depends_on_the_generator_alone() -> None:
    state = world(SMALL, brief(2)).run(30).state
    assert SMALL.ask(state, 99, child_rng(1, "ask", 99)) == SMALL.ask(state, 99, child_rng(1, "ask", 99))
