"""The best so far changes hands as the final ranking would have it, evidence by evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from records import born
from toys import Toy, ToyTask

from evo.journal import Journal
from evo.life import Ground, Life, begin, status_of, tell
from evo.model import Brief, Individual
from evo.schema import edge_rows, individual_row, measurement_row, prompt_row
from evo.verdict import ranking
from fitness.racing import Full


@dataclass(frozen=True)
class Keeper:
    """Asks for nothing; keeps the latest ``size`` it is told of, with all the evidence."""

    when: ClassVar[str] = "never"
    cost: ClassVar[str] = "nothing"
    racing: ClassVar[str] = "full"
    in_flight: int | None = None
    size: int = 100

    def start(self, brief: Brief) -> Toy:
        return Toy()

    def ask(self, state: Toy, number: int, rng: np.random.Generator) -> tuple[None, Toy]:
        return None, state

    def tell(self, state: Toy, individual: Individual) -> Toy:
        known = {one.number: one for one in state.living}
        known[individual.number] = known.get(individual.number, individual).with_evidence_of(individual)
        return replace(state, living=tuple(known.values())[-self.size :])

    def living(self, state: Toy) -> Sequence[Individual]:
        return state.living

    def finished(self, state: Toy) -> bool:
        return True


def told(individuals: Iterable[Individual], size: int = 100) -> tuple[Ground[Any], Life[Any]]:
    soil: Ground[Any] = Ground(0, 5, Keeper(size=size), Full(), ToyTask())
    life = begin(soil)
    for one in individuals:
        tell(soil, life, one.number, one)
    return soil, life


def more(individual: Individual, scores: Iterable[float]) -> Individual:
    """Return the individual with evidence on further rows."""
    scores = list(scores)
    at = individual.evaluation.count
    shifted = born(individual.number, scores=scores).evaluation.outcomes
    moved = tuple(replace(outcome, example=at + outcome.example) for outcome in shifted)
    return individual.with_evidence(replace(individual.evaluation, outcomes=moved), individual.practice)


def test_the_best_gives_way_when_later_evidence_lowers_it():
    lucky, solid = born(0, scores=[1.0] * 8), born(1, scores=[1.0] * 7 + [0.0])
    soil, life = told([lucky, solid])
    assert life.best.number == 0
    tell(soil, life, 2, more(lucky, [0.0] * 4))
    assert life.best.number == 1
    assert status_of(soil, life).best == solid.fitness


def test_luck_on_few_rows_does_not_lead():
    solid = born(0, scores=[1.0] * 19 + [0.0])
    _, life = told([solid, born(1, scores=[1.0] * 10)])
    assert life.best.number == 0, "19 of 20 is surer than 10 of 10"
    _, life = told([born(0, scores=[0.6] * 20), born(1, scores=[1.0] * 9)])
    assert life.best.number == 0, "less than half the evidence of another"


def test_who_leads_by_few_rows_gives_way_when_another_has_twice_as_many():
    _, life = told([born(0, scores=[1.0] * 8), born(1, scores=[0.9] * 8), born(2, scores=[0.5] * 17)])
    assert life.best.number == 2


def test_the_best_need_not_live():
    _, life = told([born(0, scores=[1.0] * 8), *(born(number, scores=[0.5] * 8) for number in range(1, 5))], size=2)
    assert life.best.number == 0


def test_equals_are_led_by_the_shorter_then_the_older():
    _, life = told([born(0, "a long one"), born(1, "short"), born(2, "other")])
    assert life.best.number == 1


def test_nobody_leads_without_evidence():
    soil, life = told([born(0, scores=[]), born(1, scores=[None]), born(2, scores=[1.0], status="dropped")])
    assert life.best is None
    assert status_of(soil, life).best is None


@pytest.mark.parametrize("seed", range(8))
def test_while_all_live_it_is_whom_the_log_ranks_first(tmp_path, seed):
    rng = np.random.default_rng(seed)
    soil, life = told([])
    journal = Journal(tmp_path)
    for step in range(40):
        living = soil.method.living(life.state)
        scores = rng.integers(0, 2, int(rng.integers(1, 9))).astype(float).tolist()
        if not living or rng.random() < 0.4:
            one = born(step, scores=scores)
            rows = {"prompts": [prompt_row(one.prompt)], "individuals": [individual_row(one)], "edges": edge_rows(one)}
        else:
            one = more(living[int(rng.integers(len(living)))], scores)
            rows = {"measurements": [measurement_row(step, one)]}
        journal.append(rows)
        tell(soil, life, step, one)
    journal.close()
    assert ranking(tmp_path, 1) == [life.best.number]
