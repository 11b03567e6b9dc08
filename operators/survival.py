"""Who survives, and who breeds, where prompts are compared by several objectives (NSGA-II; Deb et al. 2002).

DEAP sorts into fronts and measures the room around each. Unlike NSGA-II, the best by quality always stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from evo.model import Individual
from evo.objectives import QUALITY, checked_objectives, goals
from operators.deap_selection import fronts


def check_objectives(owner: str, objectives: Sequence[str]) -> None:
    """Return nothing. Raises ConfigError unless they are quality alone, or with other objectives."""
    if objectives not in ((QUALITY,), [QUALITY]):
        checked_objectives(objectives, owner)


def survivors(members: Sequence[Individual], size: int, objectives: Sequence[str]) -> tuple[Individual, ...]:
    """Return at most ``size`` of the members in their order: those of the first fronts, of the last the loneliest.

    The first member, the best by quality, always survives. Ties go to whoever comes first. With quality alone they are
    the first.
    """
    rank = standing(members, objectives)
    if rank is None or len(members) <= size:
        return tuple(members[:size])
    others = sorted(members[1:], key=rank, reverse=True)[: size - 1]
    kept = {member.number for member in (*members[:1], *others)}
    return tuple(member for member in members if member.number in kept)


def standing(members: Sequence[Individual], objectives: Sequence[str]) -> Callable[[Individual], float] | None:
    """Return what members are compared by, higher is better: first the front, within it the room around one.

    None with quality alone.
    """
    if tuple(objectives) == (QUALITY,):
        return None
    values = [tuple(row) for row in goals(members, objectives).tolist()]
    found: dict[int, float] = {}
    for depth, front in enumerate(fronts(members, values)):
        for individual, room in front:
            found[individual.number] = (1.0 if math.isinf(room) else room / (1 + room)) - depth
    return lambda individual: found[individual.number]
