"""CAPO, cost-aware prompt optimisation (Zehle, Schlager, Heiß and Feurer, AutoML 2025; arXiv 2504.16005).

A step: ``crossovers_per_iter`` times two random members are crossed and the child is mutated, instruction and worked
examples alike; members and children race block by block until ``population`` are left (`operators.race`).
The first population: seed prompts, each with 0 to ``upper_shots`` worked examples that hold the model's own words where
it was right. Blocks keep their order, so that a member pays for no block twice.
What differs from the paper and its code. Seeds also live as they are until the first race, so that a run has an honest
baseline. What a mutation adds is answered by the child of the crossover, not by the mutated one; nothing is added
where that call failed. Its code never adds an example, races on one block too many, and with shuffled blocks mixes up
their scores: not here. Length counts characters, not tokens. Immigrants wait for the next race and are scored on its
blocks.
Operator calls: 2 a child, 1 where both parents have one instruction. Task calls, with S seeds, N members, C crossovers
a step and B blocks of b rows: 1 for each worked example; (S + N) b to begin with, at most B b for each of these and for
each child in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from evo.errors import ConfigError
from evo.model import EXAMPLES, Brief, Example, Individual, Prompt
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, between
from operators.brood import Brood
from operators.capo_operators import CapoCrossover, CapoMutation
from operators.capo_state import CapoState, Plan, first_state, planned, receive
from operators.few_shot import Demonstrate
from operators.initialisation import require_living
from operators.race import Rule
from operators.rewrites import MAX_TOKENS, TEMPERATURE
from operators.rows import drawn_rows, scores_of
from operators.seeds import Seed
from operators.selection import random_parents

NAME = "capo"


@dataclass(frozen=True, slots=True)
class Capo:
    """Evolves instructions and worked examples together, and races them in blocks of rows (CAPO).

    Args:
        population: Members N that survive a race.
        n_steps: Steps after the first population; None goes on until the budget ends.
        crossovers_per_iter: Children a step.
        upper_shots: Most worked examples of a prompt; 0 evolves instructions alone.
        block_size: Rows of a block.
        max_n_blocks_eval: Most blocks of a race.
        alpha: Of each t-test in a race; smaller is more patient.
        length_penalty: Taken off the score of a prompt as long as the longest of the first population, in proportion.
        shuffle_blocks_per_iter: Whether each step races on the blocks in another order; costs more, as members then
            meet blocks they have not been scored on.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "worked examples help the task, and poor prompts should be dropped after few calls."
    cost: ClassVar[str] = "a step: 8 operator calls; 30 to 300 task calls a child, fewer for one that is soon beaten"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    population: int = 10
    n_steps: int | None = None
    crossovers_per_iter: int = 4
    upper_shots: int = 5
    block_size: int = 30
    max_n_blocks_eval: int = 10
    alpha: float = 0.2
    length_penalty: float = 0.05
    shuffle_blocks_per_iter: bool = False
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in ("population", "crossovers_per_iter", "max_n_blocks_eval", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        if self.n_steps is not None:
            at_least(NAME, "n_steps", self.n_steps, 1)
        at_least(NAME, "upper_shots", self.upper_shots, 0)
        at_least(NAME, "block_size", self.block_size, 2)
        between(NAME, "alpha", self.alpha, 0, 0.5)
        between(NAME, "length_penalty", self.length_penalty, 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)

    def size(self, dev: int) -> int:
        """Return the smaller of ``block_size`` and ``dev``."""
        return min(self.block_size, dev)

    def start(self, brief: Brief) -> CapoState:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        if not brief.seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        rule = Rule(self.population, self.alpha, self.length_penalty, longest=0)
        return first_state(brief, rule, self.block_size, self.max_n_blocks_eval, self.upper_shots)

    def ask(
        self, state: CapoState, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, CapoState]:
        """Return the next birth or evidence, or None while a brood or a round of the race is being told.

        Raises:
            ConfigError: Nobody lives, so that none can be bred.
        """
        if state.race is not None:
            evidence, race = state.race.ask()
            return evidence, replace(state, race=race)
        if unanswered := state.unanswered:  # all answers come before all mutations, in whatever order they are told
            one, plan, row = next((each for each in unanswered if not each[1].asked), unanswered[0])
            return (None, state) if plan.asked else (Evidence(one, (row,)), state.asking(plan))
        if self.finished(state) or (not state.rests and state.brood.place is None):
            return None, state
        if state.rests:
            state = self._opened(state, rng)
        elif state.stage == "seeds" and not state.brood.numbers:
            state = replace(state, shots=self._shots(state, rng))
        proposal, state = self._birth(state, number, rng)
        return proposal, replace(state, brood=state.brood.ask(number))

    def tell(self, state: CapoState, individual: Individual) -> CapoState:
        """Return the state that knows this individual; the last of a brood or round closes it."""
        return receive(state, individual)

    def living(self, state: CapoState) -> Sequence[Individual]:
        """Return the members; while a step is under way, the best of members and newborn."""
        return state.living

    def finished(self, state: CapoState) -> bool:
        """Whether all steps are over; never, when their number is None."""
        return self.n_steps is not None and state.step >= self.n_steps and state.rests

    def _opened(self, state: CapoState, rng: np.random.Generator) -> CapoState:
        require_living(state.members, 1)
        order = rng.permutation(len(state.blocks)) if self.shuffle_blocks_per_iter else range(len(state.blocks))
        blocks = tuple(state.blocks[int(place)] for place in order)
        return replace(state, blocks=blocks, stage="crossover", brood=Brood(self.crossovers_per_iter))

    def _shots(self, state: CapoState, rng: np.random.Generator) -> tuple[tuple[Prompt, tuple[Example, ...]], ...]:
        """Return the births with worked examples of the first population: over the seeds in turn, 0 or more each.

        A seed's first share may be none: it then runs as it is alone. Further shares hold at least one.
        """
        seeds = state.brief.seeds
        most = min(self.upper_shots, len(state.rows))
        counts = [
            int(rng.integers(0 if place < len(seeds) else 1, most + 1)) for place in range(self.population * (most > 0))
        ]
        drawn = [(seeds[place % len(seeds)], drawn_rows(state.rows, count, rng)) for place, count in enumerate(counts)]
        return tuple((seed, rows) for seed, rows in drawn if rows)

    def _birth(self, state: CapoState, number: int, rng: np.random.Generator) -> tuple[Proposal, CapoState]:
        place, task = state.brood.place or 0, state.brief.description
        block = state.blocks[0]
        if state.stage == "seeds":
            seed = state.brief.seeds[place]
            shown = {row.number for prompt, rows in state.shots if prompt == seed for row in rows}
            return Proposal(Seed(seed), examples=(*block, *sorted(shown))), state
        if state.stage == "examples":
            seed, rows = state.shots[place]
            parent = next(one for one in state.newborn if one.prompt == seed)
            return Proposal(Demonstrate.of(rows), (parent,), ("base",), block, EXAMPLES), state
        if state.stage == "crossover":
            pair = random_parents(state.members, rng)
            plan = planned(number, pair, state, self.upper_shots, rng)
            operator = CapoCrossover(self.temperature, self.max_tokens, task)
            return Proposal(operator, pair, ("base", "mate"), ()), replace(state, plans=(*state.plans, plan))
        child = state.newborn[place]
        plan = next(plan for plan in state.plans if plan.number == child.number)
        if plan.example is not None and plan.example.number not in scores_of(child):
            plan = Plan(child.number)  # the call failed: what the child would have said is not known
        row = None if plan.example is None else plan.example.number
        mutation = CapoMutation(plan.change, row, self.temperature, self.max_tokens, task, plan.example)
        return Proposal(mutation, (child,), ("base",), block), state
