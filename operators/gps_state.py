"""What GPS knows, and how it goes on when something is told: births, selection, and at last fresh rows for the best.

Nothing here depends on the order in which the steps of one stage are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from evo.model import OK, Individual, Prompt, by_fitness
from evo.ports import Evidence, Proposal
from operators.members import renewed
from operators.seeds import Seed
from operators.selection import best, ranked_on
from operators.stages import Stage, rows_of

Phase = Literal["rest", "births", "measure", "final", "done"]
"""What the stage under way is about; ``rest`` before a generation is planned."""


@dataclass(frozen=True, slots=True)
class GpsState:
    """State of `operators.gps.Gps`."""

    seeds: tuple[Prompt, ...]
    sample: tuple[int, ...]
    """Dev rows that prompts are selected by."""
    fresh: tuple[int, ...]
    """Dev rows that finalists are scored on in the end."""
    top_k: int
    finalists: int
    generations: int | None
    generation: int = 0
    """Selections made, that of the seeds among them."""
    phase: Phase = "rest"
    stage: Stage = field(default_factory=Stage)
    entrants: tuple[Individual, ...] = ()
    """Newborn and immigrants, while the sample's rows some of them lack are scored."""
    survivors: tuple[Individual, ...] = ()
    """Who is reproduced, best first."""
    archive: tuple[Individual, ...] = ()
    """The best survivors of all generations: as many as can still be returned or reproduced."""
    seed: Individual | None = None
    """The best seed, which the winner will be compared with."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals, fittest first; they wait for the next selection."""
    latest: int = -1
    """Highest number asked for or told: who is told later and not awaited has come from elsewhere."""

    @property
    def living(self) -> tuple[Individual, ...]:
        """The best of the archive and of what was told since, as far as is known."""
        found = {one.number: one for one in (*self.archive, *self.entrants, *self.stage.living)}
        return best(found.values(), self.top_k)

    def bearing(self, births: Iterable[Proposal]) -> GpsState:
        """Return the state with the births of a generation under way."""
        return replace(self, phase="births", stage=Stage(tuple(births)))

    def told(self, individual: Individual) -> GpsState:
        """Return the state that knows this individual; the last of a stage opens the next."""
        if self.stage.awaits(individual):
            return replace(self, stage=self.stage.tell(individual))._settled()
        if individual.number <= self.latest:
            return self._better_known(individual)
        if self.phase == "done":
            return self
        state = replace(self, latest=individual.number)
        if individual.status != OK or not individual.prompt.shown:
            return state
        waiting = sorted((*self.immigrants, individual), key=by_fitness)[: self.top_k]
        state = replace(state, immigrants=tuple(waiting))
        return state._measured(()) if state.phase == "rest" and state.generation and not state.survivors else state

    def _better_known(self, known: Individual) -> GpsState:
        """Return the state with more evidence of someone it knows."""
        seed = self.seed if self.seed is None else renewed([self.seed], known)[0]
        return replace(
            self,
            stage=self.stage.informed(known),
            entrants=renewed(self.entrants, known),
            survivors=renewed(self.survivors, known),
            archive=renewed(self.archive, known),
            seed=seed,
            immigrants=renewed(self.immigrants, known),
        )

    def _settled(self) -> GpsState:
        """Return the state after all that follows from what was told."""
        if not self.stage.closed:
            return self
        if self.phase == "births":
            return self._measured(self.stage.living)
        if self.phase == "measure":
            return self._selected(_informed(self.entrants, self.stage))
        return replace(self, phase="done", archive=_informed(self.archive, self.stage), stage=Stage())

    def _measured(self, newborn: Sequence[Individual]) -> GpsState:
        """Return the state with evidence under way for those who lack rows of the sample, or after the selection."""
        entrants = (*newborn, *self.immigrants)
        state = replace(self, entrants=entrants, immigrants=())
        return state._gathering("measure", entrants, self.sample)._settled()

    def _selected(self, entrants: Sequence[Individual]) -> GpsState:
        """Return the state after a selection among those who are new; without any the survivors stay."""
        seen = {one.prompt.shown for one in (*self.survivors, *self.archive)}
        ranked = [one for one in ranked_on(entrants, self.sample) if one.ok and one.prompt.shown not in seen]
        archive = ranked_on((*self.archive, *ranked[: self.top_k]), self.sample)
        state = replace(
            self,
            generation=self.generation + 1,
            phase="rest",
            stage=Stage(),
            entrants=(),
            survivors=tuple(ranked[: self.top_k]) or self.survivors,
            archive=archive[: max(self.top_k, self.finalists)],
            seed=self.seed or next((one for one in ranked if one.operator == Seed.name), None),
        )
        if self.generations is None or state.generation <= self.generations or not state.archive:
            return state
        finalists = {one.number: one for one in (*state.archive[: self.finalists], *filter(None, [state.seed]))}
        return state._gathering("final", tuple(finalists.values()), self.fresh)._settled()

    def _gathering(self, phase: Phase, whom: Sequence[Individual], rows: Sequence[int]) -> GpsState:
        """Return the state with evidence under way for those who were not tried on all of these rows."""
        lacking = [(one, tuple(row for row in rows if row not in rows_of(one))) for one in whom]
        return replace(self, phase=phase, stage=Stage(tuple(Evidence(one, new) for one, new in lacking if new)))


def _informed(known: Sequence[Individual], stage: Stage) -> tuple[Individual, ...]:
    for one in stage.told:
        known = renewed(known, one)
    return tuple(known)
