"""The best individual of a run, with what is known of it: scores with intervals, and the gain over the best seed."""

from __future__ import annotations

from dataclasses import dataclass

from evo.betting import AnytimeDifference
from evo.model import Individual, Prompt


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean score with its 95 % interval over ``n`` rows."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Gain:
    """Paired difference to the best seed prompt on the test rows, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    p_value: float
    confidence: float
    significant: bool


@dataclass(frozen=True, slots=True)
class Best:
    """The best individual. ``dev`` chose it and is therefore optimistic; ``test`` and ``gain`` are honest.

    They are None until the run has ended, or where there are no test rows. ``anytime`` holds where a test is looked at
    and goes on.
    """

    individual: Individual
    test: Estimate | None = None
    gain: Gain | None = None
    anytime: AnytimeDifference | None = None

    @property
    def prompt(self) -> Prompt:
        """Its prompt."""
        return self.individual.prompt

    @property
    def number(self) -> int:
        """Its number."""
        return self.individual.number

    @property
    def dev(self) -> float:
        """Mean score on the dev rows it was scored on."""
        return self.individual.fitness

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows (`evo.view.notebook`)."""
        from evo.view.notebook import best_bundle

        return best_bundle(self)
