"""Two tiny methods, one generational and one steady-state, and a world around an island that logs to a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.journal import Journal
from evo.life import Ground
from evo.model import Brief, Evaluation, Example, Individual, Outcome, Prompt, by_fitness, digest
from evo.ports import Llm, Proposal
from evo.schema import prompt_row
from evo.status import IslandStatus

SEEDS = tuple(Prompt.of(f"seed {letter}") for letter in "abcdef")
BRIEF = Brief("toy", SEEDS)


@dataclass(frozen=True)
class ToyTask:
    """Eight dev rows; a prompt with a brace is refused."""

    brief: Brief = BRIEF
    fingerprint: str = "toy"
    notes: tuple[str, ...] = ()

    def examples(self, split: str) -> Sequence[int]:
        return range(8) if split == "dev" else ()

    def example(self, number: int) -> Example:
        return Example(number, {"input": f"row {number}"}, "a")

    @property
    def judge_calls(self) -> int:
        return 0

    def calls(self, prompt: Prompt, examples: Sequence[int]) -> Sequence[int]:
        return [1] * len(examples)

    def check(self, prompt: Prompt) -> None:
        if "{" in prompt.text:
            raise OperatorError("a brace is not allowed")


@dataclass(frozen=True)
class Halves:
    """Half the rows first, the others only for those who did well."""

    def next(self, newborn: Individual, rivals, order: Sequence[int], rng) -> tuple[int, ...]:
        done = len(newborn.evaluation.outcomes)
        if done == 0:
            return tuple(order[:4])
        return tuple(order[4:]) if done == 4 and newborn.fitness > 0.4 else ()

    def more(self, living, tally, order: Sequence[int], rng) -> None:
        return None

    def size(self, dev: int) -> int:
        return dev


@dataclass(frozen=True)
class Start:
    """Give the seed."""

    name: ClassVar[str] = "seed"
    prompt: Prompt

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        return self.prompt


@dataclass(frozen=True)
class Tweak:
    """Add a drawn word; in a third of its tries give no prompt."""

    name: ClassVar[str] = "tweak"
    failing: float = 0.35

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        luck, word = rng.random(), int(rng.integers(10_000))
        if luck < self.failing:
            raise OperatorError(f"no prompt with luck {luck:.3f}")
        return parents[0].prompt.with_text(f"{parents[0].prompt.text[-40:]} {word}")


@dataclass(frozen=True)
class Toy:
    """What both methods know: who lives, who is on the way, who was seen."""

    living: tuple[Individual, ...] = ()
    waiting: tuple[Individual, ...] = ()
    pending: frozenset[int] = frozenset()
    seen: frozenset[int] = frozenset()
    asked: int = 0
    generation: int = 0


def best(individuals: Sequence[Individual], size: int) -> tuple[Individual, ...]:
    return tuple(sorted((i for i in individuals if i.ok), key=by_fitness)[:size])


def informed(state: Toy, known: Individual) -> Toy:
    def renewed(some: tuple[Individual, ...]) -> tuple[Individual, ...]:
        return tuple(one.with_evidence_of(known) if one.number == known.number else one for one in some)

    return replace(state, living=renewed(state.living), waiting=renewed(state.waiting))


@dataclass(frozen=True)
class ToyGenerational:
    """Breeds ``size`` children from the living, waits for them all, keeps the best."""

    when: ClassVar[str] = "never"
    cost: ClassVar[str] = "nothing"
    racing: ClassVar[str] = "halves"
    size: int = 6
    generations: int = 4
    in_flight: int | None = None

    def start(self, brief: Brief) -> Toy:
        return Toy()

    def ask(self, state: Toy, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Toy]:
        if state.asked == self.size or self.finished(state):
            return None, state
        operator, parents = Start(SEEDS[state.asked]), ()
        if state.generation:
            pair = rng.choice(len(state.living), size=2)
            operator, parents = Tweak(), tuple(state.living[int(place)] for place in pair)
        after = replace(state, asked=state.asked + 1, pending=state.pending | {number})
        return Proposal(operator, parents, ("base", "mate")[: len(parents)]), after

    def tell(self, state: Toy, individual: Individual) -> Toy:
        if individual.number in state.seen:
            return informed(state, individual)
        waiting = tuple(sorted((*state.waiting, individual), key=lambda i: i.number))
        pending = state.pending - {individual.number}
        state = replace(state, waiting=waiting, pending=pending, seen=state.seen | {individual.number})
        if pending or state.asked < self.size:
            return state
        living = best((*state.living, *waiting), self.size)
        return replace(state, living=living, waiting=(), asked=0, generation=state.generation + 1)

    def living(self, state: Toy) -> Sequence[Individual]:
        return state.living

    def finished(self, state: Toy) -> bool:
        return state.generation > self.generations


@dataclass(frozen=True)
class ToySteady:
    """Breeds from whoever lives now; keeps the best four."""

    when: ClassVar[str] = "never"
    cost: ClassVar[str] = "nothing"
    racing: ClassVar[str] = "halves"
    in_flight: int | None = 3
    operator: Any = Tweak()

    def start(self, brief: Brief) -> Toy:
        return Toy()

    def ask(self, state: Toy, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Toy]:
        if state.asked >= len(SEEDS) and not state.living:
            return None, state
        operator, parents = Start(SEEDS[state.asked % len(SEEDS)]), ()
        if state.asked >= len(SEEDS):
            operator, parents = self.operator, (state.living[int(rng.integers(len(state.living)))],)
        after = replace(state, asked=state.asked + 1, pending=state.pending | {number})
        return Proposal(operator, parents, ("base",) * len(parents)), after

    def tell(self, state: Toy, individual: Individual) -> Toy:
        if individual.number in state.seen:
            return informed(state, individual)
        living = best((*state.living, individual), 4)
        return replace(
            state, living=living, pending=state.pending - {individual.number}, seen=state.seen | {individual.number}
        )

    def living(self, state: Toy) -> Sequence[Individual]:
        return state.living

    def finished(self, state: Toy) -> bool:
        return False


def ground(
    method: Any, *, island: int = 0, births: int | None = None, seed: int = 5, racing: Any = None
) -> Ground[Toy]:
    return Ground(island, seed, method, racing or Halves(), ToyTask(), births)


def score(prompt: Prompt, example: int) -> float:
    return float(int(digest([prompt.parts, example])[:4], 16) % 3 > 0)


class Killed(BaseException):
    """The process dies here."""


@dataclass
class ToyWorld:
    """A world whose log is a folder; ``trouble(individual, call)`` may raise in place of an evaluation."""

    path: Path
    delays: np.random.Generator | None = None
    trouble: Callable[[int, int], None] = lambda individual, call: None
    offers: Mapping[int, Sequence[Individual]] = field(default_factory=dict)
    records_before_death: int | None = None
    model: Any = None
    evaluated: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    statuses: list[IslandStatus] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.journal = Journal(self.path)
        # who is offered has been written by its own island
        self.journal.append({"prompts": [prompt_row(one.prompt) for some in self.offers.values() for one in some]})

    def llm(self, individual: int) -> Any:
        return self.model

    async def evaluate(self, individual: int, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        self.evaluated.append((individual, tuple(examples)))
        self.texts[individual] = prompt.text
        call = len(self.evaluated)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(self.delays.random() / 300 if self.delays is not None else 0)
        self._now -= 1
        self.trouble(individual, call)
        return Evaluation.of(
            Outcome(example, score(prompt, example), call=f"{individual}-{example}") for example in examples
        )

    async def record(self, rows: Mapping[str, Sequence[Mapping[str, Any]]], status: IslandStatus) -> bool:
        if self.records_before_death is not None:
            if not self.records_before_death:
                raise Killed
            self.records_before_death -= 1
        await asyncio.sleep(0)
        self.journal.append(rows)
        self.statuses.append(status)
        return True

    async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
        return self.offers.get(told, ())
