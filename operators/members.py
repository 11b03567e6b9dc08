"""What a method does with an individual it already knows: more evidence replaces less."""

from __future__ import annotations

from collections.abc import Sequence

from evo.model import Individual


def renewed(members: Sequence[Individual], told: Individual) -> tuple[Individual, ...]:
    """Return the members in their order, the one of this number with what was found about it since."""
    return tuple(one.with_evidence_of(told) if one.number == told.number else one for one in members)
