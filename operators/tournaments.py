"""Binary tournaments between slots of a population: who meets whom, on which rows, and who wins (Promptbreeder's).

Both sides are scored on the same fresh random batch. The timetable is drawn ahead, as far as it is needed, so that
a newborn can be scored at its birth on the batch of its first tournament. Batches that decide no tournament: the one
all seeds are scored on, and those of copies bred in the last round. With fitness sharing what a side scores is divided
by the niche count of its prompt, for this decision alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evo.model import by_fitness
from operators.units import Slots, Unit

Form = Literal["generational", "steady-state"]
ALONE: Mapping[int, float] = {}
"""Niche counts where nobody shares."""
EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Tournament:
    """Two slots that meet, and the dev rows that decide."""

    slots: tuple[int, int]
    rows: tuple[int, ...]

    def sides(self, slots: Slots) -> tuple[Unit, ...]:
        """Return the units that meet; where a slot is empty there is one, or none."""
        return tuple(unit for slot in self.slots if (unit := slots[slot]) is not None)

    def decided(self, slots: Slots, niches: Mapping[int, float] = ALONE) -> tuple[int, int] | None:
        """Return the slots of winner and loser; None where both are empty.

        The higher mean on the rows both have a score for wins. A tie, or no such row, goes to the fitter by all
        evidence, then the shorter, then the older. Whoever meets an empty slot wins. ``niches`` are the niche counts,
        by slot, that means are divided by, 1 where a slot has none; between two means of 0 the lower count wins.
        """
        first, second = self.slots
        a, b = slots[first], slots[second]
        if a is None or b is None:
            return None if a is b else (first, second) if b is None else (second, first)
        ours, theirs = a.individual.evaluation.scores, b.individual.evaluation.scores
        shared = [row for row in self.rows if row in ours and row in theirs]
        crowd, their_crowd = niches.get(first, 1.0), niches.get(second, 1.0)
        lead = sum(ours[row] for row in shared) / crowd - sum(theirs[row] for row in shared) / their_crowd
        if abs(lead) < EQUAL and shared:
            lead = their_crowd - crowd
        if abs(lead) < EQUAL:
            lead = 1 if by_fitness(a.individual) < by_fitness(b.individual) else -1
        return (first, second) if lead > 0 else (second, first)


Meetings = tuple[Tournament, ...]


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rounds to come. A round is a shuffle of all slots into pairs, or in the steady-state form one random pair."""

    size: int
    form: Form
    dev: tuple[int, ...]
    batch: int
    rounds: tuple[Meetings, ...] = ()

    def until(self, slot: int, rng: np.random.Generator) -> Timetable:
        """Return the timetable, drawn on until the slot takes part."""
        rounds = list(self.rounds)
        while not any(slot in tournament.slots for meetings in rounds for tournament in meetings):
            rounds.append(self._drawn(rng))
        return replace(self, rounds=tuple(rounds))

    def rows_of(self, slot: int) -> tuple[int, ...]:
        """Return the rows of the slot's next tournament. Raises StopIteration when none is drawn yet."""
        return next(meeting.rows for meetings in self.rounds for meeting in meetings if slot in meeting.slots)

    def opened(self, rng: np.random.Generator) -> tuple[Meetings, Timetable]:
        """Return the next round, and the timetable without it."""
        first, *rest = self.rounds or (self._drawn(rng),)
        return first, replace(self, rounds=tuple(rest))

    def batch_of(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Return a fresh random batch of dev rows; all of them where there are no more."""
        places = rng.choice(len(self.dev), size=min(self.batch, len(self.dev)), replace=False)
        return tuple(self.dev[int(place)] for place in places)

    def _drawn(self, rng: np.random.Generator) -> Meetings:
        order = [int(slot) for slot in rng.permutation(self.size)]
        pairs = self.size // 2 if self.form == "generational" else 1
        return tuple(Tournament((order[2 * pair], order[2 * pair + 1]), self.batch_of(rng)) for pair in range(pairs))
