"""What APE knows, and how it goes on when something is told: births, then the sieve, as many times as there are rounds.

Nothing here depends on the order in which the steps of one stage are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from evo.model import OK, Brief, Individual, by_fitness
from evo.ports import Proposal
from operators.members import renewed
from operators.selection import best
from operators.sieve import Sieve
from operators.stages import Stage

Phase = Literal["rest", "births", "sieve", "done"]
"""What the stage under way is about; ``rest`` before a round's births are planned."""


@dataclass(frozen=True, slots=True)
class ApeState:
    """State of `operators.ape.Ape`."""

    brief: Brief
    sieve: Sieve
    rounds: int
    """Rounds in all, the first one among them."""
    round: int = 0
    """Rounds completed."""
    phase: Phase = "rest"
    stage: Stage = field(default_factory=Stage)
    immigrants: tuple[Individual, ...] = ()
    """Arrivals, fittest first; they wait for the next stage of the sieve."""
    latest: int = -1
    """Highest number asked for or told: who is told later and not awaited has come from elsewhere."""

    @property
    def living(self) -> tuple[Individual, ...]:
        """The best of those who are left, as far as is known, one for each prompt."""
        found = {one.number: one for one in (*self.sieve.runners, *self.stage.living)}
        return best(found.values(), self.sieve.finalists)

    def bearing(self, births: Iterable[Proposal], sieve: Sieve) -> ApeState:
        """Return the state with a round's births under way; ``sieve`` is where they will be put."""
        return replace(self, phase="births", stage=Stage(tuple(births)), sieve=sieve)

    def told(self, individual: Individual) -> ApeState:
        """Return the state that knows this individual; the last of a stage opens the next."""
        if self.stage.awaits(individual):
            state = replace(self, stage=self.stage.tell(individual))
            return state._settled() if state.stage.closed else state
        if individual.number <= self.latest:
            return self._informed(individual)
        if self.phase == "done":
            return self
        state = replace(self, latest=individual.number)
        if individual.status != OK or not individual.prompt.shown:
            return state
        waiting = sorted((*self.immigrants, individual), key=by_fitness)[: self.sieve.finalists]
        state = replace(state, immigrants=tuple(waiting))
        return state._settled() if state.phase == "sieve" and state.stage.closed else state

    def _informed(self, known: Individual) -> ApeState:
        """Return the state with more evidence of someone it knows."""
        immigrants = renewed(self.immigrants, known)
        return replace(
            self, sieve=self.sieve.informed([known]), stage=self.stage.informed(known), immigrants=immigrants
        )

    def _settled(self) -> ApeState:
        """Return the state after all that follows from a closed stage; without anybody alive it stays closed."""
        sieve = self.sieve.informed(self.stage.told) if self.phase == "sieve" else self.sieve.joined(self.stage.living)
        sieve = sieve.joined(self.immigrants)
        if sieve.runners:
            sieve = sieve.advanced()
        state = replace(self, phase="sieve", sieve=sieve, immigrants=(), stage=Stage(sieve.wanted))
        if not sieve.runners or not sieve.closed:
            return state
        over = self.round + 1 == self.rounds
        return replace(state, round=self.round + 1, phase="done" if over else "rest")
