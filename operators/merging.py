"""Merging two lineages: of each part the version that changed since the common ancestor (Agrawal et al. 2025).

No model is called. It needs prompts of several parts, evolved in turn: where one side changed the system text and the
other the instruction, the child has both changes. With a single part no pair ever qualifies.
What differs from the paper's code: all pairs of the front are looked through, instead of ten drawn ones; where both
sides changed a part and are equally fit, the shorter prompt, then the older counts as better, instead of a coin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from evo.model import Individual, Prompt, by_fitness
from evo.ports import Llm

ROLES = ("base", "mate", "ancestor")
ROWS = 5
"""Rows a merged prompt is compared with its parents on."""
Triple = tuple[Individual, Individual, Individual]


@dataclass(frozen=True, slots=True)
class Merge:
    """Return what two parents (base, mate) made of their ancestor, part by part."""

    name: ClassVar[str] = "merge"

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child; model and generator are not used."""
        del llm, rng
        base, mate, ancestor = parents
        return merged(base, mate, ancestor)


def merged(base: Individual, mate: Individual, ancestor: Individual) -> Prompt:
    """Return the merged prompt. The three must have parts of the same names."""
    better = min(base, mate, key=by_fitness)
    child = ancestor.prompt
    for name, old in ancestor.prompt.parts:
        one, other = base.prompt.part(name), mate.prompt.part(name)
        both = one != old and other != old
        child = child.with_part(name, better.prompt.part(name) if both else other if one == old else one)
    return child


def drawn_merge(
    front: Sequence[Individual],
    pool: Sequence[Individual],
    tried: Sequence[tuple[int, int, int]],
    rng: np.random.Generator,
) -> Triple | None:
    """Return two members of the front and a common ancestor in the pool, or None where no pair qualifies.

    Pairs are equally likely; of a pair's ancestors one is drawn in proportion to its fitness. What was ``tried``, or
    would give a prompt that lives, is left out.
    """
    by_pair: dict[tuple[int, int], list[Triple]] = {}
    for triple in _triples(sorted(front, key=lambda one: one.number), {one.number: one for one in pool}):
        base, mate, ancestor = triple
        known = any(one.prompt.shown == merged(*triple).shown for one in pool)
        if not known and (base.number, mate.number, ancestor.number) not in tried:
            by_pair.setdefault((base.number, mate.number), []).append(triple)
    if not by_pair:
        return None
    triples = list(by_pair.values())[int(rng.integers(len(by_pair)))]
    weights = np.array([ancestor.fitness for _, _, ancestor in triples])
    shares = weights / weights.sum() if weights.sum() > 0 else None
    return triples[int(rng.choice(len(triples), p=shares))]


def contested(
    base: Individual, mate: Individual, rows: Sequence[int], rng: np.random.Generator, count: int = ROWS
) -> tuple[int, ...]:
    """Return up to ``count`` rows both have a score on: about a third each where the one, the other, neither is better.

    Where a third has too few, rows of the others make up for it.
    """
    one, other = base.evaluation.scores, mate.evaluation.scores
    shared = [row for row in rows if row in one and row in other]
    signs = {row: (one[row] > other[row]) - (one[row] < other[row]) for row in shared}
    shuffled = [shared[int(place)] for place in rng.permutation(len(shared))]
    third = max(1, math.ceil(count / 3))
    first = [row for sign in (1, -1, 0) for row in [row for row in shuffled if signs[row] == sign][:third]][:count]
    rest = [row for row in shuffled if row not in first]
    return tuple(sorted((*first, *rest[: count - len(first)])))


def _triples(front: Sequence[Individual], pool: Mapping[int, Individual]) -> Iterator[Triple]:
    lines = {member.number: _ancestors(member, pool) for member in front}
    for base, mate in combinations(front, 2):
        if base.number in lines[mate.number] or mate.number in lines[base.number]:
            continue
        for number in sorted(lines[base.number] & lines[mate.number]):
            if _qualifies(base, mate, pool[number]):
                yield base, mate, pool[number]


def _ancestors(member: Individual, pool: Mapping[int, Individual]) -> set[int]:
    found: set[int] = set()
    coming = [number for number, _ in member.parents]
    while coming:
        number = coming.pop()
        if number in pool and number not in found:
            found.add(number)
            coming += [parent for parent, _ in pool[number].parents]
    return found


def _qualifies(base: Individual, mate: Individual, ancestor: Individual) -> bool:
    """Return whether both are at least as fit as the ancestor, and some part was changed by just one of them."""
    before, one, other = dict(ancestor.prompt.parts), dict(base.prompt.parts), dict(mate.prompt.parts)
    if not before.keys() == one.keys() == other.keys():
        return False
    changed = any((one[name] == before[name]) != (other[name] == before[name]) for name in before)
    return changed and ancestor.fitness <= min(base.fitness, mate.fitness)
