"""An elitist steady-state search, asynchronous: children are bred as soon as there is room, the worst member gives way.

The (mu + 1) scheme (GENITOR, Whitley 1989; asynchronous after Scott and De Jong 2015), with tournament parents and
several operators: cheap edits that need no model carry the search where the operator model is too small to rewrite.
Operators are drawn by weight x (good births + 1) / (births + 2): one that keeps failing, or repeating what lives,
soon gets few births. Whether a child improved does not count: over some hundred births that is mostly noise.
Calls: S|D| for S seeds, then |D| task calls a birth and, for the operators a model writes, one operator call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Example, Individual, Prompt
from evo.objectives import QUALITY
from evo.ports import Proposal
from operators.arguments import at_least, between
from operators.initialisation import require_living
from operators.members import renewed
from operators.recipes import Stock, check_weights, recipe_for
from operators.rewrites import MAX_TOKENS
from operators.seeds import Seed
from operators.selection import best
from operators.survival import check_objectives, standing, survivors
from operators.told import Told

NAME = "steady-state"
WEIGHTS = (
    ("edit", 0.3),
    ("reframe", 0.15),
    ("phrase-crossover", 0.2),
    ("paraphrase", 0.2),
    ("crossover-mutation", 0.15),
)


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth under way: its operator, and who is varied (nobody, for a seed)."""

    number: int
    operator: str
    base: Individual | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """How often an operator was tried, and how often that gave no new prompt."""

    operator: str
    tried: int = 0
    failed: int = 0

    @property
    def factor(self) -> float:
        """What the operator's weight is multiplied by, in (0, 1)."""
        return (self.tried - self.failed + 1) / (self.tried + 2)


@dataclass(frozen=True, slots=True)
class Steady:
    """State of `SteadyState`."""

    seeds: tuple[Prompt, ...]
    """Seeds not asked for yet."""
    labels: tuple[str, ...]
    rows: tuple[Example, ...]
    """Dev rows: operators may show what members got wrong there."""
    practice: tuple[Example, ...]
    """Rows that operators may show with their targets."""
    credits: tuple[Credit, ...]
    living: tuple[Individual, ...] = ()
    pending: tuple[Birth, ...] = ()
    origins: tuple[tuple[int, Individual], ...] = ()
    """What members that are edits were edited from: their phrases can be put back."""
    seen: Told = field(default_factory=Told)


@dataclass(frozen=True, slots=True)
class SteadyState:
    """Asynchronous steady-state search with model-free edits and model-written operators.

    Args:
        population: Most members.
        tournament: How many compete to become a parent, drawn with replacement.
        operators: Weight of each operator: edit, reframe, phrase-crossover, paraphrase, crossover-mutation,
            differential, reflect, few-shot (changes worked examples), induce, continuation, cloze, back-translation, or
            a plugin's, which is given one parent. While too few live for any of them, edit stands in.
        in_flight: Most births under way at once; more of them breed from staler parents.
        objectives: With quality and others of tokens, cost and latency, NSGA-II says who lives and breeds, so that a
            front of prompts evolves; see it with ``evo best --front``. The winner is still the best by quality.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "the operator model is small or slow: edits need no model, and no birth waits for another."
    cost: ClassVar[str] = "a birth: at most 1 operator call and |dev| task calls, fewer with a racing policy"
    racing: ClassVar[str] = "full"

    population: int = 10
    tournament: int = 2
    operators: Mapping[str, float] | tuple[tuple[str, float], ...] = WEIGHTS
    in_flight: int = 4
    objectives: tuple[str, ...] = (QUALITY,)
    temperature: float = 0.7
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in ("population", "tournament", "in_flight", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        between(NAME, "temperature", self.temperature, 0, 2)
        check_weights(NAME, self.weights)
        check_objectives(NAME, self.objectives)

    @property
    def weights(self) -> dict[str, float]:
        """Weight by operator name."""
        return dict(self.operators)

    def start(self, brief: Brief) -> Steady:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        return Steady(seeds, brief.labels, brief.dev, brief.practice, tuple(Credit(name) for name in self.weights))

    def ask(self, state: Steady, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Steady]:
        """Return the next birth, or None while no seed that was told lives and some are not told.

        Raises:
            ConfigError: All seeds are told and none lives.
        """
        if state.seeds:
            seed, *rest = state.seeds
            pending = (*state.pending, Birth(number, Seed.name))
            return Proposal(Seed(seed)), replace(state, seeds=tuple(rest), pending=pending)
        if not state.living and state.pending:
            return None, state
        require_living(state.living, 1)
        name = self._drawn(state, rng)
        recipe, _ = recipe_for(name)
        proposal = recipe(self._stock(state), rng)
        base = proposal.parents[proposal.roles.index("base")]
        return proposal, replace(state, pending=(*state.pending, Birth(number, name, base)))

    def tell(self, state: Steady, individual: Individual) -> Steady:
        """Return the state that knows this individual: it lives if it is new and better than the worst."""
        if individual.number in state.seen:
            return replace(state, living=self._best(renewed(state.living, individual)))
        birth = next((birth for birth in state.pending if birth.number == individual.number), None)
        fresh = individual.ok and all(member.prompt.shown != individual.prompt.shown for member in state.living)
        living = self._best((*state.living, individual))
        return replace(
            state,
            living=living,
            pending=tuple(other for other in state.pending if other.number != individual.number),
            origins=origins_of(state.origins, birth, living),
            credits=tuple(_credited(credit, birth, fresh) for credit in state.credits),
            seen=state.seen.add(individual.number),
        )

    def living(self, state: Steady) -> Sequence[Individual]:
        """Return the members, best first."""
        return state.living

    def finished(self, state: Steady) -> bool:
        """Never: the budget ends the search."""
        del state
        return False

    def _best(self, members: Sequence[Individual]) -> tuple[Individual, ...]:
        return survivors(best(members, len(members)), self.population, self.objectives)

    def _drawn(self, state: Steady, rng: np.random.Generator) -> str:
        """Return an operator's name, drawn by weight and credit among those with enough living to take part."""
        weights = self.weights
        chances = {credit.operator: weights[credit.operator] * credit.factor for credit in state.credits}
        able = {name: chance for name, chance in chances.items() if recipe_for(name)[1] <= len(state.living)}
        chances = able if any(able.values()) else {"edit": 1.0}
        shares = np.array(list(chances.values()))
        return list(chances)[int(rng.choice(len(shares), p=shares / shares.sum()))]

    def _stock(self, state: Steady) -> Stock:
        return Stock(
            state.living,
            dict(state.origins),
            state.labels,
            self.tournament,
            self.temperature,
            self.max_tokens,
            state.rows,
            state.practice,
            standing(state.living, self.objectives),
        )


def origins_of(
    known: Sequence[tuple[int, Individual]], birth: Birth | None, living: Sequence[Individual]
) -> tuple[tuple[int, Individual], ...]:
    """Return the origins of those who live, with a newborn's if it is an edit."""
    origins = dict(known)
    if birth is not None and birth.base is not None and birth.operator == "edit":
        origins[birth.number] = birth.base
    return tuple((member.number, origins[member.number]) for member in living if member.number in origins)


def _credited(credit: Credit, birth: Birth | None, fresh: bool) -> Credit:
    if birth is None or birth.operator != credit.operator:
        return credit
    return replace(credit, tried=credit.tried + 1, failed=credit.failed + (not fresh))
