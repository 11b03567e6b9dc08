"""The frozen data every floor speaks: prompts, examples, model calls, evaluations, individuals.

Nothing here has behaviour beyond reading itself. Scores lie in [0, 1], higher is better; a missing score is
``None`` (an infrastructure failure), never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from evo.calls import Completion, Request, Score, digest
from evo.prompt import EXAMPLES, INSTRUCTION, NO_PROMPT, STAGES, SYSTEM, Demo, Prompt, demos_of, with_demos

__all__ = [
    "DROPPED",
    "EXAMPLES",
    "FAILED",
    "INSTRUCTION",
    "MIGRATION",
    "NO_PROMPT",
    "OK",
    "STAGES",
    "SYSTEM",
    "Brief",
    "Budget",
    "Completion",
    "Demo",
    "Evaluation",
    "Example",
    "Individual",
    "Outcome",
    "Prompt",
    "Request",
    "Score",
    "best_of",
    "by_fitness",
    "demos_of",
    "digest",
    "individual_number",
    "island_of",
    "sequence_of",
    "total_cost",
    "with_demos",
]

ISLAND_BITS = 40


def individual_number(island: int, sequence: int) -> int:
    """Return the global number of the ``sequence``-th individual of an island: ``island << 40 | sequence``."""
    return island << ISLAND_BITS | sequence


def sequence_of(number: int) -> int:
    """Return the place of an individual within its island, counted from 0."""
    return number & ((1 << ISLAND_BITS) - 1)


def island_of(number: int) -> int:
    """Return the island an individual was born on."""
    return number >> ISLAND_BITS


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the task's data."""

    number: int
    inputs: Mapping[str, str]
    target: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One prompt on one example: a score, or the error that kept it from having one."""

    example: int
    score: float | None
    answer: str = ""
    reason: str = ""
    parsed: bool = True
    error: str = ""
    tokens: int = 0
    cost_usd: float | None = None
    latency_s: float = 0.0
    call: str = ""
    """Key of the request whose reply was scored."""
    reply: str = ""
    """What the model wrote, all stages, shortened in the middle; empty where it is no more than the answer."""
    spread: float | None = None
    """Standard deviation of the score from one repeat to the next; None where the row was asked once."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Outcomes of one prompt, keyed and sorted by example number."""

    outcomes: tuple[Outcome, ...] = ()

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Evaluation:
        """Return an evaluation sorted by example; of two outcomes of one example the later counts."""
        by_example = {outcome.example: outcome for outcome in outcomes}
        return cls(tuple(by_example[number] for number in sorted(by_example)))

    def __repr__(self) -> str:
        return f"Evaluation(mean {self.mean:.3f} of {self.count} scores, {len(self.missing)} missing)"

    def merge(self, other: Evaluation) -> Evaluation:
        """Return both evaluations as one; where they share an example, ``other`` counts."""
        return Evaluation.of((*self.outcomes, *other.outcomes))

    @property
    def scores(self) -> dict[int, float]:
        """Score by example number, missing ones left out."""
        return {o.example: o.score for o in self.outcomes if o.score is not None}

    @cached_property
    def count(self) -> int:
        """Number of examples with a score."""
        return len([o for o in self.outcomes if o.score is not None])

    @cached_property
    def mean(self) -> float:
        """Mean score over the examples that have one; NaN when none has."""
        values = [o.score for o in self.outcomes if o.score is not None]
        return math.fsum(values) / len(values) if values else math.nan

    @property
    def missing(self) -> tuple[Outcome, ...]:
        """Outcomes without a score, for reasons of infrastructure."""
        return tuple(o for o in self.outcomes if o.score is None)

    @property
    def unparsed(self) -> int:
        """Number of replies in which no answer could be read."""
        return sum(not o.parsed for o in self.outcomes)

    @property
    def tokens(self) -> int:
        """Tokens used, prompt and output."""
        return sum(o.tokens for o in self.outcomes)

    @property
    def cost_usd(self) -> float | None:
        """Cost in US dollars; None when the price of any outcome is unknown."""
        return total_cost(o.cost_usd for o in self.outcomes)

    def failures(self, k: int) -> tuple[Outcome, ...]:
        """Return up to ``k`` outcomes that scored below 1, worst first, ties by example number."""
        wrong = [o for o in self.outcomes if o.score is not None and o.score < 1.0]
        return tuple(sorted(wrong, key=lambda o: (o.score, o.example))[:k])


def total_cost(costs: Iterable[float | None]) -> float | None:
    """Return the sum, or None as soon as one price is unknown."""
    total = 0.0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total


OK, FAILED, DROPPED = "ok", "failed", "dropped"
MIGRATION = "migration"
"""The operator of an immigrant: a copy of an individual of another island, with what was found about it there."""


@dataclass(frozen=True, slots=True)
class Individual:
    """A prompt that was born, with its parents, the operator that made it and the evidence so far.

    ``parents`` holds (number, role) pairs, roles such as base, mate, donor1, best, migrant_of. A birth whose
    operator failed is an individual too, with status ``failed``, its reason in ``note`` and no evaluation; one that
    lost its race early has status ``dropped``.
    """

    number: int
    prompt: Prompt
    operator: str
    parents: tuple[tuple[int, str], ...] = ()
    generation: int = 0
    evaluation: Evaluation = field(default_factory=Evaluation)
    """Evidence on dev rows: what fitness is made of."""
    status: str = OK
    note: str = ""
    practice: Evaluation = field(default_factory=Evaluation)
    """Evidence on train rows: what operators may read; no part of fitness."""

    @property
    def island(self) -> int:
        """The island it was born on, or migrated to."""
        return island_of(self.number)

    @property
    def ok(self) -> bool:
        """Whether it has a prompt, at least one score, and was not dropped."""
        return self.status == OK and self.evaluation.count > 0

    @property
    def fitness(self) -> float:
        """Mean score; NaN without evidence."""
        return self.evaluation.mean

    def with_evidence(self, dev: Evaluation, train: Evaluation) -> Individual:
        """Return this individual with more evidence; of two outcomes of one example the new one counts."""
        return replace(self, evaluation=self.evaluation.merge(dev), practice=self.practice.merge(train))

    def with_evidence_of(self, other: Individual) -> Individual:
        """Return this individual with the evidence of both; where they share an example, ``other`` counts."""
        return self.with_evidence(other.evaluation, other.practice)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows (`evo.view.notebook`)."""
        from evo.view.notebook import individual_bundle

        return individual_bundle(self)


def by_fitness(individual: Individual) -> tuple[float, int, int]:
    """Sort key, best first: higher fitness, then shorter prompt, then older; individuals without evidence last."""
    fitness = individual.fitness
    rank = math.inf if math.isnan(fitness) else -fitness
    return (rank, individual.prompt.length, individual.number)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a method may know of the task before it starts."""

    description: str
    seeds: tuple[Prompt, ...]
    train: tuple[Example, ...] = ()
    dev: tuple[Example, ...] = ()
    labels: tuple[str, ...] = ()
    placeholders: frozenset[str] = frozenset()
    evolve: tuple[str, ...] = (INSTRUCTION,)
    """Parts that operators may change, one a birth; other parts of the seed prompts are locked."""
    layout: str = "{prompt}\n\n{input}"
    """How a prompt's instruction and a row's input make one message."""
    can_embed: bool = False
    """Whether operators may ask for embeddings: the run has an embedding model."""
    targets_are_replies: bool = True
    """Whether rows' targets are replies that would score, so that worked examples can be made of them."""

    @property
    def practice(self) -> tuple[Example, ...]:
        """Examples that operators may learn from and show: the train rows, or where there are none the dev rows."""
        return self.train or self.dev


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps on a run; None means no cap. Calls, tokens and USD count every model call: task, operator, judge."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    births: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"budget {name} must be positive, got {value!r}; leave it out for no cap")


def best_of(individuals: Sequence[Individual]) -> Individual:
    """Return the fittest. Raises ValueError when none has a score."""
    scored = [individual for individual in individuals if individual.ok]
    if not scored:
        raise ValueError(f"none of {len(individuals)} individuals has a score yet; let the run evaluate one")
    return min(scored, key=by_fitness)
