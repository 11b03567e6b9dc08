"""Steps that belong together: births or evidence, asked for one at a time, told in any order, closed when all are told.

Unlike a brood, a stage is planned as a whole before its first step, and may gather evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evo.model import OK, Individual
from evo.ports import Evidence, Proposal
from operators.members import renewed


@dataclass(frozen=True, slots=True)
class Stage:
    """A plan and what has come of it. Two stages told the same are equal, whatever the order of telling.

    No individual may be given evidence twice in one stage.
    """

    plan: tuple[Proposal | Evidence, ...] = ()
    numbers: tuple[int, ...] = ()
    """The individual each step asked for leads to, in the order of the plan."""
    told: tuple[Individual, ...] = ()
    """By number, failed births included."""

    @property
    def closed(self) -> bool:
        """Whether every step has been told; a stage without steps is closed."""
        return len(self.told) == len(self.plan)

    @property
    def results(self) -> tuple[Individual | None, ...]:
        """What each step of the plan led to; None for a failed birth and for what is not told."""
        known = {one.number: one for one in self.told if one.status == OK}
        missing = (None,) * (len(self.plan) - len(self.numbers))
        return (*(known.get(number) for number in self.numbers), *missing)

    @property
    def living(self) -> tuple[Individual, ...]:
        """What was told and is no failed birth, by number."""
        return tuple(one for one in self.told if one.status == OK)

    def ask(self, number: int) -> tuple[Proposal | Evidence | None, Stage]:
        """Return the next step and the stage with it under way; None when all are asked for."""
        if len(self.numbers) == len(self.plan):
            return None, self
        step = self.plan[len(self.numbers)]
        leads_to = step.individual.number if isinstance(step, Evidence) else number
        return step, replace(self, numbers=(*self.numbers, leads_to))

    def awaits(self, individual: Individual) -> bool:
        """Return whether this ends a step that was asked for: evidence does only with all the rows asked for."""
        if individual.number not in self.numbers or any(one.number == individual.number for one in self.told):
            return False
        step = self.plan[self.numbers.index(individual.number)]
        return isinstance(step, Proposal) or rows_of(individual).issuperset(step.examples)

    def tell(self, individual: Individual) -> Stage:
        """Return the stage that knows how a step ended."""
        return replace(self, told=tuple(sorted((*self.told, individual), key=lambda one: one.number)))

    def informed(self, known: Individual) -> Stage:
        """Return the stage with more evidence of one of those told."""
        return replace(self, told=renewed(self.told, known))


def rows_of(individual: Individual) -> frozenset[int]:
    """Return the rows an individual was tried on, dev and train alike, those without a score among them."""
    return frozenset(o.example for o in (*individual.evaluation.outcomes, *individual.practice.outcomes))
