"""What published ports of Promptbreeder got wrong: each has a test that would catch it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import DEV, TRAIN, brief, drive
from hypothesis import given, settings
from hypothesis import strategies as st
from units_by_hand import TRAIN_ROWS, World, scored, world

from evo.model import Completion, Example, Prompt
from evo.ports import Evidence
from evo.randomness import child_rng
from fitness.scorers import Numeric
from operators.breeder_recipes import HYPER, RECIPES, Plan
from operators.breeder_stages import Rules
from operators.genes import MUTATION
from operators.lamarckian import Lamarckian
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.mutation_prompts import FirstUnit
from operators.promptbreeder import Promptbreeder
from operators.rounds import Round
from operators.thinking_styles import THINKING_STYLES

SMALL = Promptbreeder(population=6, generations=4, batch=5, seed_units=0)
DIRECT = replace(SMALL, operators={"first-order": 1}, crossover=0)


def founded(method: Promptbreeder, **more: Any) -> World:
    """Return a world in which the first population lives."""
    here = world(method, brief(2), **more)
    while not here.state.founding.closed:
        here.tell(here.ask() or 0)
    return here


def decided(here: World, seed: int) -> Any:
    """Return the state in which the first round's replications are planned, drawn by a seed."""
    method = here.method
    rules = Rules(tuple(method.weights.items()), (1.0, 2.0), method.temperature_step, method.workings)
    rng = np.random.default_rng(seed)
    state = rules.opened(here.state, rng)
    assert state.round is not None
    return rules.decided(state, state.round, rng)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_scores_go_to_their_units_in_whatever_order_they_arrive(data: Any) -> None:
    straight, mixed = world(SMALL, brief(2)), world(SMALL, brief(2))
    while numbers := straight.stage():
        assert mixed.stage() == numbers
        for number in numbers:
            straight.tell(number)
        for number in data.draw(st.permutations(numbers)):
            mixed.tell(number)
        assert mixed.state == straight.state
    for one in (member for member in straight.state.members if member.evaluation.count):
        assert one.fitness == pytest.approx(straight.quality(one))


def test_the_elite_is_the_best_of_the_whole_population_in_its_time() -> None:
    here = world(replace(SMALL, generations=40), brief(2)).run()
    crowned = 0
    for before, after in zip(here.states, here.states[1:], strict=False):
        if not before.founding.closed or after.round is None or after.round.plans is None:
            continue
        if before.round is not None and before.round.plans is not None:
            continue
        best = max((one for one in after.members if one.ok), key=lambda one: one.fitness)
        changed = [s for s, old in zip(after.slots, before.slots, strict=True) if s and old and s.elites != old.elites]
        assert [s.individual.number for s in changed] in ([], [best.number])
        assert all(s.elites[-1].number == best.number for s in changed)
        crowned += len(changed)
    assert crowned >= 3


def test_lineages_belong_to_units_and_are_inherited_oldest_first() -> None:
    here = world(replace(SMALL, generations=12), brief(2)).run()
    lineages = set()
    for member in here.state.slots:
        numbers = [elite.number for elite in member.elites]
        assert numbers == sorted(numbers)
        number, ancestors = member.individual.number, {member.individual.number}
        while here.births[number].roles[:1] == ("base",):
            number = here.births[number].parents[0].number
            ancestors.add(number)
        assert set(numbers) <= ancestors
        lineages.add(tuple(numbers))
        assert all(not elite.evaluation.outcomes for elite in member.elites)
    shown = [p for p in here.copies.values() if p.operator.name == "lineage"]
    assert shown
    assert all(set(p.roles[1:]) <= {"elite", "mate"} for p in shown)
    assert len(lineages) > 1


def test_mutation_prompts_and_thinking_styles_are_not_swapped() -> None:
    here = founded(SMALL)
    for number, proposal in here.births.items():
        if isinstance(proposal.operator, FirstUnit):
            assert set(proposal.operator.styles) <= set(THINKING_STYLES)
            assert here.born[number].prompt.part(MUTATION) in MUTATION_PROMPTS


def test_the_parent_is_the_winner_never_the_loser() -> None:
    here = founded(SMALL)
    state = decided(here, 1)
    for plan, meeting in zip(state.round.plans, state.round.meetings, strict=True):
        assert {plan.winner, plan.slot} == set(meeting.slots)
        best, worst = (here.quality(state.slots[slot].individual) for slot in (plan.winner, plan.slot))
        assert best >= worst


def test_batches_are_drawn_afresh_from_all_dev_rows_and_shared_by_a_pair() -> None:
    here = world(replace(SMALL, generations=30, batch=4), brief(2)).run()
    batches = [
        meeting.rows
        for state in here.states
        if state.round and not state.round.asked
        for meeting in state.round.meetings
    ]
    drawn = Counter(row for rows in batches for row in rows)
    assert set(drawn) == {row.number for row in DEV}
    assert max(drawn.values()) < 2 * min(drawn.values())
    assert len({frozenset(rows) for rows in batches}) > 30
    assert all(len(set(rows)) == 4 for rows in batches)


async def test_a_number_within_another_is_no_right_answer() -> None:
    score = await Numeric()(Completion("The answer is 70.", 1, 1), Example(0, {"input": "x"}, "7"))
    assert score.value == 0


def test_a_new_mutation_prompt_lasts() -> None:
    here = world(replace(SMALL, generations=12, crossover=0.5), brief(2)).run()
    changed = 0
    for number, proposal in here.copies.items():
        own = here.born[number].prompt.part(MUTATION)
        base = here.born[proposal.parents[0].number].prompt.part(MUTATION)
        fresh = [p for p, role in zip(proposal.parents, proposal.roles, strict=True) if role == "mutation_prompt"]
        kept = own == base
        hyper = any(p.operator in ("new-mutation", "better-mutation") for p in fresh)
        assert kept or hyper
        changed += not kept
    assert changed > 3
    evolved = [member for member in here.state.slots if member.carrier.operator != "given-mutation"]
    assert evolved
    for member in here.state.slots:
        assert member.individual.prompt.part(MUTATION) == member.carrier.prompt.part(MUTATION)


def test_without_hypermutation_a_line_keeps_its_mutation_prompt() -> None:
    plain = {name: 1.0 for name in RECIPES if name not in HYPER}
    here = world(replace(SMALL, generations=8, operators=plain, crossover=1.0), brief(2)).run()
    for number, proposal in here.copies.items():
        base = here.born[proposal.parents[0].number]
        assert here.born[number].prompt.part(MUTATION) == base.prompt.part(MUTATION)


def test_first_order_mutation_uses_the_unit_s_own_mutation_prompt() -> None:
    here = world(replace(DIRECT, generations=6), brief(2)).run()
    for proposal in here.copies.values():
        base, carrier = (here.born[parent.number].prompt for parent in proposal.parents)
        assert base.part(MUTATION) == carrier.part(MUTATION)
    requests = [request.text for request in here.llm.requests[-len(here.copies) :]]
    own = [here.born[p.parents[0].number].prompt.part(MUTATION) for p in here.copies.values()]
    assert all(text.startswith(mutation + "\n") for text, mutation in zip(requests, own, strict=True))


def test_lamarckian_mutation_works_on_whole_workings_of_the_winner_on_train_rows() -> None:
    method = replace(SMALL, operators={"lamarckian": 1}, crossover=0, workings=3)
    here = world(method, brief(2), quality=lambda one: 1.0).run()
    assert {p.operator.name for p in here.copies.values()} == {"lamarckian"}
    practised = [s for s in here.steps.values() if isinstance(s, Evidence) and set(s.examples) <= {*TRAIN_ROWS}]
    assert practised
    assert all(len(step.examples) == 3 for step in practised)
    asked = [request.text for request in here.llm.requests if "wrote" in request.text]
    for proposal, text in zip(here.copies.values(), asked, strict=True):
        shown = [row for row in TRAIN if f"{proposal.parents[0].number} on {row.number}\n" in text + "\n"]
        assert shown
        assert not any(f"on {row.number}\n" in text for row in DEV)


@pytest.mark.parametrize("fallback", ["direct", "zero-order", "first-order"])
def test_without_a_success_lamarckian_mutation_gives_way(fallback: Any) -> None:
    method = replace(SMALL, operators={"lamarckian": 1}, fallback=fallback, crossover=0, generations=10)
    here = world(method, brief(2), quality=lambda one: 0.5).run()
    names = {p.operator.name for p in here.copies.values()}
    assert names == ({"zero-order", "first-order"} if fallback == "direct" else {fallback})


def test_where_there_are_no_train_rows_lamarckian_mutation_reads_the_batch() -> None:
    method = replace(SMALL, operators={"lamarckian": 1}, crossover=0)
    here = world(method, brief(2, train=()), quality=lambda one: 1.0).run()
    assert {p.operator.name for p in here.copies.values()} == {"lamarckian"}
    assert all(isinstance(p.operator.mutation, Lamarckian) for p in here.copies.values())  # type: ignore[attr-defined]


def test_equal_content_has_one_hash_and_a_failed_mutation_makes_no_unit() -> None:
    parts = {"instruction": "One.", MUTATION: "Two."}
    assert Prompt.of(parts).hash == Prompt.of(dict(parts)).hash
    here = world(SMALL, brief(2), fails=lambda number, proposal: "base" in proposal.roles).run()
    assert all(member.individual.prompt.part(MUTATION) for member in here.state.slots)


def test_the_population_counts_units_not_their_task_prompts() -> None:
    here = founded(SMALL)
    assert len(SMALL.living(here.state)) == 6
    for member in here.state.members:
        assert [name for name, _ in member.prompt.shown] == ["instruction", "stage-2"]


def test_survivors_are_measured_again() -> None:
    here = world(replace(SMALL, generations=8, batch=3), brief(2)).run()
    counts = [member.evaluation.count for member in here.state.members]
    assert max(counts) > 3
    assert min(counts) >= 3


def test_operators_are_drawn_evenly_or_by_weight() -> None:
    for operators, expected in (
        ("uniform", dict.fromkeys(RECIPES, 1 / 8)),
        ("nine_uniform", dict.fromkeys([*RECIPES, "crossover"], 1 / 9)),
        ({"eda": 3, "crossover": 1}, {"eda": 0.75, "crossover": 0.25}),
    ):
        here = founded(replace(SMALL, operators=operators))  # type: ignore[arg-type]
        drawn = Counter(plan.operator for seed in range(700) for plan in decided(here, seed).round.plans)
        assert set(drawn) == set(expected)
        for name, share in expected.items():
            assert drawn[name] / drawn.total() == pytest.approx(share, abs=0.035)


def test_nothing_but_dev_and_train_rows_is_ever_asked_for() -> None:
    here = world(replace(SMALL, contexts=2, generations=8), brief(2)).run()
    asked = {row for step in here.steps.values() for row in step.examples or ()}
    assert asked <= {row.number for row in (*DEV, *TRAIN)}
    for step in here.steps.values():
        if not isinstance(step, Evidence):
            assert set(step.examples or ()) <= {row.number for row in DEV}


def test_no_archive_grows() -> None:
    here = world(replace(SMALL, generations=40), brief(2)).run()
    assert len(here.state.slots) == 6
    assert max(len(member.elites) for member in here.state.slots) <= 20
    assert len(here.state.timetable.rounds) <= 2


def test_crossover_swaps_task_prompts_alone_and_in_proportion_to_fitness() -> None:
    method = replace(SMALL, generations=20, crossover=0.5, batch=3)
    here = world(method, brief(2)).run()
    crossed = {number: p for number, p in here.copies.items() if "mate" in p.roles}
    assert len(crossed) / len(here.copies) == pytest.approx(0.5, abs=0.15)
    for number, proposal in crossed.items():
        child, mate = here.born[number].prompt, proposal.parents[-1].prompt
        swapped = proposal.operator.swapped  # type: ignore[attr-defined]
        assert {swapped, proposal.part} == {"instruction", "stage-2"}
        assert child.part(swapped) == mate.part(swapped)
        assert proposal.operator.name != "crossover"


@pytest.mark.parametrize("kind", ["first-order", *HYPER])
def test_crossover_never_undoes_the_mutation_it_follows(kind: str) -> None:
    for width in (1, 2):
        method = replace(SMALL, operators={kind: 1}, crossover=1.0, prompts_per_unit=width)
        here = world(method, brief(2)).run()
        assert any("mate" in proposal.roles for proposal in here.copies.values()) is (width == 2)
        asked = {f"Prompt {request.seed}." for request in here.llm.requests}
        for number, proposal in here.copies.items():
            child, base = here.born[number].prompt, here.born[proposal.parents[0].number].prompt
            assert proposal.operator.name == kind
            assert child.part(proposal.part or "") in asked - {base.part(proposal.part or "")}


def test_mates_are_drawn_by_fitness() -> None:
    method = replace(DIRECT, crossover=1.0)
    here = founded(method, quality=lambda one: 0.9 if one.number % 2 else 0.1)
    mates: Counter[bool] = Counter()
    for seed in range(300):
        state = decided(here, seed)
        plan = state.round.plans[0]
        ready = replace(here, state=replace(state, round=state.round.conceived(state.slots)))
        step, _ = method.ask(ready.state, 500, child_rng(seed, "ask", 500))
        assert step is not None
        assert not isinstance(step, Evidence)
        assert step.parents[0].number == state.slots[plan.winner].individual.number
        mates[here.quality(step.parents[-1]) > 0.5] += 1
    assert mates[True] / mates.total() > 0.75


def test_a_round_tells_a_tie_by_all_evidence_then_by_length() -> None:
    here = founded(DIRECT, quality=lambda one: 0.5)
    state = decided(here, 0)
    assert isinstance(state.round, Round)
    for plan in state.round.plans or ():
        assert isinstance(plan, Plan)
        one, other = (state.slots[slot].individual for slot in (plan.winner, plan.slot))
        assert one.prompt.length < other.prompt.length or one.number < other.number


def test_near_copies_are_not_listed_together() -> None:
    method = replace(SMALL, operators={"eda": 1, "eda-rank-index": 1}, crossover=0, generations=8)
    same = world(
        method, brief(2), reply=lambda request: f"<prompt>Sort this text very carefully {request.seed}</prompt>"
    )
    for proposal in replace(same).run().copies.values():
        assert 1 <= proposal.roles.count("listed") <= 6
    loose = world(replace(method, similarity=1.0), brief(2)).run()
    strict = world(replace(method, similarity=0.0), brief(2)).run()
    assert max(p.roles.count("listed") for p in loose.copies.values()) == 6
    assert {p.roles.count("listed") for p in strict.copies.values()} == {1}


def test_a_drive_with_failures_goes_on() -> None:
    driven = drive(replace(SMALL, generations=None), brief(3), 150, shuffle=2, fails=lambda number: number % 4 == 3)
    assert len(driven.individuals) == 150


def test_missing_rows_do_not_decide() -> None:
    """Rows only one side has a score for are left out, and are no zeros."""
    here = founded(DIRECT, quality=lambda one: 0.6)
    meeting = here.state.timetable.rounds[0][0]
    first, second = meeting.slots
    short = here.state.slots[second]
    known = scored(short.individual, meeting.rows[:1], 0.9)
    known = replace(known, evaluation=known.evaluation.of(o for o in known.evaluation.outcomes if o.score == 0.9))
    slots = list(here.state.slots)
    slots[second] = replace(short, individual=known)
    assert meeting.decided(tuple(slots)) == (second, first)
