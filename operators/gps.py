"""GPS, genetic prompt search (Xu et al., EMNLP 2022): generations of restatements, an archive of all survivors.

The seeds are scored on a small sample of dev rows. The best K survive and are said again in other words; the children
alone are the next generation, while every survivor stays in the archive. After the last generation the archive's best
are returned.
What differs from the paper and its code: its generator makes up to 30 attempts a prompt, of which the rules leave one
to four (the released log); a chat model's texts nearly all pass, so ours are ``children`` a survivor. The archive holds
as many as can still be returned. The best of hundreds on 32 rows owe much to luck (a winner's curse), so in the end the
finalists, and the best seed, are scored on dev rows nothing was selected by; the winner of a run is then chosen on all
rows they have. Children of a text that is in the archive are dropped. Immigrants wait for the next selection, on the
same rows.
Calls, with S seeds, m rows in the sample, c children, T generations, F finalists and r fresh rows: S m to begin with,
then T K c (1 operator call, 2 for back-translation, and m task calls), then at most (F + 1) r.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Individual
from evo.plugins import unknown
from evo.ports import Evidence, Operator, Proposal
from operators.arguments import at_least, between
from operators.gps_state import GpsState
from operators.initialisation import require_living
from operators.restatements import LANGUAGES, TEMPERATURE, TOP_P, BackTranslation, Cloze, Continuation
from operators.rewrites import MAX_TOKENS
from operators.rules import BLACKLIST, Rules
from operators.seeds import Seed

NAME = "gps"
WEIGHTS = ((Continuation.name, 1.0), (Cloze.name, 0.0), (BackTranslation.name, 0.0))


@dataclass(frozen=True, slots=True)
class Gps:
    """Genetic prompt search: the best are said again in other words, and every survivor is remembered (GPS).

    Args:
        top_k: How many survive a generation K; in the paper 4 to 15, as many as a task has hand-written prompts.
        generations: How many follow the seeds T; with the seeds' own there are 9, as in the released run. None goes on
            until the budget ends, and then nobody is rescored.
        children: Children of each survivor.
        operators: Weight of each operator: continuation (the released one), cloze, back-translation.
        languages: What back-translation goes through; one is drawn for each child.
        cloze_share: Share of a prompt's words that cloze hides.
        blacklist: Symbols and words that no child may hold, unless its parent does.
        sample: Dev rows that prompts are selected by.
        finalists: The archive's best, scored on fresh rows after the last generation.
        fresh: Most of these rows, beside the sample; None takes all the dev rows there are, 0 rescores nobody.
        temperature: Of the operator model.
        top_p: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "there are good hand-written prompts, and their wording is what is to be varied."
    cost: ClassVar[str] = "a generation at the defaults: 30 operator calls and 960 task calls"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    top_k: int = 10
    generations: int | None = 8
    children: int = 3
    operators: Mapping[str, float] | tuple[tuple[str, float], ...] = WEIGHTS
    languages: tuple[str, ...] = LANGUAGES
    cloze_share: float = 0.3
    blacklist: tuple[str, ...] = BLACKLIST
    sample: int = 32
    finalists: int = 10
    fresh: int | None = None
    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in ("top_k", "children", "sample", "finalists", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        if self.generations is not None:
            at_least(NAME, "generations", self.generations, 1)
        if self.fresh is not None:
            at_least(NAME, "fresh", self.fresh, 0)
        between(NAME, "cloze_share", self.cloze_share, 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)
        between(NAME, "top_p", self.top_p, 0, 1)
        BackTranslation(tuple(self.languages))
        known = self._made
        for name, weight in self.weights.items():
            if name not in known:
                raise ConfigError(f"{NAME}: {unknown('operator', name, set(known))}")
            between(NAME, f"the weight of {name}", weight, 0, 1e6)
        if not any(self.weights.values()):
            raise ConfigError(f"{NAME} expects an operator with a weight above 0, got {self.weights}; raise one")

    @property
    def weights(self) -> dict[str, float]:
        """Weight by operator name."""
        return dict(self.operators)

    def size(self, dev: int) -> int:
        """Return the smaller of ``sample`` and ``dev``."""
        return min(self.sample, dev)

    def start(self, brief: Brief) -> GpsState:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        rows = tuple(row.number for row in brief.dev)
        fresh = rows[self.sample :] if self.fresh is None else rows[self.sample : self.sample + self.fresh]
        return GpsState(seeds, rows[: self.sample], fresh, self.top_k, self.finalists, self.generations)

    def ask(
        self, state: GpsState, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, GpsState]:
        """Return the next birth or evidence; None while a stage is being told. Raises ConfigError when nobody lives."""
        if self.finished(state):
            return None, state
        if state.phase == "rest":
            state = self._opened(state, rng)
        step, stage = state.stage.ask(number)
        return (step, replace(state, stage=stage, latest=max(state.latest, number))) if step else (None, state)

    def tell(self, state: GpsState, individual: Individual) -> GpsState:
        """Return the state that knows this individual; the last of a stage opens the next."""
        return state.told(individual)

    def living(self, state: GpsState) -> Sequence[Individual]:
        """Return the best of the archive and of the newborn."""
        return state.living

    def finished(self, state: GpsState) -> bool:
        """Whether the finalists have been rescored; never, when the number of generations is None."""
        return state.phase == "done"

    def _opened(self, state: GpsState, rng: np.random.Generator) -> GpsState:
        """Return the state with a generation's births; survivors take turns, so that an early end is fair to all."""
        if not state.generation:
            return state.bearing(Proposal(Seed(seed), examples=state.sample) for seed in state.seeds)
        require_living(state.survivors, 1)
        parents = state.survivors * self.children
        made, weights = self._made, self.weights
        shares = np.array(list(weights.values()))
        drawn = rng.choice(list(weights), size=len(parents), p=shares / shares.sum())
        return state.bearing(
            Proposal(made[str(name)], (parent,), ("base",), state.sample)
            for name, parent in zip(drawn, parents, strict=True)
        )

    @property
    def _made(self) -> dict[str, Operator]:
        rules = Rules(blacklist=self.blacklist)
        options = (self.temperature, self.top_p, self.max_tokens, rules)
        return {
            Continuation.name: Continuation(*options),
            Cloze.name: Cloze(self.cloze_share, 3, *options),
            BackTranslation.name: BackTranslation(self.languages, "English", *options),
        }
