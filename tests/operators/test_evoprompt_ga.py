from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import ask_all, brief, drive, failed, individual, tell_all
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Individual
from operators.generational import EvoPromptGa
from operators.rewrites import CrossoverMutation, Paraphrase
from operators.seeds import Seed


def newborn(number: int, score: float) -> Individual:
    return individual(number, f"prompt {number}", score)


def begun(method: EvoPromptGa, scores: tuple[float, ...] = (0.1, 0.5, 0.3, 0.4, 0.2)) -> Any:
    """Return the state after the seeds are scored: seed n is individual n."""
    state = method.start(brief(len(scores)))
    proposals, state = ask_all(method, state, 0)
    assert [proposal.operator for proposal in proposals] == [Seed(seed) for seed in brief(len(scores)).seeds]
    assert all(proposal.parents == () for proposal in proposals)
    return tell_all(method, state, [newborn(number, score) for number, score in enumerate(scores)])


def grown(method: EvoPromptGa) -> Any:
    """Return the state after initialisation: prompts 1, 3 (seeds) and 5, 6 (paraphrases) live."""
    _, state = ask_all(method, begun(method), 5)
    return tell_all(method, state, [newborn(5, 0.6), newborn(6, 0.05)])


def living(method: EvoPromptGa, state: Any) -> list[int]:
    return [one.number for one in method.living(state)]


def test_the_paper_s_sequence_is_followed() -> None:
    method = EvoPromptGa(population=4, generations=2)
    proposals, state = ask_all(method, begun(method), 5)
    assert [proposal.operator for proposal in proposals] == [Paraphrase(), Paraphrase()]
    assert [proposal.edges for proposal in proposals] == [((1, "base"),), ((3, "base"),)]
    state = tell_all(method, state, [newborn(5, 0.6), newborn(6, 0.05)])
    assert living(method, state) == [5, 1, 3, 6]
    for generation in range(2):
        first = 10 * (generation + 1)
        proposals, state = ask_all(method, state, first)
        assert [proposal.operator for proposal in proposals] == [CrossoverMutation(example="simplification")] * 4
        assert {role for proposal in proposals for _, role in proposal.edges} == {"base", "mate"}
        assert {number for proposal in proposals for number, _ in proposal.edges} <= set(living(method, state))
        assert not method.finished(state)
        children = [newborn(first + place, (0.55, 0.05, 0.7, 0.5)[place]) for place in range(4)]
        state = tell_all(method, state, children)
    assert living(method, state) == [12, 22, 5, 10]
    assert method.finished(state)
    assert method.ask(state, 99, np.random.default_rng(0))[0] is None


def test_the_pool_is_drawn_once_in_proportion_to_fitness() -> None:
    method = EvoPromptGa(population=4)
    state = grown(method)
    drawn: Counter[int] = Counter()
    for seed in range(300):
        _, opened = method.ask(state, 9, np.random.default_rng(seed))
        assert len(opened.pool) == 4
        drawn.update(one.number for one in opened.pool)
        _, further = method.ask(opened, 10, np.random.default_rng(seed + 1))
        assert further.pool == opened.pool
    total = 0.6 + 0.5 + 0.4 + 0.05
    for number, score in ((5, 0.6), (1, 0.5), (3, 0.4), (6, 0.05)):
        assert drawn[number] / 1200 == pytest.approx(score / total, abs=0.06)


@pytest.mark.parametrize("parents", ["roulette", "tournament", "random"])
def test_parents_differ_where_asked(parents: Any) -> None:
    same = EvoPromptGa(population=4, parents=parents)
    distinct = replace(same, distinct_parents=True)
    twins = {
        method.distinct_parents: sum(
            (pair := method.ask(grown(method), 9, np.random.default_rng(seed))[0]) is not None
            and pair.parents[0] == pair.parents[1]
            for seed in range(100)
        )
        for method in (same, distinct)
    }
    assert twins[True] == 0
    assert (twins[False] > 0) is (parents != "random")


def test_a_failed_paraphrase_gives_its_place_to_the_next_seed() -> None:
    method = EvoPromptGa(population=4)
    _, state = ask_all(method, begun(method), 5)
    state = tell_all(method, state, [failed(5), newborn(6, 0.05)])
    assert living(method, state) == [1, 3, 2, 6]


def test_few_seeds_are_paraphrased_in_turn() -> None:
    method = EvoPromptGa(population=7)
    proposals, _ = ask_all(method, begun(method, (0.2, 0.9)), 2)
    assert [proposal.edges[0][0] for proposal in proposals] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("init", "kept"),
    [("para_topk", {1, 3}), ("para_bottomk", {0, 4}), ("topk", {1, 3, 2, 4}), ("bottomk", {0, 4, 2, 3})],
)
def test_other_beginnings_keep_other_seeds(init: Any, kept: Any) -> None:
    method = EvoPromptGa(population=4, init=init)
    state = begun(method)
    proposal, asked = method.ask(state, 5, np.random.default_rng(0))
    assert proposal is not None
    if init.startswith("para_"):
        assert isinstance(proposal.operator, Paraphrase)
        assert {one.number for one in asked.nursery.kept} == kept
    else:
        assert isinstance(proposal.operator, CrossoverMutation)
        assert set(living(method, state)) == kept


def test_a_random_beginning_depends_on_the_generator_alone() -> None:
    method = EvoPromptGa(population=4, init="para_randomk")
    kept = set()
    for seed in range(40):
        state = method.start(brief(5))
        for number in range(5):
            _, state = method.ask(state, number, np.random.default_rng(seed))
        state = tell_all(method, state, [newborn(number, 0.1 * number) for number in (3, 1, 0, 2, 4)])
        kept.add(frozenset(one.number for one in state.nursery.kept))
    assert len(kept) > 5


def test_without_an_elite_children_take_the_places() -> None:
    method = EvoPromptGa(population=4, update="std")
    _, state = ask_all(method, grown(method), 10)
    children = [newborn(10, 0.01), failed(11), newborn(12, 0.02), newborn(13, 0.03)]
    assert living(method, tell_all(method, state, children)) == [1, 13, 12, 10]


def test_a_child_equal_to_a_member_lives_once() -> None:
    method = EvoPromptGa(population=4)
    _, state = ask_all(method, grown(method), 10)
    children = [replace(newborn(10, 0.6), prompt=newborn(5, 0).prompt), *map(failed, (11, 12, 13))]
    assert living(method, tell_all(method, state, children)) == [5, 1, 3, 6]


def test_immigrants_join_at_the_end_of_the_generation() -> None:
    method = EvoPromptGa(population=4)
    _, state = ask_all(method, grown(method), 10)
    state = method.tell(state, newborn(50, 0.8))
    assert 50 not in living(method, state)
    state = tell_all(method, state, [failed(number) for number in range(10, 14)])
    assert living(method, state) == [50, 5, 1, 3]
    assert state.immigrants == ()


def test_an_immigrant_during_initialisation_joins_the_first_population() -> None:
    method = EvoPromptGa(population=4)
    _, state = ask_all(method, method.tell(begun(method), newborn(50, 0.8)), 5)
    assert living(method, tell_all(method, state, [newborn(5, 0.6), newborn(6, 0.05)])) == [50, 5, 1, 3]


def test_a_generation_of_failures_is_followed_by_the_next() -> None:
    method = EvoPromptGa(population=4, generations=None)
    state = grown(method)
    for first in range(10, 100, 10):
        proposals, state = ask_all(method, state, first)
        assert len(proposals) == 4
        state = tell_all(method, state, [failed(first + place) for place in range(4)])
    assert state.generation == 9
    assert living(method, state) == [5, 1, 3, 6]


def test_one_survivor_is_enough_and_none_is_an_error() -> None:
    method = EvoPromptGa(population=4)
    _, state = ask_all(method, method.start(brief(1)), 0)
    _, alone = ask_all(method, method.tell(state, newborn(0, 0.0)), 1)
    alone = tell_all(method, alone, [failed(number) for number in (1, 2, 3)])
    proposals, _ = ask_all(method, alone, 4)
    assert [proposal.edges for proposal in proposals] == [((0, "base"), (0, "mate"))] * 4
    with pytest.raises(ConfigError, match="at least 1 living prompts"):
        ask_all(method, method.tell(state, failed(0)), 1)
    rescued = method.tell(method.tell(state, failed(0)), newborn(50, 0.5))
    assert len(ask_all(method, rescued, 60)[0]) == 4


@settings(max_examples=40, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=11, max_size=11))
def test_the_order_of_telling_does_not_matter(data: Any, scores: Any) -> None:
    method = EvoPromptGa(population=4, generations=1)

    def outcome(number: int) -> Individual:
        score = scores[number] if number else 0.5
        return failed(number) if score is None else newborn(number, score)

    def told(shuffle: bool) -> Any:
        state, number = method.start(brief(4)), 0
        states: list[Any] = []
        while True:
            proposals, state = ask_all(method, state, number)
            if not proposals:
                return states
            born = [outcome((number + place) % 11) for place in range(len(proposals))]
            born = [replace(one, number=number + place) for place, one in enumerate(born)]
            state = tell_all(method, state, data.draw(st.permutations(born)) if shuffle else born)
            number += len(proposals)
            states.append(state)

    assert told(shuffle=True) == told(shuffle=False)


@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_a_run_is_the_same_with_any_number_of_slots(shuffle: Any) -> None:
    method = EvoPromptGa(population=6, generations=3)
    one, many = drive(method, brief(), 100, slots=1), drive(method, brief(), 100, slots=9, shuffle=shuffle)
    assert one.state == many.state
    assert len(one.individuals) == 12 + 3 + 3 * 6


@pytest.mark.parametrize(
    "arguments",
    [
        {"population": 1},
        {"generations": 0},
        {"parents": "best"},
        {"init": "para"},
        {"update": "all"},
        {"temperature": -1},
    ],
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="evoprompt-ga expects"):
        EvoPromptGa(**arguments)


def test_no_seed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 1 different seed prompts, got 0"):
        EvoPromptGa().start(brief(0))
