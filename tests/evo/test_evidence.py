"""Births without a score, and evidence gathered later: told, logged, replayed, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from toys import SEEDS, Killed, Start, Toy, ToyTask, ToyWorld

from evo.history import history_of
from evo.journal import read_table
from evo.life import Ground, Life, begin, relive
from evo.loop import live
from evo.model import Brief, Individual
from evo.ports import Evidence, Proposal
from evo.replay import individuals_now, read_individuals
from evo.verdict import ranking
from fitness.racing import Full


class TaskWithTrain(ToyTask):
    """Eight dev rows, three train rows, one test row."""

    def examples(self, split: str) -> Sequence[int]:
        return {"dev": range(8), "train": range(8, 11), "test": range(11, 12)}[split]


@dataclass(frozen=True)
class Bandit:
    """Every seed is born unscored; then each is scored on a train row and two dev rows, and twice on two more."""

    when: ClassVar[str] = "never"
    cost: ClassVar[str] = "nothing"
    racing: ClassVar[str] = "full"
    in_flight: int | None = 4
    batches: tuple[tuple[int, ...], ...] = ((0, 1, 8), (2, 3), (4, 5))

    def start(self, brief: Brief) -> Toy:
        return Toy()

    def ask(self, state: Toy, number: int, rng: np.random.Generator) -> tuple[Proposal | Evidence | None, Toy]:
        after = replace(state, asked=state.asked + 1)
        if state.asked < len(SEEDS):
            return Proposal(Start(SEEDS[state.asked]), examples=()), after
        turn = state.asked - len(SEEDS)
        if len(state.living) < len(SEEDS) or turn >= len(SEEDS) * len(self.batches):
            return None, state
        return Evidence(state.living[turn % len(SEEDS)], self.batches[turn // len(SEEDS)]), after

    def tell(self, state: Toy, individual: Individual) -> Toy:
        known = {one.number: one for one in state.living}
        merged = known.get(individual.number, individual).with_evidence_of(individual)
        known[individual.number] = merged
        return replace(state, living=tuple(known[number] for number in sorted(known)))

    def living(self, state: Toy) -> Sequence[Individual]:
        return state.living

    def finished(self, state: Toy) -> bool:
        return state.asked == len(SEEDS) * (1 + len(self.batches))


SOIL: Ground[Toy] = Ground(0, 5, Bandit(), Full(), TaskWithTrain())


async def lived(world: ToyWorld, life: Life[Toy] | None = None) -> Life[Toy]:
    try:
        return await asyncio.wait_for(live(SOIL, life or begin(SOIL), world), 20)
    finally:
        world.journal.close()


async def test_evidence_is_merged_whatever_comes_first(tmp_path: Path) -> None:
    life = await lived(ToyWorld(tmp_path, delays=np.random.default_rng(3)))
    for one in life.state.living:
        assert sorted(one.evaluation.scores) == [0, 1, 2, 3, 4, 5]
        assert sorted(one.practice.scores) == [8]
    assert [one.prompt for one in life.state.living] == list(SEEDS)
    assert life.told == life.asked == len(SEEDS)
    assert life.pending == {}


async def test_the_log_gives_it_all_back(tmp_path: Path) -> None:
    life = await lived(ToyWorld(tmp_path, delays=np.random.default_rng(3)))
    assert tuple(read_individuals(tmp_path)) == life.state.living
    born = [past[2] for past in history_of(tmp_path, 0) if isinstance(past[2], Individual)]
    assert [one.prompt for one in born] == list(SEEDS)
    assert all(one.evaluation.count == 0 for one in born)
    table = {row["id"]: row for row in individuals_now(tmp_path).to_pylist()}
    for one in life.state.living:
        assert table[one.number]["fitness"] == one.fitness
        assert table[one.number]["n_scored"] == 6
    assert ranking(tmp_path, 1) == [max(life.state.living, key=lambda one: (one.fitness, -one.number)).number]
    splits = read_table(tmp_path, "evaluations", ["split", "step"]).to_pylist()
    assert [row["split"] for row in splits].count("train") == len(SEEDS)
    assert {row["step"] for row in splits} == set(range(len(SEEDS), 4 * len(SEEDS)))


async def test_a_history_is_relived_to_the_same_state(tmp_path: Path) -> None:
    life = await lived(ToyWorld(tmp_path, delays=np.random.default_rng(3)))
    again = relive(SOIL, history_of(tmp_path, 0))
    assert (again.state, again.sequence, again.told, again.best) == (life.state, life.sequence, life.told, life.best)


@pytest.mark.parametrize("records", [1, 3, 7, 11])
async def test_evidence_under_way_is_gathered_after_a_death(tmp_path: Path, records: int) -> None:
    with pytest.raises(Killed):
        await lived(ToyWorld(tmp_path, delays=np.random.default_rng(3), records_before_death=records))
    life = await lived(ToyWorld(tmp_path), relive(SOIL, history_of(tmp_path, 0)))
    assert all(one.evaluation.count == 6 and one.practice.count == 1 for one in life.state.living)
    assert tuple(read_individuals(tmp_path)) == life.state.living


async def test_a_cap_on_births_leaves_evidence_alone(tmp_path: Path) -> None:
    capped, world = replace(SOIL, births=len(SEEDS)), ToyWorld(tmp_path, delays=np.random.default_rng(3))
    life = await asyncio.wait_for(live(capped, begin(capped), world), 20)
    assert all(one.evaluation.count == 6 for one in life.state.living)
    fewer = replace(SOIL, births=2)
    short = await asyncio.wait_for(live(fewer, begin(fewer), world), 20)
    assert short.asked == len(short.state.living) == 2
    world.journal.close()


async def test_evidence_brings_no_migration(tmp_path: Path) -> None:
    times: list[int] = []

    class Asking(ToyWorld):
        async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
            times.append(told)
            return ()

    await lived(Asking(tmp_path, delays=np.random.default_rng(3)))
    assert times == list(range(1, len(SEEDS) + 1))


async def test_test_rows_are_sealed(tmp_path: Path) -> None:
    soil: Ground[Any] = replace(SOIL, method=Bandit(batches=((0, 11),)))
    world = ToyWorld(tmp_path)
    with pytest.raises(ValueError, match=r"got \[11\]; test rows are sealed"):
        await asyncio.wait_for(live(soil, begin(soil), world), 20)
    world.journal.close()
