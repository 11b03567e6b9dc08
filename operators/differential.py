"""EvoPrompt's differential evolution (Guo et al., ICLR 2024): each member is challenged by one child a generation.

For the member in slot j (the base) two donors and the current best make a child in one model call; the better of child
and member keeps the slot, a tie keeps the member. Donors come from the previous generation.
What differs from the paper's code: the current best is frozen for a generation unless ``current_best`` is ``live`` (the
code's way, which depends on the number of births under way and equals the code's with one). A birth that failed
leaves the member in its slot. Immigrants wait for the end of the generation, fill slots that are free, then replace
the worst member each if they are better: never the best one.
Calls, with S seeds, N members, T generations, |D| examples: S|D| + (N - min(S, N/2))(1 + |D|) to begin with, then
T N (1 + |D|); a reply that is asked for again is one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.model import Brief, Individual, by_fitness
from evo.ports import Proposal
from operators.arguments import at_least, between, one_of
from operators.brood import Brood
from operators.generations import Generations, receive, with_enough
from operators.initialisation import Init, nursery
from operators.rewrites import MAX_TOKENS, TEMPERATURE, DifferentialRecombination, Paraphrase
from operators.templates import Variant
from operators.worked_examples import family_for

CurrentBest = Literal["generation", "live"]
FEWEST = 4
"""Slots needed: a base and three others."""


@dataclass(frozen=True, slots=True)
class EvoPromptDe:
    """Differential evolution whose recombination a language model writes (EvoPrompt DE).

    Args:
        population: Slots N, at least 4.
        generations: How many follow the first population; None goes on until the budget ends.
        current_best: Whether the best prompt shown is that of the ``generation`` before, or ``live``.
        donor_random: Whether a third random donor takes the place of the best prompt.
        variant: ``v1``; ``v2`` shows no best prompt; ``v3`` mutates whole prompts instead of their differences.
        init: How the first population comes about, see `operators.initialisation`.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "the seed prompts are poor or few; each slot keeps its own best, so diversity lasts longer."
    cost: ClassVar[str] = "a generation: N operator calls and N x |dev| task calls"
    racing: ClassVar[str] = "full"
    in_flight: ClassVar[int | None] = None

    population: int = 10
    generations: int | None = 10
    current_best: CurrentBest = "generation"
    donor_random: bool = False
    variant: Variant = "v1"
    init: Init = "para_topk"
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        at_least("evoprompt-de", "population", self.population, FEWEST)
        if self.generations is not None:
            at_least("evoprompt-de", "generations", self.generations, 1)
        one_of("evoprompt-de", "current_best", self.current_best, CurrentBest)
        one_of("evoprompt-de", "variant", self.variant, Variant)
        one_of("evoprompt-de", "init", self.init, Init)
        between("evoprompt-de", "temperature", self.temperature, 0, 2)
        at_least("evoprompt-de", "max_tokens", self.max_tokens, 1)

    def start(self, brief: Brief) -> Generations:
        """Return the first state. Raises ConfigError when seeds and paraphrases cannot fill 4 slots."""
        paraphrase = Paraphrase(self.temperature, self.max_tokens)
        return Generations(nursery(brief, self.population, self.init, paraphrase, FEWEST), family_for(brief.labels))

    def ask(self, state: Generations, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Generations]:
        """Return the next birth, or None while a generation is being told.

        Raises:
            ConfigError: Births failed and fewer than 4 prompts live.
        """
        if not state.nursery.closed:
            proposal, children = state.nursery.ask(number, rng)
            return proposal, replace(state, nursery=children)
        if self.finished(state) or (not state.brood.closed and state.brood.place is None):
            return None, state
        if state.brood.closed:
            state = with_enough(state, FEWEST)
            state = replace(state, brood=Brood(len(state.living)))
        return self._challenge(state, rng), replace(state, brood=state.brood.ask(number))

    def tell(self, state: Generations, individual: Individual) -> Generations:
        """Return the state that knows this individual; the last of a generation closes it."""
        return receive(state, individual, self._next_slots)

    def living(self, state: Generations) -> Sequence[Individual]:
        """Return the members in slot order; during initialisation the best so far."""
        return state.population

    def finished(self, state: Generations) -> bool:
        """Whether all generations are over; never, when their number is None."""
        return self.generations is not None and state.generation >= self.generations

    def _challenge(self, state: Generations, rng: np.random.Generator) -> Proposal:
        """Return the birth that challenges the next slot."""
        slot = state.brood.place or 0
        others = [member for place, member in enumerate(state.living) if place != slot]
        first, second, third = (others[int(place)] for place in rng.choice(len(others), size=3, replace=False))
        operator = DifferentialRecombination(self.variant, self.temperature, self.max_tokens, state.example)
        base = state.living[slot]
        if self.variant == "v2":
            return Proposal(operator, (first, second, base), ("donor1", "donor2", "base"))
        if self.donor_random:
            return Proposal(operator, (first, second, third, base), ("donor1", "donor2", "donor3", "base"))
        known = state.living if self.current_best == "generation" else winners(state)
        return Proposal(operator, (first, second, min(known, key=by_fitness), base), ROLES)

    def _next_slots(self, state: Generations) -> tuple[Individual, ...]:
        return settle(winners(state), state.immigrants, self.population)


ROLES = ("donor1", "donor2", "best", "base")


def winners(state: Generations) -> tuple[Individual, ...]:
    """Return who holds each slot after the births told so far: the child if it is better, else the member."""
    children = [state.brood.at(slot) for slot in range(len(state.living))]
    return tuple(
        child if child is not None and child.fitness > member.fitness else member
        for member, child in zip(state.living, children, strict=True)
    )


def settle(slots: tuple[Individual, ...], immigrants: tuple[Individual, ...], size: int) -> tuple[Individual, ...]:
    """Return the slots after immigration, the best immigrant first; a prompt that lives here already is turned away."""
    for immigrant in sorted(immigrants, key=by_fitness):
        if any(member.prompt.shown == immigrant.prompt.shown for member in slots):
            continue
        worst = max(slots, key=by_fitness)
        if len(slots) < size:
            slots = (*slots, immigrant)
        elif immigrant.fitness > worst.fitness:
            slots = tuple(immigrant if member is worst else member for member in slots)
    return slots
