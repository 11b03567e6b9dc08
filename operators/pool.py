"""The candidates of the reflective Pareto search: who is in the pool, who waits to be compared, what is under way.

All of the pool have been scored on the same dev rows: those the seeds were scored on, which are all dev rows unless a
racing policy took fewer. Whoever comes with less, as an immigrant or a child that has only passed its gate, waits
until that is made up for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from evo.model import OK, Brief, Individual, Prompt, by_fitness
from operators.front import coverage
from operators.members import renewed
from operators.minibatches import Minibatches
from operators.reflection import Reflect
from operators.rows import scores_of
from operators.told import Told


@dataclass(frozen=True, slots=True)
class Trial:
    """A child to come: its parents, the rows on which it must beat them, and the number of its birth once asked for."""

    parents: tuple[Individual, ...]
    rows: tuple[int, ...]
    birth: int | None = None
    turn: int = 0
    """Place of the part the child's own first reflection works on."""
    child: Individual | None = None
    """The child once it is born, where calls that failed keep it from being compared."""
    again: bool = False
    """Whether the scores it lacks were asked for once more."""

    @property
    def ready(self) -> bool:
        """Whether the child can be asked for: the parents have been scored on the rows."""
        return self.birth is None and all(not lacking(parent, self.rows) for parent in self.parents)

    def unscored(self, child: Individual) -> tuple[int, ...]:
        """Return the rows on which a parent has a score and the child has none."""
        mine, known = scores_of(child), [scores_of(parent) for parent in self.parents]
        return tuple(row for row in self.rows if row not in mine and any(row in theirs for theirs in known))


@dataclass(frozen=True, slots=True)
class Pool:
    """State of `ReflectPareto`."""

    brief: Brief
    size: int
    seeds: tuple[Prompt, ...]
    """Seeds not asked for yet."""
    batches: Minibatches
    rows: tuple[int, ...] = ()
    """Dev rows on which members are compared."""
    sown: frozenset[int] = frozenset()
    """Seeds under way."""
    members: tuple[Individual, ...] = ()
    """Best first: the fittest and the front before the others, each by fitness."""
    front: tuple[tuple[int, int], ...] = ()
    """Number of each member of the front, and on how many rows it is best."""
    waiting: tuple[Individual, ...] = ()
    """Those that lack scores on some of ``rows``."""
    sent: frozenset[int] = frozenset()
    """Those waiting that are being scored."""
    trials: tuple[Trial, ...] = ()
    turns: tuple[tuple[int, int], ...] = ()
    """By number, the place in ``Brief.evolve`` of the part to reflect on next; 0 where there is none."""
    merges: tuple[tuple[int, int, int], ...] = ()
    """Merges tried: numbers of base, mate and ancestor."""
    grown: bool = False
    """Whether a child of a reflection has joined since a merge was last looked for."""
    seen: Told = field(default_factory=Told)
    """Numbers told so far."""

    @property
    def sprouting(self) -> bool:
        """Whether seeds are still to be told."""
        return bool(self.seeds or self.sown)

    def of_front(self) -> tuple[Individual, ...]:
        """Return the members of the front, best first."""
        numbers = dict(self.front)
        return tuple(member for member in self.members if member.number in numbers)

    def turn_of(self, number: int) -> int:
        """Return the place of the part to reflect on next."""
        return dict(self.turns).get(number, 0)

    def with_turn(self, number: int, turn: int) -> Pool:
        """Return the pool with another part next for one candidate."""
        return replace(self, turns=tuple(sorted({**dict(self.turns), number: turn}.items())))


def lacking(individual: Individual, rows: Sequence[int]) -> tuple[int, ...]:
    """Return the rows an individual was never tried on; a call that failed counts as tried."""
    outcomes = (*individual.evaluation.outcomes, *individual.practice.outcomes)
    tried = {outcome.example for outcome in outcomes}
    return tuple(row for row in rows if row not in tried)


def beats(child: Individual, parent: Individual, rows: Sequence[int], *, ties: bool) -> bool:
    """Return whether the child scores more than the parent on the rows the parent has one on; with ``ties`` as much.

    A child without a score on one of them does not: what it is missing might be what it does badly.
    """
    mine, theirs = scores_of(child), scores_of(parent)
    shared = [row for row in rows if row in theirs]
    if not shared or any(row not in mine for row in shared):
        return False
    gain = math.fsum(mine[row] - theirs[row] for row in shared)
    return gain > 0 or (ties and gain == 0)


def with_seed(pool: Pool, seed: Individual) -> Pool:
    """Return the pool that knows how a seed's birth ended; the last one settles on which rows all are compared."""
    pool = replace(pool, sown=pool.sown - {seed.number})
    if seed.ok:
        tried = {outcome.example for outcome in seed.evaluation.outcomes}.union(pool.rows)
        rows = tuple(row.number for row in pool.brief.dev if row.number in tried)
        pool = replace(pool, rows=rows, waiting=(*pool.waiting, seed))
    if pool.sprouting:
        return pool
    rows = pool.rows or tuple(row.number for row in pool.brief.dev)
    practice = tuple(row.number for row in pool.brief.train) or rows
    return settled(replace(pool, rows=rows, batches=replace(pool.batches, rows=practice)))


def with_candidate(pool: Pool, individual: Individual) -> Pool:
    """Return the pool in which a candidate waits to be compared, unless its prompt lives already."""
    known = any(other.prompt.shown == individual.prompt.shown for other in (*pool.members, *pool.waiting))
    if known or individual.status != OK:
        return pool
    return settled(replace(pool, waiting=(*pool.waiting, individual)))


def with_evidence(pool: Pool, told: Individual) -> Pool:
    """Return the pool that knows what was found about one of its own."""
    trials = tuple(replace(trial, parents=renewed(trial.parents, told)) for trial in pool.trials)
    members, waiting = renewed(pool.members, told), renewed(pool.waiting, told)
    return settled(_ranked(replace(pool, waiting=waiting, trials=trials), members))


def settled(pool: Pool) -> Pool:
    """Return the pool joined by those waiting that have been scored on all rows; those without any score are gone."""
    if pool.sprouting:
        return pool
    for one in pool.waiting:
        if not lacking(one, pool.rows):
            waiting = tuple(other for other in pool.waiting if other.number != one.number)
            pool = replace(pool, waiting=waiting, sent=pool.sent - {one.number})
            pool = _joined(pool, one)
    kept = {one.number for one in (*pool.members, *pool.waiting)}
    return replace(pool, turns=tuple((number, turn) for number, turn in pool.turns if number in kept))


def _joined(pool: Pool, one: Individual) -> Pool:
    if not one.ok or any(member.prompt.shown == one.prompt.shown for member in pool.members):
        return pool
    pool = _ranked(pool, (*pool.members, one))
    return replace(pool, grown=pool.grown or one.operator == Reflect.name)


def _ranked(pool: Pool, everyone: Sequence[Individual]) -> Pool:
    """Return the pool with these as its members, best first; beyond its size the least fit outside the front go."""
    front, best = coverage(everyone, pool.rows), min(everyone, key=by_fitness, default=None)

    def rank(member: Individual) -> tuple[bool, tuple[float, int, int]]:
        return (member.number not in front and member is not best, by_fitness(member))

    members = tuple(sorted(everyone, key=rank))
    if len(members) > pool.size:
        members = members[: pool.size]
        front = coverage(members, pool.rows)
    return replace(pool, members=members, front=tuple(front.items()))
