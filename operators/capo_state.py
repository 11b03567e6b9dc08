"""What CAPO knows: members, the births under way, the race under way; and how it goes on when something is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from evo.model import FAILED, OK, Brief, Example, Individual, Prompt, demos_of
from operators.brood import Brood
from operators.capo_operators import ShotChange
from operators.few_shot import unused
from operators.members import renewed
from operators.race import Block, Race, Rule, blocks_of, length_of
from operators.selection import best
from operators.stages import rows_of
from operators.told import Told

Stage = Literal["seeds", "examples", "crossover", "mutation"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the mutation of a crossover's child will do to its worked examples."""

    number: int
    """Of the child."""
    change: ShotChange = "keep"
    example: Example | None = None
    """What is to be added; the child answers it once it is born."""
    asked: bool = False
    """Whether the child's answer was asked for."""


@dataclass(frozen=True, slots=True)
class CapoState:
    """State of `Capo`. Between two steps there is neither a race nor a birth to tell."""

    brief: Brief
    rows: tuple[Example, ...]
    """Rows that may become worked examples."""
    blocks: tuple[Block, ...]
    """Dev rows to race on, in the order of the step under way."""
    rule: Rule
    brood: Brood
    stage: Stage = "seeds"
    """What the brood is, or was."""
    shots: tuple[tuple[Prompt, tuple[Example, ...]], ...] = ()
    """Seed and worked examples of the first population's births; drawn with the very first birth."""
    newborn: tuple[Individual, ...] = ()
    """Candidates of the first race so far; then the children of crossovers, to be mutated."""
    plans: tuple[Plan, ...] = ()
    race: Race | None = None
    members: tuple[Individual, ...] = ()
    """Who lives: survivors of the last race, best first; before the first race everyone born, by number."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals by number; they wait for the next race."""
    step: int = 0
    """Steps completed, the first population not counted."""
    depth: int = 0
    """Most blocks anyone has been raced on."""
    seen: Told = field(default_factory=Told)

    @property
    def unanswered(self) -> tuple[tuple[Individual, Plan, int], ...]:
        """Children of crossovers that have not answered the row their mutation will add, and that row."""
        if self.stage != "mutation":
            return ()
        plans = {plan.number: plan for plan in self.plans}
        planned = ((one, plans[one.number], plans[one.number].example) for one in self.newborn)
        return tuple((one, plan, row.number) for one, plan, row in planned if row and row.number not in rows_of(one))

    def asking(self, plan: Plan) -> CapoState:
        """Return the state in which the answer of a plan's child is asked for."""
        plans = tuple(replace(other, asked=True) if other is plan else other for other in self.plans)
        return replace(self, plans=plans)

    @property
    def rests(self) -> bool:
        """Whether it is between two steps."""
        return self.race is None and self.brood.closed

    @property
    def living(self) -> tuple[Individual, ...]:
        """The best of members and, while births or a race are under way, of all candidates with a dev score."""
        if self.race is not None:
            return best(self.race.candidates, self.rule.keep)
        first = self.newborn if self.stage in ("seeds", "examples") else ()
        born = self.brood.living if self.stage != "crossover" else ()
        return best((*self.members, *first, *born), self.rule.keep)


def first_state(brief: Brief, rule: Rule, block_size: int, most: int, upper_shots: int) -> CapoState:
    """Return the state before the first birth.

    Without train rows a tenth of the dev rows, and at least ``upper_shots``, is set aside for worked examples and never
    raced on, as far as that leaves half of them.
    """
    aside = 0 if brief.train or not upper_shots else min(max(upper_shots, len(brief.dev) // 10), len(brief.dev) // 2)
    rows = (brief.train or brief.dev[:aside]) if upper_shots else ()
    blocks = blocks_of([row.number for row in brief.dev[aside:]], block_size, most)
    brief = replace(brief, seeds=tuple(dict.fromkeys(brief.seeds)))
    return CapoState(brief, rows, blocks, rule, Brood(len(brief.seeds)))


def planned(
    number: int, pair: tuple[Individual, Individual], state: CapoState, upper_shots: int, rng: np.random.Generator
) -> Plan:
    """Return what will be done to the worked examples of a pair's child: add one, remove one or none, a third each.

    An example to add is one neither parent has. Where none can be added or removed they are kept.
    """
    first, second = (demos_of(parent.prompt) for parent in pair)
    count = (len(first) + len(second)) // 2
    free = unused((*first, *second), state.rows)
    change = ("add", "remove", "keep")[int(rng.integers(3))]
    if change == "add" and count < upper_shots and free:
        return Plan(number, "add", free[int(rng.integers(len(free)))])
    return Plan(number, "remove") if change == "remove" and count else Plan(number)


def receive(state: CapoState, individual: Individual) -> CapoState:
    """Return the state that knows of a birth, of evidence or of an immigrant; twice told changes nothing."""
    number = individual.number
    known = number in state.seen
    state = replace(state, seen=state.seen.add(number))
    if state.brood.awaits(number):
        return _settled(replace(state, brood=state.brood.tell(individual)))
    if state.race is not None and any(one.number == number for one in state.race.candidates):
        return _settled(replace(state, race=state.race.tell(individual)))
    if known:
        return _informed(state, individual)
    if individual.status != OK or not individual.prompt.shown:
        return state
    arrivals = sorted((*state.immigrants, individual), key=lambda arrival: arrival.number)
    return _settled(replace(state, immigrants=tuple(arrivals)))


def _informed(state: CapoState, known: Individual) -> CapoState:
    """Return the state with more evidence of someone it knows, who is in no race."""
    return replace(
        state,
        brood=state.brood.informed(known),
        newborn=renewed(state.newborn, known),
        members=renewed(state.members, known),
        immigrants=renewed(state.immigrants, known),
    )


def _settled(state: CapoState) -> CapoState:
    """Return the state after all that follows from what was told."""
    if state.race is not None and state.race.closed:
        raced = replace(state, members=state.race.survivors, race=None, depth=state.race.depth)
        return _stepped(raced)
    if state.rests and state.brood.size:
        return _settled(_after_brood(state))
    if state.rests and not state.members and state.immigrants:
        return _settled(_raced(state, ()))
    return state


def _after_brood(state: CapoState) -> CapoState:
    """Return the state in which the next brood may be asked for, or the race has begun."""
    born = tuple(one for one in state.brood.told if one.status != FAILED)
    if state.stage == "seeds":
        alive = {one.prompt for one in born}
        shots = tuple(shot for shot in state.shots if shot[0] in alive)
        state = replace(state, newborn=born, shots=shots, stage="examples", brood=Brood(len(shots)))
        return state if shots else _first_members(state)
    if state.stage == "examples":
        return _first_members(replace(state, newborn=(*state.newborn, *born)))
    if state.stage == "crossover" and born:
        return replace(state, newborn=born, stage="mutation", brood=Brood(len(born)))
    children = born if state.stage == "mutation" else ()
    return _raced(replace(state, newborn=(), plans=(), stage="mutation", brood=Brood(0)), children)


def _first_members(state: CapoState) -> CapoState:
    """Return the state in which all that was born lives; the longest is the measure of length for good."""
    members = tuple(one for one in state.newborn if one.ok)
    rule = replace(state.rule, longest=max(map(length_of, members), default=0))
    return replace(state, rule=rule, members=members, newborn=(), brood=Brood(0), depth=min(1, len(members)))


def _raced(state: CapoState, newborn: Iterable[Individual]) -> CapoState:
    """Return the state with members, newborn and immigrants in a race; a step on where there is nothing to decide.

    Of several with one prompt only one runs: a member, else the oldest.
    """
    entrants = {
        one.prompt.shown: one for one in (*state.immigrants, *reversed(tuple(newborn)), *reversed(state.members))
    }
    runners = tuple(sorted(entrants.values(), key=lambda one: one.number))
    state = replace(state, newborn=(), immigrants=())
    if len(runners) <= state.rule.keep and {one.number for one in runners} == {one.number for one in state.members}:
        return _stepped(state)
    longest = state.rule.longest or max(map(length_of, runners))
    rule = replace(state.rule, longest=longest)
    return replace(state, rule=rule, race=Race(rule, state.blocks, runners, depth=state.depth).judged())


def _stepped(state: CapoState) -> CapoState:
    return replace(state, step=state.step + (state.stage == "mutation"))
