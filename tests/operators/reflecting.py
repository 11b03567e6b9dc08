"""A small world for the tests of methods that want evidence: it takes a method's steps one by one and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from breeding import DEV, TRAIN, ScriptedLlm, at_once, brief, call, failed

from evo.errors import OperatorError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng
from operators.pareto import ReflectPareto

ALL_DEV, ALL_TRAIN = tuple(row.number for row in DEV), tuple(row.number for row in TRAIN)
Scores = Callable[[Prompt, int], float | None]
ONE = ReflectPareto(in_flight=1)
"""The sequence of the paper."""
PARTS = ("system", "instruction", "stage-2")


def level(prompt: Prompt, row: int) -> float:
    """A prompt that says 'k' scores k tenths on every row."""
    digits = "".join(letter for letter in "".join(text for _, text in prompt.parts) if letter.isdigit())
    return int(digits or "0") / 10


def changes(prompt: Prompt, row: int) -> float:
    """A prompt scores a tenth for each of its parts that holds a 1."""
    return sum("1" in text for _, text in prompt.parts) / 10


@dataclass
class World:
    """Takes a method's steps one by one: breeds with a scripted model, scores by a function, counts what it costs."""

    method: Any
    state: Any
    scores: Scores = level
    replies: list[str] = field(default_factory=list)
    """What the model writes, in turn; then ``otherwise``."""
    otherwise: str = "worse 0"
    llm: ScriptedLlm = field(init=False)
    number: int = 0
    rows: int = 0
    pending: dict[int, Proposal | Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.llm = ScriptedLlm(
            lambda request: f"<prompt>{self.replies.pop(0) if self.replies else self.otherwise}</prompt>"
        )

    def ask(self) -> Proposal | Evidence | None:
        step: Proposal | Evidence | None
        step, state = self.method.ask(self.state, self.number, child_rng(1, "ask", self.number))
        if step is not None:
            self.state, self.pending[self.number] = state, step
            self.number += 1
        return step

    def end(self, number: int) -> Individual:
        """Carry a step out and tell how it ended."""
        step = self.pending.pop(number)
        told = self.born(number, step) if isinstance(step, Proposal) else self.scored(step.individual, step.examples)
        self.state = self.method.tell(self.state, told)
        return told

    def born(self, number: int, step: Proposal) -> Individual:
        part = step.part or "instruction"
        parents = tuple(replace(parent, prompt=parent.prompt.focused(part)) for parent in step.parents)
        try:
            prompt = at_once(call(replace(step, parents=parents), self.llm, np.random.default_rng(number)))
        except OperatorError:
            return failed(number)
        child = Individual(number, prompt.focused("instruction"), step.operator.name, step.edges, step.generation)
        return self.scored(child, ALL_DEV if step.examples is None else step.examples)

    def scored(self, one: Individual, rows: tuple[int, ...]) -> Individual:
        self.rows += len(rows)
        found = {row: self.scores(one.prompt, row) for row in rows}
        outcomes = [Outcome(row, score, answer=f"answer {row}") for row, score in found.items()]
        dev, train = ([o for o in outcomes if (o.example in ALL_DEV) is is_dev] for is_dev in (True, False))
        return one.with_evidence(Evaluation.of(dev), Evaluation.of(train))

    def step(self) -> Any:
        """Take one step and return it."""
        step = self.ask()
        assert step is not None
        self.end(self.number - 1)
        return step

    def steps(self, count: int) -> list[Any]:
        return [self.step() for _ in range(count)]

    @property
    def members(self) -> list[str]:
        return [one.prompt.text for one in self.state.members]


def world(method: ReflectPareto = ONE, seeds: tuple[str, ...] = ("seed 5",), **more: Any) -> World:
    """Return a world in which the seeds have been scored."""
    task = replace(brief(0), seeds=tuple(map(Prompt.of, seeds)), **more.pop("task", {}))
    made = World(method, method.start(task), **more)
    made.steps(len(seeds))
    return made


def in_parts(method: ReflectPareto = ONE, **more: Any) -> World:
    """Return a world with a seed of three parts."""
    seed = Prompt.of({name: f"the {name}" for name in PARTS})
    state = method.start(replace(brief(0), seeds=(seed,), evolve=PARTS))
    made = World(method, state, **{"scores": changes, **more})
    made.step()
    return made
