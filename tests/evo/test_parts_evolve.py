"""Births that work on one part of a prompt, and births that are no prompt for the task."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from toys import Start, Toy, ToyTask, ToyWorld, Tweak, ground

from evo.journal import read_table
from evo.life import begin
from evo.loop import live
from evo.model import Brief, Prompt
from evo.ports import Proposal
from evo.replay import read_individuals

SEED = Prompt.of({"system": "s", "instruction": "i"})
BOTH = Brief("toy", (SEED,), evolve=("instruction", "system"))


@dataclass(frozen=True)
class Once:
    """Asks for the seed, then for ``births`` children of it, all of one kind."""

    when: ClassVar[str] = "never"
    cost: ClassVar[str] = "nothing"
    racing: ClassVar[str] = "halves"
    in_flight: int | None = 4
    births: int = 40
    part: str | None = None
    examples: tuple[int, ...] | None = None

    def start(self, brief: Brief) -> Toy:
        return Toy()

    def ask(self, state, number, rng):
        if state.asked > self.births or (state.asked and not state.living):
            return None, state
        asked = replace(state, asked=state.asked + 1)
        if not state.asked:
            return Proposal(Start(SEED)), asked
        return Proposal(Tweak(0.0), (state.living[0],), ("base",), self.examples, self.part), asked

    def tell(self, state, individual):
        return state if state.living else replace(state, living=(individual,))

    def living(self, state):
        return state.living

    def finished(self, state):
        return False


async def born(tmp_path, method: Once) -> list:
    world = ToyWorld(tmp_path)
    await live(replace(ground(method), task=ToyTask(BOTH)), begin(ground(method)), world)
    world.journal.close()
    return list(read_individuals(tmp_path))


async def test_an_operator_works_on_one_part_drawn_for_each_birth_and_recorded(tmp_path):
    children = [one for one in await born(tmp_path, Once()) if one.parents]
    changed = [[name for name, text in one.prompt.parts if text != SEED.part(name)] for one in children]
    assert all(len(parts) == 1 for parts in changed)
    counts = Counter(parts[0] for parts in changed)
    assert min(counts["system"], counts["instruction"]) >= 10
    events = read_table(tmp_path, "events").to_pylist()
    recorded = {e["individual"]: json.loads(e["detail"]).get("part") for e in events if e["kind"] == "asked"}
    assert [recorded[one.number] or "instruction" for one in children] == [parts[0] for parts in changed]


async def test_a_method_may_name_the_part(tmp_path):
    children = [one for one in await born(tmp_path, Once(part="system")) if one.parents]
    assert {one.prompt.text for one in children} == {"i"}
    assert len({one.prompt.part("system") for one in children}) == len(children)


@pytest.mark.parametrize("part", ["instruction", "_critique"])
@pytest.mark.parametrize("examples", [None, ()])
async def test_only_a_birth_without_a_score_and_without_a_part_to_show_may_be_no_prompt(tmp_path, examples, part):
    refused = Prompt.of({part: "{"})
    world = ToyWorld(tmp_path)

    @dataclass(frozen=True)
    class Brace(Once):
        def ask(self, state, number, rng):
            step, state = Once.ask(self, state, number, rng)
            if step is not None and step.parents:
                step = replace(step, operator=Start(refused))
            return step, state

    method = Brace(births=3, examples=examples)
    await live(replace(ground(method), task=ToyTask(BOTH)), begin(ground(method)), world)
    world.journal.close()
    children = [one for one in read_individuals(tmp_path) if one.parents]
    unchecked = examples == () and part == "_critique"
    assert [one.status for one in children] == ["ok" if unchecked else "failed"] * 3
    assert all(one.evaluation.count == 0 for one in children)
