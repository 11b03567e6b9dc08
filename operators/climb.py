"""Where a GrIPS search stands: its lines of descent, what each has lost, and the iteration under way.

A line is an instruction with the phrases deleted on the way to it (the paper's delete tracker). The plain search has
one line, a beam several. Nothing here depends on the order in which the births of an iteration are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evo.model import Brief, Evaluation, Individual, Prompt
from operators.brood import Brood
from operators.members import renewed
from operators.phrase_edits import draw
from operators.phrase_script import wordy
from operators.phrases import Level, free, split
from operators.pool import lacking
from operators.told import Told

MOST_DELETED = 50
"""Most phrases a line remembers, the latest; equal scores can be accepted without end in annealing."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A phrase, the part of the prompt it was in, and the individual it was deleted from, kept without its evidence."""

    phrase: str
    part: str
    source: Individual


@dataclass(frozen=True, slots=True)
class Line:
    """A base of the search, and the phrases deleted on the way to it that can be put back."""

    member: Individual
    deleted: tuple[Deleted, ...] = ()

    def informed(self, known: Individual) -> Line:
        """Return the line with more evidence of its member."""
        return replace(self, member=renewed([self.member], known)[0])


@dataclass(frozen=True, slots=True)
class Step:
    """One edit of a candidate; ``lost`` is what it deletes, or what it puts back."""

    operation: str
    lost: Deleted | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A birth under way: the line it starts from, and its edits."""

    number: int
    line: Line
    steps: tuple[Step, ...]

    def informed(self, known: Individual) -> Candidate:
        """Return the candidate with more evidence of what it starts from."""
        return replace(self, line=self.line.informed(known))

    def descendant(self, member: Individual) -> Line:
        """Return the line that goes on with the newborn: what it deleted is remembered, what came back is not."""
        deleted = list(self.line.deleted)
        for step in self.steps:
            if step.operation == "add" and step.lost in deleted:
                deleted.remove(step.lost)
        gone = [step.lost for step in self.steps if step.operation == "delete" and step.lost]
        return Line(member, (*deleted, *gone)[-MOST_DELETED:])


@dataclass(frozen=True, slots=True)
class Climb:
    """State of `Grips`."""

    brief: Brief
    seeds: tuple[Prompt, ...]
    first: Brood
    """The seeds' births."""
    ranking: tuple[Individual, ...] = ()
    """Seeds in the order in which a search starts from them."""
    starts: int = 0
    """How many searches were started."""
    rows: tuple[int, ...] = ()
    """The score set: dev rows the seeds were scored on."""
    lines: tuple[Line, ...] = ()
    """The base, or the beam, best first."""
    best: Individual | None = None
    """The best so far; annealing and new starts leave it behind."""
    brood: Brood = field(default_factory=lambda: Brood(0))
    """Candidates of the iteration under way; closed between iterations."""
    candidates: tuple[Candidate, ...] = ()
    """What is under way, in the order of asking."""
    luck: float = 1.0
    """Drawn in (0, 1] with the iteration's first candidate: whether annealing accepts a worse one."""
    iteration: int = 0
    """Iterations completed, all starts together."""
    age: int = 0
    """Iterations completed since the last start."""
    failures: int = 0
    """Iterations since the last success in which a candidate got a score."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals by number; they wait for the end of the iteration, and for scores on the rows they lack."""
    sent: frozenset[int] = frozenset()
    """Immigrants that are being scored."""
    seen: Told = field(default_factory=Told)
    """Numbers told so far."""

    @property
    def resting(self) -> bool:
        """Whether seeds are told and no candidate is under way."""
        return self.first.closed and self.brood.closed

    @property
    def members(self) -> tuple[Individual, ...]:
        """The base or the beam, and the best so far where that is another."""
        members = tuple(line.member for line in self.lines)
        known = {member.number for member in members}
        return members if self.best is None or self.best.number in known else (self.best, *members)

    def incomplete(self) -> tuple[Individual, ...]:
        """Return the immigrants that were not tried on the whole score set."""
        return tuple(one for one in self.immigrants if lacking(one, self.rows))

    def informed(self, known: Individual) -> Climb:
        """Return the state with more evidence of someone it knows."""
        return replace(
            self,
            first=self.first.informed(known),
            ranking=renewed(self.ranking, known),
            lines=tuple(line.informed(known) for line in self.lines),
            best=None if self.best is None else renewed([self.best], known)[0],
            brood=self.brood.informed(known),
            candidates=tuple(candidate.informed(known) for candidate in self.candidates),
            immigrants=renewed(self.immigrants, known),
        )


def drawn_steps(line: Line, part: str, level: Level, count: int, rng: np.random.Generator) -> tuple[Step, ...]:
    """Return ``count`` edits of one part, operations drawn uniformly among those that apply to the line's prompt.

    A delete leaves a phrase; an add needs a phrase deleted earlier from this part. What one candidate deletes and puts
    back are different phrases each time.
    """
    phrases = split(line.member.prompt.focused(part).text, level)
    texts = [phrases[place].text for place in wordy(phrases)]
    source = replace(line.member, evaluation=Evaluation(), practice=Evaluation())
    goes = [Deleted(texts[int(place)], part, source) for place in rng.permutation(len(texts))]
    goes = goes[: max(0, len(free(phrases)) - 1)]
    back = [lost for lost in line.deleted if lost.part == part]
    steps: list[Step] = []
    for _ in range(count):
        able = {"delete": bool(goes), "swap": len(set(texts)) > 1, "substitute": True, "add": bool(back)}
        operation = draw([name for name, applies in able.items() if applies], rng) or "substitute"
        lost = goes.pop() if operation == "delete" else None
        if operation == "add":
            lost = back.pop(int(rng.integers(len(back))))
        steps.append(Step(operation, lost))
    return tuple(steps)


def drawn_part(brief: Brief, prompt: Prompt, rng: np.random.Generator) -> str:
    """Return one of the parts that evolve; of a stranger's prompt one it has."""
    parts: Sequence[str] = [name for name in brief.evolve if name in dict(prompt.parts)] or brief.evolve
    return parts[int(rng.integers(len(parts)))]
