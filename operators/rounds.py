"""A round of Promptbreeder's tournaments: compare, decide, prepare, breed. Each stage ends before the next begins.

Thus all copies of a round are bred from one population, whatever the order in which births are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from evo.model import OK, Individual
from evo.ports import Evidence
from operators.breeder_recipes import HYPER, Plan
from operators.brood import Brood
from operators.tournaments import Meetings
from operators.units import Slots, Unit, living, placed


@dataclass(frozen=True, slots=True)
class Round:
    """The round under way."""

    meetings: Meetings
    evidence: tuple[Evidence, ...]
    """What the stage needs to know: scores of both sides, later workings of winners."""
    asked: int = 0
    """How many of these requests were made."""
    plans: tuple[Plan, ...] | None = None
    """Replications; None while the tournaments are undecided."""
    mutants: Brood = field(default_factory=lambda: Brood(0))
    """New mutation-prompts, in the order of the plans that need one."""
    children: Brood | None = None
    """Copies of winners, in the order of the plans; None while something is being prepared."""

    @property
    def hyper(self) -> tuple[Plan, ...]:
        """The plans that need a new mutation-prompt."""
        return tuple(plan for plan in self.plans or () if plan.operator in HYPER)

    def gathered(self, slots: Slots) -> bool:
        """Return whether the stage's evidence is there, and its mutation-prompts are."""
        units = {unit.individual.number: unit for unit in living(slots)}
        known = all(units[one.individual.number].knows(one.examples) for one in self.evidence)
        return self.asked == len(self.evidence) and known and self.mutants.closed

    def carrier(self, plan: Plan, slots: Slots) -> Individual | None:
        """Return whose mutation-prompt a copy gets: the new one, or its parent's. None where the new one failed."""
        if plan.operator not in HYPER:
            winner = slots[plan.winner]
            return None if winner is None else winner.carrier
        number = self.mutants.numbers[self.hyper.index(plan)]
        return next((one for one in self.mutants.told if one.number == number and one.status == OK), None)

    def conceived(self, slots: Slots) -> Round:
        """Return the round with its copies about to be bred."""
        return replace(self, children=Brood(len(self.fertile(slots))))

    def fertile(self, slots: Slots) -> tuple[Plan, ...]:
        """Return the plans that lead to a birth, in the order of the births."""
        return tuple(plan for plan in self.plans or () if self.carrier(plan, slots) is not None)

    def settled(self, slots: Slots) -> Slots:
        """Return the slots after the round: each copy in its loser's place, the loser where its birth failed."""
        assert self.children is not None
        after = slots
        for place, plan in enumerate(self.fertile(slots)):
            child, carrier, winner = self.children.at(place), self.carrier(plan, slots), slots[plan.winner]
            if child is not None and carrier is not None and winner is not None:
                after = placed(after, plan.slot, Unit(child, carrier, plan.temperature, winner.elites))
        return after


def comparison(meetings: Meetings, slots: Slots) -> Round:
    """Return a round at its beginning: what must be known of those who meet."""
    return Round(meetings, requests((unit, meeting.rows) for meeting in meetings for unit in meeting.sides(slots)))


def requests(wanted: Iterable[tuple[Unit, tuple[int, ...]]]) -> tuple[Evidence, ...]:
    """Return requests for the rows that are not known yet."""
    unknown = ((unit, unit.unknown(rows)) for unit, rows in wanted)
    return tuple(Evidence(unit.individual, rows) for unit, rows in unknown if rows)
