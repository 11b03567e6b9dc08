"""What generational methods share: seeds and paraphrases first, then broods, each closed before the next begins.

Nothing here depends on the order in which the births of one brood are told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evo.model import Individual
from operators.brood import Brood
from operators.initialisation import Nursery, require_living
from operators.members import renewed
from operators.selection import best
from operators.told import Told
from operators.worked_examples import Family


@dataclass(frozen=True, slots=True)
class Generations:
    """State of a generational method."""

    nursery: Nursery
    example: Family
    """Worked example for the operator, of another task family than the task."""
    living: tuple[Individual, ...] = ()
    brood: Brood = field(default_factory=lambda: Brood(0))
    """Births of the generation under way; closed between generations."""
    generation: int = 0
    """Generations completed."""
    pool: tuple[Individual, ...] = ()
    """Parents drawn for the generation under way."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals by number; they wait for the end of the generation."""
    seen: Told = field(default_factory=Told)
    """Numbers told so far."""

    @property
    def population(self) -> tuple[Individual, ...]:
        """The living; during initialisation the best so far."""
        return self.living if self.nursery.closed else self.nursery.members


Merge = Callable[[Generations], tuple[Individual, ...]]
"""Makes the next population of the living, a closed brood and the immigrants."""


def receive(state: Generations, individual: Individual, merge: Merge) -> Generations:
    """Return the state that knows a birth's outcome, more evidence or an immigrant; twice told changes nothing."""
    number = individual.number
    if number in state.seen:
        return _informed(state, individual)
    state = replace(state, seen=state.seen.add(number))
    if state.nursery.awaits(number):
        state = replace(state, nursery=state.nursery.tell(individual))
        return _settled(state) if state.nursery.closed else state
    if state.brood.awaits(number):
        state = replace(state, brood=state.brood.tell(individual))
        return _next(state, merge) if state.brood.closed else state
    if individual.ok:
        arrivals = sorted((*state.immigrants, individual), key=lambda arrival: arrival.number)
        return replace(state, immigrants=tuple(arrivals))
    return state


def _informed(state: Generations, known: Individual) -> Generations:
    """Return the state with more evidence of someone it knows."""
    return replace(
        state,
        nursery=state.nursery.informed(known),
        living=renewed(state.living, known),
        brood=state.brood.informed(known),
        pool=renewed(state.pool, known),
        immigrants=renewed(state.immigrants, known),
    )


def with_enough(state: Generations, least: int) -> Generations:
    """Return a state in which at least ``least`` prompts live, waiting immigrants taken in where they are needed.

    Raises:
        ConfigError: There are not as many.
    """
    if len(state.living) >= least:
        return state
    state = _settled(state)
    require_living(state.living, least)
    return state


def _settled(state: Generations) -> Generations:
    """Return the state with the first population, immigrants that came meanwhile among it."""
    living = best((*state.nursery.members, *state.living, *state.immigrants), state.nursery.size)
    return replace(state, living=living, immigrants=())


def _next(state: Generations, merge: Merge) -> Generations:
    return replace(state, living=merge(state), brood=Brood(0), generation=state.generation + 1, pool=(), immigrants=())
