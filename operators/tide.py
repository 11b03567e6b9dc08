"""TIDE, thrifty island differential-credit evolution: many children on little evidence, operators by what they gain.

Ours. A small elitist population, asynchronous: no birth waits for another. A child is admitted on few rows, and rows
that are saved go to members whose rank matters (racing policy ``lazy``). A model that reflects on failures is the main
operator, beside changes of worked examples; which operator breeds next is a prior belief corrected by paired gains
(`operators.credit`), so that with a model that cannot write, those that need none take over. Near-duplicates are
refused before a row is spent on them (`operators.novelty`). Length costs a little in the ranking, never in the
accuracy that is reported. When the incumbent, the member surest to be good, has not changed for long, everybody else
makes room for prompts written anew from the task's description.
How it fares with small models beside other methods is in ``benchmarks/README.md``; defaults are mostly a simulation's.
Calls: S x n for S seeds, then for a birth n task calls and, for the operators a model writes, one operator call; n is
20 with ``lazy``, less for those dropped early, and half as many again on average for the evidence on members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import FAILED, Brief, Individual, Prompt
from evo.objectives import QUALITY
from evo.ports import Proposal
from evo.statistics import sure_fitness
from operators.arguments import at_least, between, one_of
from operators.credit import Credit, drawn_operator, paired_gain
from operators.few_shot import FewShot
from operators.induction import Induce
from operators.initialisation import require_living
from operators.members import renewed
from operators.novelty import REMEMBERED, Content, Novel, content_of
from operators.race import length_of
from operators.recipes import Stock, check_weights, recipe_for
from operators.seeds import Seed
from operators.steady_state import Birth, origins_of
from operators.survival import check_objectives, standing, survivors

NAME = "tide"
WEIGHTS = (
    ("reflect", 0.5),
    ("few-shot", 0.2),
    ("crossover-mutation", 0.1),
    ("paraphrase", 0.04),
    ("differential", 0.02),
    ("induce", 0.02),
    ("edit", 0.05),
    ("reframe", 0.04),
    ("phrase-crossover", 0.03),
)
PENALISED = 400
"""Characters that the penalty for length is due for, about 100 tokens."""
RENEWAL = "renewal"
"""What a birth after a restart is credited to: nobody."""
IN_FLIGHT: Mapping[str, int] = {"calls": 4, "time": 16}


@dataclass(frozen=True, slots=True)
class TideState:
    """State of `Tide`."""

    brief: Brief
    seeds: tuple[Prompt, ...]
    """Seeds not asked for yet."""
    credits: tuple[Credit, ...]
    living: tuple[Individual, ...] = ()
    """Best first."""
    pending: tuple[Birth, ...] = ()
    origins: tuple[tuple[int, Individual], ...] = ()
    """What members that are edits were edited from: their phrases can be put back."""
    known: tuple[Content, ...] = ()
    """The latest prompts that were born."""
    idle: int = 0
    """Births since the incumbent last changed."""
    renewals: int = 0
    """Births still to be written anew after a restart."""


@dataclass(frozen=True, slots=True)
class Tide:
    """Thrifty asynchronous evolution with operators chosen by paired gain.

    Args:
        population: Most members.
        tournament: How many compete to become a parent, drawn with replacement.
        operators: Prior weight of each operator; names as in ``steady-state``. Births go by these at first, somewhat
            sharper than they are. ``few-shot`` changes worked examples whatever ``evolve`` says, and takes part only
            where a row's target is a reply that would score.
        credits: What earlier runs taught of operators: by name [births with a gain, mean gain], or with them [births
            that gave a new prompt, births that did not]. None: nothing.
        credit_from: An earlier run's folder, from which ``credits`` are filled in when a run begins; of use where the
            operator model is the same.
        optimize_for: ``calls`` has 4 births or requests for evidence under way at once; ``time`` 16, which breed from
            staler parents. Each takes 10 rows at a time.
        at_once: Another number of these: with more slots than ten times as many, some would stand idle.
        length_penalty: Taken off the mean score in ranking for every 400 characters, about 100 tokens, worked examples
            included; the run's winner is chosen by dev score alone.
        objectives: With quality and others of tokens, cost and latency, NSGA-II says who lives and breeds, so that a
            front of prompts evolves; see it with ``evo best --front``. The winner is still the best by quality.
        patience: Births without a new incumbent after which all but it make room; None: never.
        renewals: Prompts written anew then.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "calls are dear: it spends the fewest on prompts that will not live."
    cost: ClassVar[str] = "a birth: at most 1 operator call and about 30 task calls"
    racing: ClassVar[str] = "lazy"

    population: int = 8
    tournament: int = 2
    operators: Mapping[str, float] | tuple[tuple[str, float], ...] = WEIGHTS
    credits: Mapping[str, Sequence[float]] | None = None
    credit_from: str | None = None
    optimize_for: Literal["calls", "time"] = "calls"
    at_once: int | None = None
    length_penalty: float = 0.03
    objectives: tuple[str, ...] = (QUALITY,)
    patience: int | None = 60
    renewals: int = 3
    temperature: float = 0.7
    max_tokens: int = 1000

    def __post_init__(self) -> None:
        for name in ("population", "tournament", "max_tokens", "renewals"):
            at_least(NAME, name, getattr(self, name), 1)
        for name in ("patience", "at_once"):
            if getattr(self, name) is not None:
                at_least(NAME, name, getattr(self, name), 1)
        between(NAME, "temperature", self.temperature, 0, 2)
        between(NAME, "length_penalty", self.length_penalty, 0, 1)
        one_of(NAME, "optimize_for", self.optimize_for, Literal["calls", "time"])
        check_weights(NAME, self.weights)
        check_objectives(NAME, self.objectives)
        for name, known in (self.credits or {}).items():
            _check_credit(name, known, None if self.credit_from else self.weights)

    @property
    def weights(self) -> dict[str, float]:
        """Prior weight by operator name."""
        return dict(self.operators)

    @property
    def in_flight(self) -> int:
        """Most births under way at once."""
        return self.at_once or IN_FLIGHT[self.optimize_for]

    def start(self, brief: Brief) -> TideState:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        return TideState(brief, seeds, tuple(self._first_credit(name) for name in self.weights))

    def ask(self, state: TideState, number: int, rng: np.random.Generator) -> tuple[Proposal | None, TideState]:
        """Return the next birth, or None while no seed that was told lives and some are not told.

        Raises:
            ConfigError: All seeds are told and none lives.
        """
        if state.seeds:
            seed, *rest = state.seeds
            return Proposal(Seed(seed)), replace(
                state, seeds=tuple(rest), pending=(*state.pending, Birth(number, Seed.name))
            )
        if not state.living and state.pending:
            return None, state
        require_living(state.living, 1)
        name, proposal = self._bred(state, rng)
        base = proposal.parents[proposal.roles.index("base")]
        novel = replace(proposal, operator=Novel(proposal.operator, state.known))
        left = state.renewals - (name == RENEWAL)
        return novel, replace(state, pending=(*state.pending, Birth(number, name, base)), renewals=left)

    def tell(self, state: TideState, individual: Individual) -> TideState:
        """Return the state that knows this individual, or what was found about one that lives."""
        if any(member.number == individual.number for member in state.living):
            return self._ranked(state, renewed(state.living, individual))
        birth = next((birth for birth in state.pending if birth.number == individual.number), None)
        fresh = individual.status != FAILED and content_of(individual.prompt) not in state.known
        after = self._ranked(state, (*state.living, *([individual] if individual.ok else [])))
        after = replace(
            after,
            pending=tuple(other for other in state.pending if other.number != individual.number),
            origins=origins_of(state.origins, birth, after.living),
            credits=tuple(self._credited(credit, birth, individual, state.living, fresh) for credit in state.credits),
            known=(*state.known, content_of(individual.prompt))[-REMEMBERED:] if fresh else state.known,
            idle=after.idle + (birth is not None),
        )
        return self._restarted(after)

    def living(self, state: TideState) -> Sequence[Individual]:
        """Return the members, best first."""
        return state.living

    def finished(self, state: TideState) -> bool:
        """Never: the budget ends the search."""
        del state
        return False

    def value(self, individual: Individual) -> float:
        """Return what members are ranked by: the mean score less the penalty for length."""
        return individual.fitness - self._penalty(individual)

    def _penalty(self, individual: Individual) -> float:
        return self.length_penalty * length_of(individual) / PENALISED

    def _ranked(self, state: TideState, members: Sequence[Individual]) -> TideState:
        """Return the state with the best of these as its living; of several that show a model the same, the best."""
        kept: dict[object, Individual] = {}
        for one in sorted(members, key=lambda one: (-self.value(one), one.number)):
            kept.setdefault(one.prompt.shown, one)
        living = survivors(tuple(kept.values()), self.population, self.objectives)
        same = [one.number for one in self._incumbent(living)] == [one.number for one in self._incumbent(state.living)]
        return replace(state, living=living, idle=state.idle if same else 0)

    def _incumbent(self, living: Sequence[Individual]) -> tuple[Individual, ...]:
        """Return the member surest to be good, if there is one: who leads by luck on few rows comes and goes."""
        return tuple(sorted(living, key=lambda one: (-self._sure(one), one.number))[:1])

    def _sure(self, one: Individual) -> float:
        return sure_fitness(one.fitness, one.evaluation.count) - self._penalty(one)

    def _restarted(self, state: TideState) -> TideState:
        if self.patience is None or state.idle < self.patience or len(state.living) < 2:
            return state
        return replace(state, living=self._incumbent(state.living), idle=0, renewals=self.renewals)

    def _bred(self, state: TideState, rng: np.random.Generator) -> tuple[str, Proposal]:
        if state.renewals:
            return RENEWAL, self._renewal(state)
        weights = {
            name: weight
            for name, weight in self.weights.items()
            if recipe_for(name)[1] <= len(state.living) and (name != FewShot.name or state.brief.targets_are_replies)
        }
        if not any(weights.values()):
            weights = {"edit": 1.0}
        known = {credit.operator: credit for credit in state.credits}
        name = drawn_operator([known.get(name, Credit(name)) for name in weights], weights, rng)
        return name, recipe_for(name)[0](self._stock(state), rng)

    def _renewal(self, state: TideState) -> Proposal:
        brief = state.brief
        writer = Induce("zero-order", description=brief.description, labels=brief.labels, max_tokens=self.max_tokens)
        if not brief.description:
            writer = replace(writer, mode="forward", demos=brief.practice[:5])
        return Proposal(writer, state.living[:1], ("base",))

    def _stock(self, state: TideState) -> Stock:
        brief = state.brief
        return Stock(
            state.living,
            dict(state.origins),
            brief.labels,
            self.tournament,
            self.temperature,
            self.max_tokens,
            brief.dev,
            brief.practice,
            standing(state.living, self.objectives) or self.value,
        )

    def _credited(
        self, credit: Credit, birth: Birth | None, child: Individual, living: Sequence[Individual], fresh: bool
    ) -> Credit:
        """Return the credit after a birth: a gain counts as members are ranked, less what the child is longer."""
        if birth is None or birth.base is None or birth.operator != credit.operator:
            return credit
        base = next((one for one in living if one.number == birth.base.number), birth.base)
        gain = paired_gain(child, base) if fresh else None
        net = None if gain is None else gain - self._penalty(child) + self._penalty(base)
        return credit.after(net, fresh=fresh)

    def _first_credit(self, name: str) -> Credit:
        logged = {"induce": "induce-forward"}.get(name, name)
        known = self.credits or {}
        births, gain, *validity = known.get(name, known.get(logged, (0.0, 0.0)))
        fresh, spoilt = validity or (0, 0)
        return Credit(name, births, births * gain, fresh, spoilt)


def _check_credit(name: str, known: Sequence[float], weights: Mapping[str, float] | None) -> None:
    if weights is not None and name not in weights:  # an earlier run may have used others
        raise ConfigError(f"{NAME} expects credits of its operators, got {name!r}; leave it out")
    if isinstance(known, (str, float, int)) or len(known) not in (2, 4):
        raise ConfigError(
            f"{NAME} expects credits as [births, mean gain] or [births, mean gain, new, spoilt], got {known!r} for "
            f"{name}; give these"
        )
    births, gain, *validity = known
    between(NAME, f"the mean gain in the credit of {name}", gain, -1, 1)
    for count in (births, *validity):
        between(NAME, f"births in the credit of {name}", count, 0, 1e6)
