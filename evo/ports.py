"""The protocols the wings implement. `evo` calls these and never imports an implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from evo.model import Brief, Completion, Evaluation, Example, Individual, Prompt, Request, Score
from evo.rivals import Rivals, Tally

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one prompt token and one output token."""

    prompt_usd: float
    output_usd: float

    def cost(self, prompt_tokens: int, output_tokens: int) -> float:
        """Return the cost of one call in US dollars."""
        return prompt_tokens * self.prompt_usd + output_tokens * self.output_usd


class Llm(Protocol):
    """A language model. Implementations and wrappers alike are this."""

    @property
    def identity(self) -> str:
        """What makes two models give the same answers: name, endpoint, fixed options; never a secret."""
        ...

    @property
    def can_choose(self) -> bool:
        """Whether requests with ``choices`` are answered with log-likelihoods."""
        ...

    @property
    def can_embed(self) -> bool:
        """Whether requests with ``embedding`` are answered with one, as far as can be told before the first."""
        ...

    @property
    def price(self) -> Price | None:
        """The price of a token, or None where it is unknown (unknown is not free)."""
        ...

    async def complete(self, request: Request) -> Completion:
        """Answer one request, sending it exactly once. Raises LlmError."""
        ...

    async def aclose(self) -> None:
        """Free connections and memory."""
        ...


class Operator(Protocol):
    """Writes one prompt from parents. A frozen dataclass: its name and fields are recorded."""

    @property
    def name(self) -> str:
        """Short name for the log, such as ``crossover-mutation``."""
        ...

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when no usable prompt came; the caller may try again."""
        ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """A birth a method asks for: an operator and its parents, each with a role (base, mate, donor1, best ...).

    ``examples`` are the dev or train rows the newborn is scored on; None: racing decides; empty: it is born unscored
    and may be no prompt for the task at all, such as a mutation-prompt or a critique: then all its parts begin with an
    underscore, and the task does not check it. ``part`` is the part of the prompt the operator works on; None: one of
    ``Brief.evolve``, drawn.
    """

    operator: Operator
    parents: tuple[Individual, ...] = ()
    roles: tuple[str, ...] = ()
    examples: tuple[int, ...] | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        if len(self.parents) != len(self.roles):
            raise ValueError(f"expected a role for each of {len(self.parents)} parents, got {self.roles}")

    @property
    def edges(self) -> tuple[tuple[int, str], ...]:
        """(number, role) of each parent."""
        return tuple((parent.number, role) for parent, role in zip(self.parents, self.roles, strict=True))

    @property
    def generation(self) -> int:
        """One more than the oldest parent's; 0 without parents."""
        return 1 + max((parent.generation for parent in self.parents), default=-1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """More evidence a method asks for: an individual that was told, and the dev or train rows to score it on."""

    individual: Individual
    examples: tuple[int, ...]


class Method(Protocol[S]):
    """A search method as a pure reducer over a frozen state; it never calls a model.

    The caller numbers births in the order of ``ask`` and tells every one of them exactly once, in any order,
    failed births included (``status == "failed"``). Evidence asked for is told as the individual it was asked
    for, merged with what was found: several such requests for one individual may be under way, so a method merges
    what it knows with what it is told (`Individual.with_evidence_of`). Racing may have evidence gathered on anyone
    living that the method never asked for: an individual it knows, told again with more evidence, replaces what is
    known of it wherever it is kept, and ends no step the method waits for. An individual it does not know and has not
    asked for is an immigrant. The same calls with the same arguments give the same results: that makes replay work.
    """

    @property
    def when(self) -> str:
        """One sentence on when to choose it, for ``evo methods``."""
        ...

    @property
    def cost(self) -> str:
        """What a generation or step costs, in words.

        Operator calls are counted for usable replies, here and in the methods' formulas: an operator whose reply
        cannot be used is called again, up to `evo.step.TRIES` times a birth.
        """
        ...

    @property
    def racing(self) -> str:
        """Name of the racing policy used where the configuration names none."""
        ...

    @property
    def in_flight(self) -> int | None:
        """Most births under way at once; None lets the method itself hold back by returning None from ``ask``."""
        ...

    def start(self, brief: Brief) -> S:
        """Return the first state. Raises ConfigError when the seed prompts do not suffice."""
        ...

    def ask(self, state: S, number: int, rng: np.random.Generator) -> tuple[Proposal | Evidence | None, S]:
        """Return one birth, to be numbered ``number``, or evidence to be gathered, and the new state.

        None: wait for results, or finished. A number spent on evidence names no individual.
        """
        ...

    def tell(self, state: S, individual: Individual) -> S:
        """Return the state that knows this individual. Telling the same thing twice changes nothing."""
        ...

    def living(self, state: S) -> Sequence[Individual]:
        """Return the living, in no particular order."""
        ...

    def finished(self, state: S) -> bool:
        """Whether the method will ask for nothing more, whatever it is told."""
        ...


@runtime_checkable
class NamesRows(Protocol):
    """A method that names the rows of its births itself, so that no racing policy has a say in them (``own``)."""

    def size(self, dev: int) -> int:
        """Return how many of ``dev`` examples a birth is scored on at first: the final race may give it the others."""
        ...


class Racing(Protocol):
    """Decides how much evidence a newborn deserves, and whether one of the living deserves more."""

    def next(
        self, newborn: Individual, rivals: Rivals, order: Sequence[int], rng: np.random.Generator
    ) -> tuple[int, ...] | None:
        """Return the examples to score next, a selection of ``order``; empty: enough; None: drop it."""
        ...

    def more(
        self, living: Sequence[Individual], tally: Tally, order: Sequence[int], rng: np.random.Generator
    ) -> Evidence | None:
        """Return evidence to gather on one of the living before the next birth is asked for; None: breed on.

        It is asked before the method is, each time there is room for a step. Rows the individual was tried on are left
        out; a request without any other is none.
        """
        ...

    def size(self, dev: int) -> int:
        """Return how many of ``dev`` examples a newborn that is kept is scored on: for estimates."""
        ...


class Scorer(Protocol):
    """Reads a model's reply and scores it against the example's target.

    One that asks a model gets it from the evaluator, so that its calls are admitted and logged like all others.
    """

    @property
    def wants_choices(self) -> bool:
        """Whether the model should be asked for the log-likelihood of each choice, where it can."""
        ...

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the score. Any exception is recorded as this row's error."""
        ...


class Task(Protocol):
    """Data, layout and scorer of one problem. Immutable and picklable: it is shipped once to each worker."""

    @property
    def brief(self) -> Brief:
        """What methods may know: description, seed prompts, train rows, labels, placeholders."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies rows, layout and scorer: a run resumes only on the same."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the data and why, one sentence each."""
        ...

    @property
    def judge_calls(self) -> int:
        """How many calls of the run's judge one example takes; 0 where no model judges."""
        ...

    def examples(self, split: str) -> Sequence[int]:
        """Return the numbers of a split (train, dev or test), in the run's shared order."""
        ...

    def example(self, number: int) -> Example:
        """Return a row by its number. Raises IndexError for one there is not."""
        ...

    def calls(self, prompt: Prompt, examples: Sequence[int]) -> Sequence[int]:
        """Return how many model calls each of these examples takes at most, in their order, where none is known.

        The judge's are among them. A call that several share counts for the first of them.
        """
        ...

    def check(self, prompt: Prompt) -> None:
        """Raises OperatorError when the prompt is empty, lost a placeholder, or changed a locked part."""
        ...


class Evaluator(Protocol):
    """Scores prompts on a task with one model."""

    async def evaluate(self, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """Return one outcome for each example. A failed call is an outcome with an error, never a zero."""
        ...


class EvaluatorFactory(Protocol):
    """Builds an evaluator for a task, a model and, where the run has one, a judge; what a worker calls for a job."""

    def __call__(
        self, task: Task, llm: Llm, *, temperature: float, max_tokens: int, judge: Llm | None = None
    ) -> Evaluator:
        """Return the evaluator."""
        ...


Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"""Rows by table."""


class Log(Protocol):
    """The run's append-only log."""

    async def append(self, rows: Rows) -> None:
        """Add rows to tables in one transaction; when this returns they survive a killed process."""
        ...
