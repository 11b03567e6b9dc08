"""What the tests of ProTeGi share: tasks, a driver that goes stage by stage, and what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from breeding import TRAIN, failed

from evo.model import Brief, Evaluation, Example, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng
from operators.protegi import ProTeGi
from operators.seeds import Seed
from operators.textual_gradients import CRITIQUE, TextualGradient

Step = Proposal | Evidence
Score = Callable[[str, int], float | None]
DEV = tuple(Example(number, {"input": f"dev text {number}"}, "good") for number in range(100, 160))
DEV_NUMBERS = {row.number for row in DEV}
TRAIN_NUMBERS = {row.number for row in TRAIN}


def quality(text: str, row: int) -> float | None:
    """Return 1 on as many of the rows as the text is good: a text ends with how good it is, in twentieths."""
    return float((row * 7) % 20 < int(text.split()[-1]))


def seeds(*good: int, **more: Any) -> Brief:
    return Brief(
        "Sort texts.",
        tuple(Prompt.of(f"Seed {place} {twentieths}") for place, twentieths in enumerate(good)),
        **{"train": TRAIN, "dev": DEV, **more},
    )


@dataclass
class Played:
    """What a method asked for, stage by stage, and the individuals as they were told last."""

    state: Any
    stages: list[list[tuple[int, Step]]] = field(default_factory=list)
    known: dict[int, Individual] = field(default_factory=dict)

    def stage(self, kind: Any) -> list[tuple[int, Any]]:
        """Return numbers and steps of the first stage with a birth by this operator, or with evidence."""
        return next(stage for stage in self.stages if made_by(stage[-1][1], kind))

    def of(self, kind: Any) -> list[tuple[int, Any]]:
        """Return numbers and steps of all births by this operator, or all requests for evidence."""
        return [(number, step) for stage in self.stages for number, step in stage if made_by(step, kind)]


def made_by(step: Step, kind: Any) -> bool:
    return isinstance(step if kind is Evidence else getattr(step, "operator", None), kind)


def better(number: int, step: Proposal) -> Prompt | None:
    """Return a child that is a little better than its parent, of another text than all others."""
    if isinstance(step.operator, Seed):
        return step.operator.prompt
    if isinstance(step.operator, TextualGradient):
        return Prompt.of({CRITIQUE: f"Reason {number}."})
    base = step.parents[0].prompt
    grade = min(20, int(base.text.split()[-1]) + number % 3)
    return base.with_text(f"Child {number} {grade}")


def tried(one: Individual, rows: tuple[int, ...], score: Score) -> Individual:
    outcomes = [Outcome(row, score(one.prompt.text, row), f"answer {row}") for row in rows]
    train = Evaluation.of(o for o in outcomes if o.example in TRAIN_NUMBERS)
    return one.with_evidence(Evaluation.of(o for o in outcomes if o.example not in TRAIN_NUMBERS), train)


def play(
    method: ProTeGi,
    task: Brief,
    *,
    write: Callable[[int, Proposal], Prompt | None] = better,
    score: Score = quality,
    stages: int = 1000,
    seed: int = 7,
    played: Played | None = None,
) -> Played:
    """Let a method run, at most for so many more stages; each is asked for as a whole and then told."""
    played = played or Played(method.start(task))
    for _ in range(stages):
        asked = ask(method, played, seed)
        if not asked:
            break
        played.stages.append(asked)
        for number, step in asked:
            one = ended(number, step, write, score)
            played.known[one.number] = one
            played.state = method.tell(played.state, one)
    return played


def ask(method: ProTeGi, played: Played, seed: int = 7) -> list[tuple[int, Step]]:
    """Return numbers and steps of all the method asks for before it waits."""
    number = 1 + max((number for stage in played.stages for number, _ in stage), default=-1)
    asked: list[tuple[int, Step]] = []
    while True:
        step, played.state = method.ask(played.state, number, child_rng(seed, "ask", number))
        if step is None:
            return asked
        asked.append((number, step))
        number += 1


def ended(number: int, step: Step, write: Any, score: Score) -> Individual:
    if isinstance(step, Evidence):
        return tried(step.individual, step.examples, score)
    prompt = write(number, step)
    if prompt is None:
        return failed(number)
    born = Individual(number, prompt, step.operator.name, step.edges, step.generation)
    return tried(born, step.examples or (), score)


def selection(played: Played) -> list[tuple[int, Any]]:
    """Return numbers and steps of the evidence on dev rows asked for after the last birth."""
    last = max(place for place, stage in enumerate(played.stages) if isinstance(stage[-1][1], Proposal))
    evidence: list[tuple[int, Any]] = [step for stage in played.stages[last + 1 :] for step in stage]
    return [(number, step) for number, step in evidence if not TRAIN_NUMBERS.issuperset(step.examples)]


def competitors(played: Played) -> set[int]:
    return {step.individual.number for _, step in selection(played)}


def root(played: Played, number: int) -> int:
    """Return the seed an individual goes back to."""
    while played.known[number].parents:
        number = played.known[number].parents[0][0]
    return number
