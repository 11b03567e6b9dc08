"""APE's adaptive filtering (Zhou et al., ICLR 2023): most candidates are dropped on few rows, the last get all rows.

All candidates are scored on one small subset of the dev rows; the top fraction goes on to the next subset, which is
merged with what is known, until few remain: those are scored on all dev rows. The paper gives no numbers.
What differs: subsets are shared, beginnings of the run's stratified order of dev rows, so that any two candidates are
compared on the same rows; the paper's code draws each candidate's rows by itself. The best seed prompt is scored on all
rows too, even when it was dropped: a run's winner is compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from evo.model import Individual
from evo.ports import Evidence
from evo.rivals import untried
from operators.members import renewed
from operators.seeds import Seed
from operators.selection import Shown, ranked_on


@dataclass(frozen=True, slots=True)
class Sieve:
    """Candidates on their way to few.

    Args:
        rows: Dev rows in their shared order.
        subset: How many of them a stage adds.
        keep: Share of the candidates that a stage keeps.
        finalists: When no more than these are left they are scored on all rows.
    """

    rows: tuple[int, ...]
    subset: int
    keep: float
    finalists: int
    depth: int
    """How many rows candidates are compared on in the stage under way."""
    runners: tuple[Individual, ...] = ()
    """Who is left."""
    dropped: tuple[Individual, ...] = ()
    """Who is not, the last that were dropped first, each stage's best first."""

    @property
    def shared(self) -> tuple[int, ...]:
        """The rows of the stage under way, those of earlier stages included."""
        return self.rows[: self.depth]

    @property
    def wanted(self) -> tuple[Evidence, ...]:
        """What is to be scored before candidates can be compared."""
        lacking = ((one, untried(one, self.shared)) for one in self.runners)
        return tuple(Evidence(one, rows) for one, rows in lacking if rows)

    @property
    def closed(self) -> bool:
        """Whether everyone who is left has been scored on all rows."""
        return self.depth >= len(self.rows) and not self.wanted

    @property
    def ranking(self) -> tuple[Individual, ...]:
        """Everyone, best first."""
        return (*ranked_on(self.runners, self.shared), *self.dropped)

    def joined(self, arrivals: Iterable[Individual]) -> Sieve:
        """Return the sieve with more candidates; of several with one prompt the first stays."""
        known: dict[Shown, Individual] = {one.prompt.shown: one for one in self.ranking}
        new = [
            one
            for one in sorted(arrivals, key=lambda one: one.number)
            if known.setdefault(one.prompt.shown, one) is one
        ]
        return replace(self, runners=(*self.runners, *new))

    def informed(self, told: Iterable[Individual]) -> Sieve:
        """Return the sieve that knows of more evidence."""
        runners, dropped = self.runners, self.dropped
        for one in told:
            runners, dropped = renewed(runners, one), renewed(dropped, one)
        return replace(self, runners=runners, dropped=dropped)

    def advanced(self) -> Sieve:
        """Return the sieve at the next stage for which something is to be scored, or closed."""
        sieve = self
        while not sieve.wanted and sieve.depth < len(sieve.rows):
            sieve = sieve._filtered() if len(sieve.runners) > sieve.finalists else sieve._deepened(len(self.rows))
        return sieve

    def _filtered(self) -> Sieve:
        """Return the sieve without its worst, and with another subset of rows; with all rows when few are left."""
        ranked = ranked_on(self.runners, self.shared)
        count = max(self.finalists, math.ceil(self.keep * len(ranked)))
        sieve = replace(self, runners=ranked[:count], dropped=(*ranked[count:], *self.dropped))
        return sieve._deepened(len(self.rows) if count == self.finalists else self.depth + self.subset)

    def _deepened(self, depth: int) -> Sieve:
        """Return the sieve with more rows; with all of them the best seed is back."""
        if depth < len(self.rows):
            return replace(self, depth=depth)
        seed = next((place for place, one in enumerate(self.ranking) if one.operator == Seed.name), -1)
        count = len(self.runners)
        ranking = list(self.ranking)
        if seed >= count:
            ranking.insert(count, ranking.pop(seed))
            count += 1
        return replace(self, depth=len(self.rows), runners=tuple(ranking[:count]), dropped=tuple(ranking[count:]))
