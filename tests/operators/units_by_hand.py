"""What the tests of Promptbreeder share: a watched method, units by hand, and births with the rows asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breeding import TRAIN, ScriptedLlm, at_once, call

from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng
from operators.genes import MUTATION, TEMPERATURE
from operators.promptbreeder import Promptbreeder

Reply = Callable[[Any], str]
TRAIN_ROWS = tuple(row.number for row in TRAIN)


def written(request: Any) -> str:
    """Return a reply with a prompt that no request has had before."""
    return f"<prompt>Prompt {request.seed}.</prompt>"


def scored(individual: Individual, rows: Sequence[int], score: float, train: Sequence[int] = TRAIN_ROWS) -> Individual:
    """Return an individual with outcomes on dev and train rows; every reply is its own."""
    outcomes = [Outcome(row, score, answer=f"answer {row}", reply=f"{individual.number} on {row}") for row in rows]
    dev = Evaluation.of(o for o in outcomes if o.example not in train)
    return individual.with_evidence(dev, Evaluation.of(o for o in outcomes if o.example in train))


def unit(number: int, text: str, score: float, **more: Any) -> Individual:
    """Return a unit from another island: with a mutation-prompt, a temperature and a score on dev row 0."""
    parts = {"instruction": text, MUTATION: f"Mutation of {number}.", TEMPERATURE: "1.2500", **more}
    return scored(Individual(number, Prompt.of(parts), "migration"), [0], score)


@dataclass
class World:
    """Runs a method step by step and remembers every step, what came of it, and every state."""

    method: Promptbreeder
    state: Any
    reply: Reply = written
    quality: Callable[[Individual], float] = lambda one: (one.number * 37 % 101) / 101
    fails: Callable[[int, Proposal], bool] = lambda number, proposal: False
    steps: dict[int, Proposal | Evidence] = field(default_factory=dict)
    born: dict[int, Individual] = field(default_factory=dict)
    llm: ScriptedLlm = field(init=False)
    states: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.llm = ScriptedLlm(self.reply)

    def ask(self) -> int | None:
        """Ask for the next step and return its number; None when the method waits or has finished."""
        number = len(self.steps)
        step, state = self.method.ask(self.state, number, child_rng(5, "ask", number))
        if step is None:
            return None
        self.state, self.steps[number] = state, step
        self.states.append(state)
        return number

    def tell(self, number: int) -> Individual:
        """Carry a step out, tell the method, and return what it was told."""
        step = self.steps[number]
        if isinstance(step, Evidence):
            told = scored(step.individual, step.examples, self.quality(step.individual))
        elif self.fails(number, step):
            told = Individual(number, Prompt(()), step.operator.name, step.edges, status="failed")
        else:
            prompt = at_once(call(step, self.llm, child_rng(5, "operator", number)))
            newborn = Individual(number, prompt, step.operator.name, step.edges, step.generation)
            told = scored(newborn, step.examples or (), self.quality(newborn))
        if not isinstance(step, Evidence):
            self.born[number] = told
        self.state = self.method.tell(self.state, told)
        self.states.append(self.state)
        return told

    def run(self, most: int = 10_000) -> World:
        """Take step after step until the method has finished, or ``most`` steps are taken."""
        while len(self.steps) < most and (number := self.ask()) is not None:
            self.tell(number)
        return self

    def stage(self) -> list[int]:
        """Ask for everything the method asks for before it waits."""
        numbers = []
        while (number := self.ask()) is not None:
            numbers.append(number)
        return numbers

    @property
    def births(self) -> Mapping[int, Proposal]:
        """Births asked for, by number."""
        return {number: step for number, step in self.steps.items() if isinstance(step, Proposal)}

    @property
    def copies(self) -> Mapping[int, Proposal]:
        """Copies of winners asked for, by number."""
        return {number: step for number, step in self.births.items() if "base" in step.roles and step.examples}


def world(method: Promptbreeder, brief: Any, **more: Any) -> World:
    """Return a world before the first step."""
    return World(method, method.start(brief), **more)
