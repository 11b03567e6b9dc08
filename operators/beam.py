"""State of a beam search whose rounds go through stages, each closed before the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from evo.model import OK, Example, Individual, Prompt, by_fitness
from evo.ports import Evidence, Proposal
from operators.bandits import Contest
from operators.members import renewed
from operators.rows import scores_of
from operators.stages import Stage, rows_of

Phase = Literal["rest", "seeds", "predict", "criticise", "edit", "paraphrase", "reject", "select", "confirm"]
"""What the stage under way is about; ``rest`` between rounds."""
Families = tuple[tuple[Individual, ...], ...]
"""Successors of each member of the beam, in the order of the members."""


@dataclass(frozen=True, slots=True)
class Beam:
    """State of `operators.protegi.ProTeGi`."""

    seeds: tuple[Prompt, ...]
    dev: tuple[int, ...]
    """Rows candidates are compared on."""
    pool: tuple[Example, ...]
    """Rows minibatches are drawn from."""
    parts: tuple[str, ...]
    """Parts that may be edited, one a round."""
    members: tuple[Individual, ...] = ()
    """The beam, best first."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals, fittest first; they wait for the next selection."""
    round: int = 0
    """The round under way or to come; round 0 chooses among the seeds."""
    phase: Phase = "rest"
    draw: int = 0
    """Seed of everything drawn in this round after its first step."""
    part: str = ""
    """The part edited in this round."""
    minibatch: tuple[Example, ...] = ()
    """Shared by all members."""
    stage: Stage = field(default_factory=Stage)
    families: Families = ()
    arms: tuple[Individual, ...] = ()
    """Who takes part in the selection, in the order that decides ties."""
    contest: Contest | None = None
    latest: int = -1
    """Highest number asked for or told: who is told later and not awaited has come from elsewhere."""

    def breeding(self, phase: Phase, births: Iterable[Proposal]) -> Beam:
        """Return the state with a stage of births."""
        return replace(self, phase=phase, stage=Stage(tuple(births)))

    def trying(self, phase: Phase, wanted: Iterable[tuple[Individual, Sequence[int]]]) -> Beam:
        """Return the state with a stage that tries individuals on those of the rows wanted they were not tried on."""
        new = [(one, tuple(row for row in rows if row not in rows_of(one))) for one, rows in wanted]
        return replace(self, phase=phase, stage=Stage(tuple(Evidence(one, rows) for one, rows in new if rows)))

    def informed(self) -> Beam:
        """Return the state in which everyone has the evidence of the stage."""
        state = self
        for one in self.stage.told:
            state = state.knowing(one)
        return state

    def knowing(self, known: Individual) -> Beam:
        """Return the state with more evidence of someone it knows."""
        return replace(
            self,
            members=renewed(self.members, known),
            arms=renewed(self.arms, known),
            families=tuple(renewed(family, known) for family in self.families),
            stage=self.stage.informed(known),
            immigrants=renewed(self.immigrants, known),
        )

    def visited(self, immigrant: Individual, most: int) -> Beam:
        """Return the state with an immigrant waiting; of more than ``most`` the fittest wait."""
        if immigrant.status != OK or not immigrant.prompt.shown:
            return replace(self, latest=immigrant.number)
        waiting = sorted((*self.immigrants, immigrant), key=by_fitness)[:most]
        return replace(self, latest=immigrant.number, immigrants=tuple(waiting))


def scores_on(individual: Individual, rows: Iterable[int]) -> list[float | None]:
    """Return an individual's score on each of these rows, dev or train; None where there is none."""
    known = scores_of(individual)
    return [known.get(row) for row in rows]
