"""Who survives and breeds where prompts are compared by several objectives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import brief, individual
from deap import base, tools

from evo.errors import ConfigError
from evo.model import Individual
from evo.objectives import goals
from operators.steady_state import SteadyState
from operators.survival import standing, survivors
from operators.tide import Tide

BY = ("quality", "tokens")


def member(number: int, score: float, words: int) -> Individual:
    return individual(number, "word " * words, score)


MEMBERS = (member(0, 0.9, 80), member(1, 0.8, 60), member(2, 0.8, 20), member(3, 0.7, 40), member(4, 0.2, 2))


def test_with_quality_alone_the_first_survive() -> None:
    assert survivors(MEMBERS, 2, ("quality",)) == MEMBERS[:2]
    assert standing(MEMBERS, ("quality",)) is None


def test_the_front_survives_before_those_it_dominates() -> None:
    assert [one.number for one in survivors(MEMBERS, 3, BY)] == [0, 2, 4]
    assert [one.number for one in survivors(MEMBERS, 4, BY)] == [0, 1, 2, 4]


def test_the_best_by_quality_survives_alone() -> None:
    assert [one.number for one in survivors(MEMBERS, 1, BY)] == [0]


@pytest.mark.parametrize("seed", range(20))
def test_the_same_survive_as_by_nsga2(seed: int) -> None:
    rng = np.random.default_rng(seed)
    members = sorted(
        (member(n, float(rng.random()), int(rng.integers(1, 400))) for n in range(16)), key=lambda one: -one.fitness
    )

    class Weighted(base.Fitness):  # type: ignore[misc]
        weights = (1.0, 1.0)

    class Entrant:
        def __init__(self, number: int, values: list[float]) -> None:
            self.number, self.fitness = number, Weighted(values)

    rows = goals(members, BY).tolist()
    by_deap = tools.selNSGA2([Entrant(one.number, row) for one, row in zip(members, rows, strict=True)], 8)
    assert {one.number for one in survivors(members, 8, BY)} == {entrant.number for entrant in by_deap}


def test_the_front_breeds_more_than_those_it_dominates() -> None:
    rank = standing(MEMBERS, BY)
    assert rank is not None
    assert min(rank(MEMBERS[n]) for n in (0, 2, 4)) > max(rank(MEMBERS[n]) for n in (1, 3))


@pytest.mark.parametrize("method", [SteadyState(population=3, objectives=BY), Tide(population=3, objectives=BY)])
def test_a_method_with_objectives_keeps_short_prompts_beside_good_ones(method: Any) -> None:
    state = method.start(brief(2))
    for one in MEMBERS:
        state = method.tell(state, replace(one, number=one.number + 5))
    assert [one.number - 5 for one in method.living(state)] == [0, 2, 4]
    alone = replace(method, objectives=("quality",), **({"length_penalty": 0.0} if isinstance(method, Tide) else {}))
    state = alone.start(brief(2))
    for one in MEMBERS:
        state = alone.tell(state, replace(one, number=one.number + 5))
    assert next(one.number - 5 for one in alone.living(state)) == 0
    assert 4 not in [one.number - 5 for one in alone.living(state)]


def test_parents_are_drawn_by_front() -> None:
    method = SteadyState(objectives=BY, operators={"reframe": 1.0})
    state = method.start(brief(0 + 1))
    _, state = method.ask(state, 0, np.random.default_rng(0))
    for one in MEMBERS:
        state = method.tell(state, replace(one, number=one.number + 5))
    drawn: Counter[int] = Counter()
    for seed in range(300):
        proposal, _ = method.ask(state, 99, np.random.default_rng(seed))
        assert proposal is not None
        drawn[proposal.parents[0].number - 5] += 1
    assert min(drawn[n] for n in (0, 2, 4)) > max(drawn[n] for n in (1, 3))


@pytest.mark.parametrize("method", [SteadyState, Tide])
@pytest.mark.parametrize("objectives", [("tokens",), ("quality", "fun")])
def test_wrong_objectives_are_named(method: Any, objectives: Any) -> None:
    with pytest.raises(ConfigError, match="expects"):
        method(objectives=objectives)


@pytest.mark.parametrize("method", [SteadyState, Tide])
@pytest.mark.parametrize("objectives", ["quality", 5, None])
def test_objectives_that_are_no_list_are_told_so(method: Any, objectives: Any) -> None:
    with pytest.raises(ConfigError, match=f"expects a list of objectives, got {objectives!r}"):
        method(objectives=objectives)
