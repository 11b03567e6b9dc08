from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import ask_all, brief, drive, failed, individual, tell_all
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Individual
from operators.differential import EvoPromptDe, settle
from operators.rewrites import DifferentialRecombination


def newborn(number: int, score: float) -> Individual:
    return individual(number, f"prompt {number:03d}", score)


def grown(method: EvoPromptDe, scores: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)) -> Any:
    """Return the state after initialisation without paraphrases: slot j holds prompt j."""
    _, state = ask_all(method, method.start(brief(len(scores))), 0)
    return tell_all(method, state, [newborn(number, score) for number, score in enumerate(scores)])


def slots(method: EvoPromptDe, state: Any) -> list[int]:
    return [one.number for one in method.living(state)]


FOUR = EvoPromptDe(population=4, init="topk")


def test_each_slot_is_challenged_by_one_child() -> None:
    for seed in range(20):
        state = grown(FOUR)
        for slot in range(4):
            proposal, state = FOUR.ask(state, 10 + slot, np.random.default_rng(seed))
            assert proposal is not None
            assert proposal.operator == DifferentialRecombination("v1", example="simplification")
            assert proposal.roles == ("donor1", "donor2", "best", "base")
            one, other, best, base = (parent.number for parent in proposal.parents)
            assert base == slot
            assert best == 0
            assert len({one, other, base}) == 3
        assert FOUR.ask(state, 20, np.random.default_rng(seed))[0] is None


def test_donors_are_any_two_other_slots() -> None:
    pairs = set()
    for seed in range(200):
        proposal, _ = FOUR.ask(grown(FOUR), 10, np.random.default_rng(seed))
        assert proposal is not None
        pairs.add(tuple(parent.number for parent in proposal.parents[:2]))
    assert pairs == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b}


def test_a_child_takes_its_slot_only_when_it_is_better() -> None:
    _, state = ask_all(FOUR, grown(FOUR), 10)
    state = tell_all(FOUR, state, [newborn(10, 0.4), newborn(11, 0.9), failed(12), newborn(13, 0.05)])
    assert slots(FOUR, state) == [0, 11, 2, 3]
    proposals, _ = ask_all(FOUR, state, 20)
    assert {proposal.parents[2].number for proposal in proposals} == {11}
    assert [proposal.parents[3].number for proposal in proposals] == [0, 11, 2, 3]


def test_the_best_prompt_is_of_the_last_generation_or_live() -> None:
    for method, seen in ((FOUR, 0), (replace(FOUR, current_best="live"), 10)):
        _, state = method.ask(grown(method), 10, np.random.default_rng(0))
        state = method.tell(state, newborn(10, 0.9))
        proposal, _ = method.ask(state, 11, np.random.default_rng(0))
        assert proposal is not None
        assert proposal.parents[2].number == seen
        assert 10 not in {parent.number for parent in proposal.parents[:2]}


def test_variants_show_other_parents() -> None:
    for method, roles in (
        (replace(FOUR, variant="v2"), ("donor1", "donor2", "base")),
        (replace(FOUR, variant="v3"), ("donor1", "donor2", "best", "base")),
        (replace(FOUR, donor_random=True), ("donor1", "donor2", "donor3", "base")),
    ):
        proposal, _ = method.ask(grown(method), 10, np.random.default_rng(0))
        assert proposal is not None
        assert proposal.roles == roles
        assert isinstance(proposal.operator, DifferentialRecombination)
        assert proposal.operator.variant == method.variant
        if method.donor_random:
            assert len({parent.number for parent in proposal.parents}) == 4


def test_a_migrant_replaces_the_worst_slot_and_never_the_best() -> None:
    members = tuple(newborn(number, score) for number, score in enumerate((0.4, 0.3, 0.2, 0.1)))
    better, best, worse, tied = newborn(50, 0.25), newborn(51, 0.9), newborn(52, 0.05), newborn(53, 0.1)
    copy = replace(newborn(54, 0.9), prompt=members[2].prompt)
    assert [one.number for one in settle(members, (better,), 4)] == [0, 1, 2, 50]
    assert [one.number for one in settle(members, (better, best), 4)] == [0, 1, 50, 51]
    assert settle(members, (worse, tied, copy), 4) == members
    assert [one.number for one in settle(members, (worse,), 5)] == [0, 1, 2, 3, 52]
    flood = tuple(newborn(60 + number, 0.39) for number in range(9))
    assert settle(members, flood, 4)[0].number == 0


def test_migrants_wait_for_the_end_of_the_generation() -> None:
    _, state = ask_all(FOUR, grown(FOUR), 10)
    state = FOUR.tell(state, newborn(50, 0.25))
    assert slots(FOUR, state) == [0, 1, 2, 3]
    state = tell_all(FOUR, state, [failed(number) for number in range(10, 14)])
    assert slots(FOUR, state) == [0, 1, 2, 50]


def test_generations_of_failures_go_on_until_the_last() -> None:
    method = replace(FOUR, generations=3)
    state, number = grown(method), 10
    while not method.finished(state):
        proposals, state = ask_all(method, state, number)
        assert len(proposals) == 4
        state = tell_all(method, state, [failed(number + place) for place in range(4)])
        number += 4
    assert number == 22
    assert slots(method, state) == [0, 1, 2, 3]


def test_fewer_than_four_slots_are_an_error_with_a_mend() -> None:
    with pytest.raises(ConfigError, match="whole number from 4 up, got 3"):
        EvoPromptDe(population=3)
    with pytest.raises(ConfigError, match="at least 4 different seed prompts, got 3"):
        FOUR.start(brief(3))
    method = EvoPromptDe(population=6)
    _, state = ask_all(method, method.start(brief(2)), 0)
    _, state = ask_all(method, tell_all(method, state, [newborn(0, 0.1), newborn(1, 0.2)]), 2)
    state = tell_all(method, state, [newborn(2, 0.3), failed(3), failed(4), failed(5)])
    with pytest.raises(ConfigError, match=r"at least 4 living prompts.* got 3.*pass more seed prompts"):
        method.ask(state, 6, np.random.default_rng(0))
    rescued = method.tell(state, newborn(50, 0.5))
    assert len(ask_all(method, rescued, 60)[0]) == 4


@settings(max_examples=40, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.2, 0.5, 1.0]), min_size=7, max_size=7))
def test_the_order_of_telling_does_not_matter(data: Any, scores: Any) -> None:
    _, state = ask_all(FOUR, grown(FOUR), 10)
    born = [
        failed(n) if s is None else newborn(n, s) for n, s in zip((10, 11, 12, 13, 50, 51, 52), scores, strict=True)
    ]
    arrivals, children = born[4:], born[:4]
    straight = tell_all(FOUR, state, [*arrivals, *children])
    mixed = [*data.draw(st.permutations([*arrivals, *children[:3]])), children[3]]
    assert tell_all(FOUR, state, mixed) == straight
    waiting = [arrival for arrival in mixed if arrival.number >= 50]
    assert tell_all(FOUR, state, waiting).immigrants == tuple(one for one in arrivals if one.ok)
    assert len(FOUR.living(straight)) == 4


@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_a_run_is_the_same_with_any_number_of_slots(shuffle: Any) -> None:
    method = EvoPromptDe(population=6, generations=3)
    one, many = drive(method, brief(), 100, slots=1), drive(method, brief(), 100, slots=9, shuffle=shuffle)
    assert one.state == many.state
    assert len(one.individuals) == 12 + 3 + 3 * 6
