"""The Pareto front by row: who is best on at least one row, and on how many (Agrawal et al. 2025).

A specialist that is best on a few rows survives beside the best on average. With 0/1 scores and few rows much of the
front is luck: nearly everyone is best somewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from evo.model import Individual, by_fitness


def coverage(members: Sequence[Individual], rows: Sequence[int]) -> dict[int, int]:
    """Return on how many rows each member of the front is best, by number; ties count for each.

    A member is dominated, and left out, when on every row it is best on another that stays is as good. Members are
    judged from the worst up, so that of equals the fittest stays.
    """
    best_on = _best_on(members, rows)
    for member in sorted(members, key=by_fitness, reverse=True):
        mine = [best for best in best_on if member.number in best]
        if all(len(best) > 1 for best in mine):
            for best in mine:
                best.remove(member.number)
    counts = Counter(number for best in best_on for number in best)
    return {number: counts[number] for number in sorted(counts)}


def drawn_order(front: dict[int, int], rng: np.random.Generator) -> tuple[int, ...]:
    """Return the front's numbers, each place drawn from those left in proportion to the rows they are best on."""
    if not front:
        return ()
    shares = np.array(list(front.values()), dtype=float)
    places = rng.choice(len(front), size=len(front), replace=False, p=shares / shares.sum())
    return tuple(list(front)[int(place)] for place in places)


def _best_on(members: Sequence[Individual], rows: Sequence[int]) -> list[set[int]]:
    """Return for each row that anyone has a score on the numbers of those with the highest."""
    scores = {member.number: member.evaluation.scores for member in members}
    found: list[set[int]] = []
    for row in rows:
        here = {number: known[row] for number, known in scores.items() if row in known}
        highest = max(here.values(), default=None)
        if highest is not None:
            found.append({number for number, score in here.items() if score == highest})
    return found
