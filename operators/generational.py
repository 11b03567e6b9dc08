"""EvoPrompt's genetic algorithm (Guo et al., ICLR 2024).

A generation: a pool of N parents is drawn by roulette, N children are written by crossover and mutation in one model
call each, and the best N of parents and children live on.
What differs from the paper and its code: selection and survival use one metric; ties go to the shorter, then older
prompt; a birth that failed makes the brood smaller instead of bringing in the whole reply; a prompt lives only once.
Immigrants wait and join at the end of the generation.
Calls, with S seeds, N members, T generations, |D| examples: S|D| + (N - min(S, N/2))(1 + |D|) to begin with, then
T N (1 + |D|); a reply that is asked for again is one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.model import Brief, Individual
from evo.ports import Proposal
from operators.arguments import at_least, between, one_of
from operators.brood import Brood
from operators.generations import Generations, receive, with_enough
from operators.initialisation import Init, nursery
from operators.rewrites import MAX_TOKENS, TEMPERATURE, CrossoverMutation, Paraphrase
from operators.selection import best, duel, random_parents, roulette
from operators.worked_examples import family_for

Parents = Literal["roulette", "tournament", "random"]
Update = Literal["topk", "std"]


@dataclass(frozen=True, slots=True)
class EvoPromptGa:
    """Genetic algorithm whose crossover and mutation a language model writes (EvoPrompt GA).

    Args:
        population: Members N, at least 2.
        generations: How many follow the first population; None goes on until the budget ends.
        parents: ``roulette`` draws a pool in proportion to fitness, ``random`` takes the living as pool, ``tournament``
            takes the better of two for each parent.
        init: How the first population comes about, see `operators.initialisation`.
        update: ``topk`` keeps the best of old and new; ``std`` lets child j take place j, with no elite.
        distinct_parents: Whether two parents must differ; in the paper they may be the same prompt.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "there are several decent seed prompts and a model that writes well."
    cost: ClassVar[str] = "a generation: N operator calls and N x |dev| task calls"
    racing: ClassVar[str] = "full"
    in_flight: ClassVar[int | None] = None

    population: int = 10
    generations: int | None = 10
    parents: Parents = "roulette"
    init: Init = "para_topk"
    update: Update = "topk"
    distinct_parents: bool = False
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        at_least("evoprompt-ga", "population", self.population, 2)
        if self.generations is not None:
            at_least("evoprompt-ga", "generations", self.generations, 1)
        one_of("evoprompt-ga", "parents", self.parents, Parents)
        one_of("evoprompt-ga", "init", self.init, Init)
        one_of("evoprompt-ga", "update", self.update, Update)
        between("evoprompt-ga", "temperature", self.temperature, 0, 2)
        at_least("evoprompt-ga", "max_tokens", self.max_tokens, 1)

    def start(self, brief: Brief) -> Generations:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        paraphrase = Paraphrase(self.temperature, self.max_tokens)
        return Generations(nursery(brief, self.population, self.init, paraphrase, 1), family_for(brief.labels))

    def ask(self, state: Generations, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Generations]:
        """Return the next birth, or None while a generation is being told. Raises ConfigError when nobody lives."""
        if not state.nursery.closed:
            proposal, children = state.nursery.ask(number, rng)
            return proposal, replace(state, nursery=children)
        if self.finished(state) or (not state.brood.closed and state.brood.place is None):
            return None, state
        if state.brood.closed:
            state = self._opened(state, rng)
        operator = CrossoverMutation(self.temperature, self.max_tokens, state.example)
        proposal = Proposal(operator, self._pair(state, rng), ("base", "mate"))
        return proposal, replace(state, brood=state.brood.ask(number))

    def tell(self, state: Generations, individual: Individual) -> Generations:
        """Return the state that knows this individual; the last of a generation closes it."""
        return receive(state, individual, self._survivors)

    def living(self, state: Generations) -> Sequence[Individual]:
        """Return the members; during initialisation the best so far."""
        return state.population

    def finished(self, state: Generations) -> bool:
        """Whether all generations are over; never, when their number is None."""
        return self.generations is not None and state.generation >= self.generations

    def _opened(self, state: Generations, rng: np.random.Generator) -> Generations:
        """Return the state with a new brood and, drawn once for all of it, the pool of parents."""
        state = with_enough(state, 1)
        pool = roulette(state.living, self.population, rng) if self.parents == "roulette" else state.living
        return replace(state, brood=Brood(self.population), pool=pool)

    def _pair(self, state: Generations, rng: np.random.Generator) -> tuple[Individual, Individual]:
        """Return two parents of different places; of different prompts where that is asked for and possible."""
        if self.parents == "tournament":
            first, second = duel(state.pool, rng), duel(state.pool, rng)
        else:
            first, second = random_parents(state.pool, rng)
        if self.distinct_parents and first.prompt.shown == second.prompt.shown:
            others = [other for other in state.pool if other.prompt.shown != first.prompt.shown]
            others = others or [other for other in state.living if other.prompt.shown != first.prompt.shown]
            second = others[int(rng.integers(len(others)))] if others else second
        return first, second

    def _survivors(self, state: Generations) -> tuple[Individual, ...]:
        """Return the next population: of everyone, or with ``std`` of children and the places they left alone."""
        if self.update == "topk":
            return best((*state.living, *state.brood.living, *state.immigrants), self.population)
        left = [old for place, old in enumerate(state.living) if state.brood.at(place) is None]
        return best((*left, *state.brood.living, *state.immigrants), self.population)
