"""APE, the automatic prompt engineer: instructions induced from examples, then chosen (Zhou et al., ICLR 2023).

The model is shown samples of rows and asked, many times, for the instruction behind them; of all candidates the best on
the dev rows is looked for, by adaptive filtering (`operators.sieve`) or by scoring all on all. Optionally the best are
varied and the union is chosen from again (the paper's iterative Monte-Carlo search, which its code does not have).
It needs no seed prompts. Where there are some they compete as candidates, since the report compares the winner with the
best of them, and what is induced takes the place of the first one's instruction, its other parts kept.
What differs from the paper: candidates are compared on shared rows; repeats of a text count once, and a variation is a
paraphrase as EvoPrompt asks for it. Scoring by likelihood is the scorer's affair: ``scorer: likelihood``.
Immigrants wait for the next stage of the filtering and take part in it, on the same rows. Evidence brings no migration:
what the last filtering finds does not travel, what ``resample_rounds`` find does.
Calls, with C candidates (seeds among them), m rows a subset, F finalists and |D| dev rows: operator C - seeds; task
m (C + n1 + n2 + ...) while n, ``keep`` of the last and at least F, is above F, then F (|D| - rows had), and the rest of
the best seed's rows where it is none of them. Full scoring: C |D|. A resampling round: the same with the new as C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import INSTRUCTION, NO_PROMPT, Brief, Example, Individual
from evo.ports import Evidence, Operator, Proposal
from operators import induction
from operators.ape_state import ApeState
from operators.arguments import at_least, between, one_of
from operators.induction import MAX_TOKENS, TEMPERATURE, TOP_P, Induce
from operators.initialisation import require_living
from operators.rewrites import Paraphrase
from operators.rows import drawn_rows
from operators.seeds import Seed
from operators.sieve import Sieve

NAME = "ape"
Mode = Literal["forward", "reverse", "both"]
Scoring = Literal["adaptive", "full"]
Samples = tuple[tuple[Example, ...], ...]


@dataclass(frozen=True, slots=True)
class Ape:
    """Instructions induced from examples of the task, of which filtering chooses the best (APE); needs no seed prompt.

    Args:
        mode: ``forward`` asks for the instruction after the examples, ``reverse`` for what is missing before them;
            ``both`` takes turns, sample by sample.
        num_subsamples: Samples of rows, each shown in a query of its own.
        num_demos: Rows in a sample.
        num_prompts_per_subsample: Instructions asked for with each. The paper found little gain from more than 64 in
            all; its library's default is 50 for each of 5.
        num_zero_order: Further instructions that are written from the task's description alone.
        opening: What is said before the rows; empty: that a friend was given an instruction and followed it.
        begin: Words every instruction must begin with, such as "Let's".
        scoring: ``adaptive`` filters; ``full`` scores everybody on all dev rows.
        subset: Dev rows a stage of the filtering adds.
        keep: Share of candidates a stage keeps.
        finalists: When no more are left they are scored on all dev rows.
        resample_rounds: How often the best are varied once each and the union chosen from again. The paper found no
            gain after three.
        resample_top: Share of all candidates that is varied.
        temperature: Of the operator model.
        top_p: Of the operator model, when it induces.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "there are examples but no prompt to begin with, and a model that can guess what they ask."
    cost: ClassVar[str] = "at the defaults 50 operator calls, and some 2500 task calls for 200 dev rows"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    mode: Mode = "forward"
    num_subsamples: int = 5
    num_demos: int = 5
    num_prompts_per_subsample: int = 10
    num_zero_order: int = 0
    opening: str = ""
    begin: str = ""
    scoring: Scoring = "adaptive"
    subset: int = 20
    keep: float = 0.5
    finalists: int = 5
    resample_rounds: int = 0
    resample_top: float = 0.2
    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in ("num_subsamples", "num_demos", "num_prompts_per_subsample", "subset", "finalists", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        for name in ("num_zero_order", "resample_rounds"):
            at_least(NAME, name, getattr(self, name), 0)
        for name in ("keep", "resample_top", "top_p"):
            between(NAME, name, getattr(self, name), 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)
        one_of(NAME, "mode", self.mode, Mode)
        one_of(NAME, "scoring", self.scoring, Scoring)

    def size(self, dev: int) -> int:
        """Return the smaller of ``subset`` and ``dev``."""
        return min(self.subset, dev)

    def start(self, brief: Brief) -> ApeState:
        """Return the first state. Raises ConfigError without rows, or without the description zero-order needs."""
        if not brief.practice:
            raise ConfigError(f"{NAME} expects rows to learn an instruction from, got none; give the task data")
        if self.num_zero_order and not brief.description.strip():
            raise ConfigError(f"{NAME} expects a description for num_zero_order, got none; set task.description")
        rows = tuple(row.number for row in brief.dev)
        subset = len(rows) if self.scoring == "full" else self.subset
        sieve = Sieve(rows, subset, self.keep, self.finalists, depth=min(subset, len(rows)))
        return ApeState(replace(brief, seeds=tuple(dict.fromkeys(brief.seeds))), sieve, 1 + self.resample_rounds)

    def ask(
        self, state: ApeState, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, ApeState]:
        """Return the next birth or evidence; None while a stage is being told. Raises ConfigError when nobody lives."""
        if self.finished(state):
            return None, state
        if state.phase == "rest":
            state = self._opened(state, rng)
        if state.phase == "sieve" and state.stage.closed:
            require_living(state.living, 1)
        step, stage = state.stage.ask(number)
        return (step, replace(state, stage=stage, latest=max(state.latest, number))) if step else (None, state)

    def tell(self, state: ApeState, individual: Individual) -> ApeState:
        """Return the state that knows this individual; the last of a stage opens the next."""
        return state.told(individual)

    def living(self, state: ApeState) -> Sequence[Individual]:
        """Return the best of the candidates that are left."""
        return state.living

    def finished(self, state: ApeState) -> bool:
        """Whether the last round's finalists have been scored on all dev rows."""
        return state.phase == "done"

    def _opened(self, state: ApeState, rng: np.random.Generator) -> ApeState:
        """Return the state with a round's births: seeds and inductions, or variations of the best."""
        brief, rows, part = state.brief, state.sieve.shared, _part(state.brief)
        if not state.round:
            samples = tuple(drawn_rows(brief.practice, self.num_demos, rng) for _ in range(self.num_subsamples))
            operators: tuple[Operator, ...] = (*map(Seed, brief.seeds), *self._inductions(brief, samples))
            return state.bearing((Proposal(operator, examples=rows, part=part) for operator in operators), state.sieve)
        ranking = state.sieve.ranking
        parents = ranking[: max(1, math.ceil(self.resample_top * len(ranking)))]
        depth = min(state.sieve.subset, len(state.sieve.rows))
        sieve = replace(state.sieve, depth=depth, runners=parents, dropped=())
        vary = Paraphrase(self.temperature, self.max_tokens)
        births = (Proposal(vary, (parent,), ("base",), sieve.shared, part) for parent in parents)
        return state.bearing(births, sieve)

    def _inductions(self, brief: Brief, samples: Samples) -> Iterator[Induce]:
        """Yield what is induced: the samples take turns, so that a budget that ends early has used them all."""
        common = Induce(
            description=brief.description,
            labels=brief.labels,
            opening=self.opening,
            begin=self.begin,
            base=brief.seeds[0].focused(_part(brief)) if brief.seeds else NO_PROMPT,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
        )
        modes: tuple[induction.Mode, ...] = ("forward", "reverse") if self.mode == "both" else (self.mode,)
        queries = [replace(common, mode=modes[turn % len(modes)], demos=sample) for turn, sample in enumerate(samples)]
        for _ in range(self.num_prompts_per_subsample):
            yield from queries
        for _ in range(self.num_zero_order):
            yield replace(common, mode="zero-order")


def _part(brief: Brief) -> str:
    """Return the part that is induced: the instruction, unless the seeds lock it."""
    return INSTRUCTION if INSTRUCTION in brief.evolve or not brief.seeds else brief.evolve[0]
