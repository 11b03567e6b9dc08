"""Racing that asks for evidence on the living: before the method, told, logged, relived, and never without end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_evidence import Bandit, TaskWithTrain
from toys import SEEDS, Killed, ToyGenerational, ToySteady, ToyWorld, ground

from evo.history import history_of
from evo.journal import read_table
from evo.life import Life, begin, relive
from evo.loop import live
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence
from evo.replay import individuals_now, read_individuals
from evo.rivals import RACED, Rivals, Tally, mean_on, paired, untried, with_raced


@dataclass(frozen=True)
class Doubling:
    """Scores newborns on two rows, and one drawn member on two more before every birth; remembers what it was told."""

    endless: bool = False
    rivals: list[Rivals] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

    def next(
        self, newborn: Individual, rivals: Rivals, order: Sequence[int], rng: np.random.Generator
    ) -> tuple[int, ...]:
        self.rivals.append(rivals)
        return untried(newborn, order[:2])

    def more(
        self, living: Sequence[Individual], tally: Tally, order: Sequence[int], rng: np.random.Generator
    ) -> Evidence | None:
        self.tallies.append(tally)
        free = [one for one in living if one.number not in tally.busy and (self.endless or untried(one, order))]
        if not free or (tally.added >= tally.admitted and not self.endless):
            return None
        chosen = free[int(rng.integers(len(free)))]
        return Evidence(chosen, tuple(order) if self.endless else untried(chosen, order)[:2])

    def size(self, dev: int) -> int:
        return 2


def soil(method: Any = None, births: int | None = 30, racing: Any = None) -> Any:
    return ground(method or ToySteady(), births=births, racing=racing or Doubling())


async def lived(path: Path, soil: Any, life: Life[Any] | None = None, **world: Any) -> Life[Any]:
    around = ToyWorld(path, delays=np.random.default_rng(3), **world)
    try:
        return await asyncio.wait_for(live(soil, life or begin(soil), around), 20)
    finally:
        around.journal.close()


def asked(path: Path) -> list[dict[str, Any]]:
    """Return the detail of each request for evidence, with its number."""
    rows = [row for row in read_table(path, "events").to_pylist() if row["kind"] == "asked"]
    details = [{"number": row["individual"], **json.loads(row["detail"])} for row in rows]
    return [detail for detail in details if "examples" in detail]


@pytest.mark.parametrize("method", [ToySteady(), ToyGenerational()], ids=lambda method: type(method).__name__)
async def test_the_living_are_scored_on_what_racing_asks_for(tmp_path: Path, method: Any) -> None:
    life = await lived(tmp_path, soil(method))
    assert life.told == life.asked == 30
    requests = asked(tmp_path)
    assert len(requests) > 5
    assert life.added == sum(len(one["examples"]) for one in requests)
    steps = {row["step"] for row in read_table(tmp_path, "measurements").to_pylist()}
    assert steps == {one["number"] for one in requests}
    logged = {one.number: one for one in read_individuals(tmp_path)}
    assert all(member == logged[member.number] for member in life.state.living)
    assert max(member.evaluation.count for member in life.state.living) > 2
    assert {*life.grown} <= {member.number for member in life.state.living}, "who is gone is not remembered for ever"
    table = {row["id"]: row for row in individuals_now(tmp_path).to_pylist()}
    assert all(table[one.number]["n_scored"] == one.evaluation.count for one in life.state.living)


@pytest.mark.parametrize("method", [ToySteady(), ToyGenerational()], ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("records", [4, 9, 20, 33])
async def test_a_life_with_racing_is_relived_and_goes_on_after_a_death(
    tmp_path: Path, method: Any, records: int
) -> None:
    with pytest.raises(Killed):
        await lived(tmp_path, soil(method), records_before_death=records)
    life = await lived(tmp_path, soil(method), relive(soil(method), history_of(tmp_path, 0)))
    assert life.told == 30
    again = relive(soil(method), history_of(tmp_path, 0))
    for name in ("state", "sequence", "told", "added", "admitted", "generation", "raced", "grown", "best"):
        assert getattr(again, name) == getattr(life, name), name
    rows = read_table(tmp_path, "evaluations").to_pylist()
    assert len({(row["individual"], row["example"]) for row in rows}) == len(rows)


async def test_a_run_that_goes_on_with_a_higher_cap_is_relived_as_it_was(tmp_path: Path) -> None:
    first = await lived(tmp_path, soil(births=12))
    life = relive(soil(births=30), history_of(tmp_path, 0))
    assert (life.state, life.added) == (first.state, first.added)
    assert (await lived(tmp_path, soil(births=30), life)).told == 30


async def test_racing_that_never_has_enough_ends_when_all_rows_are_tried(tmp_path: Path) -> None:
    life = await lived(tmp_path, soil(racing=Doubling(endless=True)))
    assert life.told == 30
    assert max(member.evaluation.count for member in life.state.living) == 8
    rows = read_table(tmp_path, "evaluations").to_pylist()
    assert len({(row["individual"], row["example"]) for row in rows}) == len(rows)


async def test_when_the_method_has_finished_racing_is_not_asked(tmp_path: Path) -> None:
    racing = Doubling(endless=True)
    method = ToyGenerational(generations=0)
    await lived(tmp_path, soil(method, None, racing))
    assert {tally.admitted for tally in racing.tallies} <= {2 * told for told in range(len(SEEDS))}
    assert asked(tmp_path) == []


async def test_the_tally_counts_what_was_told_and_what_was_asked(tmp_path: Path) -> None:
    racing = Doubling()
    life = await lived(tmp_path, soil(racing=racing))
    born = [one for one in read_individuals(tmp_path) if one.ok]
    assert life.admitted == 2 * len(born)
    assert life.generation >= max(one.generation for one in born)
    for before, after in zip(racing.tallies, racing.tallies[1:], strict=False):
        assert (before.admitted, before.added, before.generation) <= (after.admitted, after.added, after.generation)
        assert after.added <= after.admitted + 2
    assert any(tally.busy for tally in racing.tallies)


async def test_a_newborn_meets_its_parents_and_those_raced_before(tmp_path: Path) -> None:
    racing = Doubling()
    await lived(tmp_path, soil(racing=racing))
    assert racing.rivals[0] == Rivals()
    last = racing.rivals[-1]
    assert len(last.parents) == 1
    assert len(last.living) == 4
    assert {one.number for one in last.raced} > {one.number for one in last.living}
    assert any(rivals.parents[0].evaluation.count > 2 for rivals in racing.rivals if rivals.parents)


async def test_what_racing_has_found_the_method_does_not_ask_for_again(tmp_path: Path) -> None:
    both = replace(soil(Bandit(batches=((0, 1), (2, 3))), None, Doubling(endless=True)), task=TaskWithTrain())
    life = await lived(tmp_path, both)
    assert all(one.evaluation.count >= 4 for one in life.state.living)
    assert both.method.finished(life.state)
    rows = read_table(tmp_path, "evaluations").to_pylist()
    assert len({(row["individual"], row["example"]) for row in rows}) == len(rows)
    assert relive(both, history_of(tmp_path, 0)).state == life.state


def scored(number: int, **scores: float | None) -> Individual:
    outcomes = [Outcome(int(row[1:]), score, reply="long") for row, score in scores.items()]
    return Individual(number, Prompt.of("p"), "seed", evaluation=Evaluation.of(outcomes))


def test_those_raced_are_remembered_without_their_replies_and_not_for_ever() -> None:
    raced: tuple[Individual, ...] = ()
    for number in range(RACED + 5):
        raced = with_raced(raced, scored(number, _1=1.0))
    assert [one.number for one in raced] == list(range(5, RACED + 5))
    assert raced[0].evaluation.outcomes == (Outcome(1, 1.0),)
    assert with_raced(raced, scored(999)) == raced


def test_rows_without_a_score_are_tried_and_are_left_out_of_comparisons() -> None:
    one, other = scored(1, _1=1.0, _2=None, _3=0.5), scored(2, _1=0.25, _2=1.0, _4=1.0)
    assert untried(one, (4, 3, 2, 1, 0)) == (4, 0)
    assert paired(one, other) == [0.75]
    assert mean_on(one, (1, 2, 3)) == 0.75
    assert mean_on(one, (2, 7)) is None
