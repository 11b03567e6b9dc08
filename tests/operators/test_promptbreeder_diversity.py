"""Promptbreeder's aids for a search that is stuck: random strings and fitness sharing, off by default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import ScriptedLlm, at_once, brief
from hypothesis import assume, given
from hypothesis import strategies as st
from units_by_hand import World, scored, unit, world

from evo.model import Prompt
from evo.schema import describe
from operators.breeder_recipes import FIRST_HYPER, ZERO_HYPER
from operators.breeder_stages import Rules
from operators.estimation import Estimate
from operators.mutation_prompts import FirstOrder
from operators.promptbreeder import Promptbreeder
from operators.random_string import CHARACTERS, AfterRandomString
from operators.rounds import comparison
from operators.tournaments import Tournament
from operators.units import Unit

SMALL = Promptbreeder(population=6, generations=4, batch=5, seed_units=0)
CROWD = "Read the review with care and say what it feels."
LONER = "Which mood? One word."
ROWS = (0, 1, 2)


def member(number: int, text: str, score: float) -> Unit:
    """Return a unit scored on three rows."""
    one = scored(
        replace(unit(number, text, score), evaluation=scored(unit(number, text, 0), [], 0).evaluation), ROWS, score
    )
    return Unit(one, one, 1.0)


def outcome(method: Promptbreeder, units: list[Unit], meeting: Tournament) -> tuple[list[tuple[int, int]], Any]:
    """Return who overwrites whom in a round of one tournament, and the state it leaves."""
    state = replace(world(method, brief(2)).state, slots=tuple(units))
    current = comparison((meeting,), state.slots)
    rules = Rules((("first-order", 1.0),), (1.0, 2.0), 0.2, 8, method.fitness_sharing)
    state = rules.decided(state, current, np.random.default_rng(0))
    assert state.round is not None
    return [(plan.winner, plan.slot) for plan in state.round.plans or ()], state


def crowd(scores: tuple[float, float], others: int) -> list[Unit]:
    """Return a unit with many like it, one with a niche of its own, and those many."""
    alike = [member(3 + place, f"{CROWD} {place}", 0.1) for place in range(others)]
    return [member(1, CROWD, scores[0]), member(2, LONER, scores[1]), *alike]


@given(score=st.sampled_from([0.0, 0.25, 0.5, 1.0]), others=st.integers(1, 6), swapped=st.booleans())
def test_of_two_equal_scores_the_one_in_the_crowded_niche_loses(score: float, others: int, swapped: bool) -> None:
    units = crowd((score, score), others)
    meeting = Tournament((1, 0) if swapped else (0, 1), ROWS)
    assert outcome(replace(SMALL, fitness_sharing=0.5), units, meeting)[0] == [(1, 0)]


@given(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 6))
def test_with_sharing_off_the_higher_score_wins_however_crowded(mine: float, theirs: float, others: int) -> None:
    assume(mine != theirs)
    expected = (0, 1) if mine > theirs else (1, 0)
    assert outcome(SMALL, crowd((mine, theirs), others), Tournament((0, 1), ROWS))[0] == [expected]


def test_a_crowd_loses_to_a_lower_score_as_far_as_its_niche_count_goes() -> None:
    sharing = replace(SMALL, fitness_sharing=0.5)
    meeting = Tournament((0, 1), ROWS)
    assert outcome(sharing, crowd((0.9, 0.4), 6), meeting)[0] == [(1, 0)]
    assert outcome(sharing, crowd((0.9, 0.1), 6), meeting)[0] == [(0, 1)]


def test_sharing_changes_no_score_and_crowns_the_truly_fittest() -> None:
    units = [*crowd((0.9, 0.4), 6)]
    _, state = outcome(replace(SMALL, fitness_sharing=0.5), units, Tournament((0, 1), ROWS))
    assert [one.individual for one in state.slots] == [one.individual for one in units]
    crowned = outcome(replace(SMALL, fitness_sharing=0.5), units, Tournament((0, 2), ROWS))[1]
    assert [bool(one.elites) for one in crowned.slots] == [True, *[False] * 7]


def test_in_a_whole_run_with_sharing_everybody_is_known_by_the_scores_told() -> None:
    here = alike_world(replace(SMALL, fitness_sharing=1.0))
    members = [one for state in here.states for one in state.slots if one is not None]
    assert members
    for one in members:
        assert set(one.individual.evaluation.scores.values()) <= {here.quality(one.individual)}
    assert len(here.state.slots) == 6


def alike_world(method: Promptbreeder) -> World:
    """Return a finished world in which some prompts are near-copies and some are not."""
    words = ("alpha beta gamma", "delta epsilon zeta", "eta theta iota")
    return world(
        method, brief(2), reply=lambda request: f"<prompt>{words[request.seed % 3] * 3} {request.seed}</prompt>"
    ).run()


def test_off_is_the_default_and_leaves_every_step_as_it_is() -> None:
    named, bare = alike_world(replace(SMALL, random_string=0, fitness_sharing=0.0)), alike_world(SMALL)
    assert (named.steps, named.state) == (bare.steps, bare.state)
    assert not any(isinstance(p.operator, AfterRandomString) for p in bare.births.values())
    assert alike_world(replace(SMALL, fitness_sharing=1.0)).steps != bare.steps


@pytest.mark.parametrize("kind", ["first-order", "zero-order", "eda", ZERO_HYPER, FIRST_HYPER])
def test_each_mutation_is_asked_for_after_a_string_of_its_own_and_the_first_population_is_not(kind: str) -> None:
    aided = replace(SMALL, operators={kind: 1}, crossover=0)
    here, bare = world(replace(aided, random_string=50), brief(2)).run(), world(aided, brief(2)).run()
    assert len(here.llm.requests) == len(bare.llm.requests)
    heads = [request.text.split("\n\n")[0] for request in here.llm.requests]
    drawn = [head for head in heads if len(head) == 50 and set(head) <= set(CHARACTERS)]
    first = 6 * 2
    assert drawn == heads[first:]
    assert len(set(drawn)) == len(drawn) > 10
    assert [p.operator.name for p in here.births.values()] == [p.operator.name for p in bare.births.values()]


def test_the_string_comes_of_the_generator_and_its_length_is_recorded() -> None:
    operator, base = AfterRandomString(FirstOrder(), 12), unit(1, "Sort.", 0.5)

    def asked(seed: int) -> str:
        llm = ScriptedLlm(lambda request: "<prompt>Judge.</prompt>")
        assert at_once(operator([base], llm, np.random.default_rng(seed))).text == "Judge."
        return llm.requests[0].text

    assert asked(1) == asked(1) != asked(2)
    assert '"length": 12' in describe(operator)
    assert operator.name == FirstOrder.name


async def test_texts_to_be_embedded_are_not_headed() -> None:
    llm = ScriptedLlm(lambda request: "<prompt>New.</prompt>", embed=lambda text: (1.0, float(len(text))))
    listed = [replace(unit(n, text, 0.5), prompt=Prompt.of(text)) for n, text in enumerate(("Sort.", "Judge it."))]
    await AfterRandomString(Estimate(max_cosine=0.95), 9)([listed[0], *listed], llm, np.random.default_rng(0))
    assert {request.text for request in llm.requests if request.embedding} == {"Sort.", "Judge it."}
    (written,) = (request for request in llm.requests if not request.embedding)
    assert len(written.text.split("\n\n")[0]) == 9
