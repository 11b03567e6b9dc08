"""A race in blocks of rows, after CAPO (Zehle et al., AutoML 2025): all candidates get a block, the beaten drop out.

A candidate drops out when at least ``keep`` others are significantly better on the rows of all blocks so far, by a
paired one-sided t-test of scores less a penalty for length. The race is over when ``keep`` are left or the blocks are
used up; then the best ``keep`` by mean live. The test is looked at after every block and corrected for nothing, as in
the paper: ``alpha`` is a setting of how hard the race is, not an error rate.
What differs from the paper. Rows without a score (a failed call) are left out pair by pair. Two that tie on every row
do not drop each other, however their lengths differ: there the penalty ranks alone. When the race is over, its leader
is scored on further blocks until nobody was ever raced on more, or another leads: the last word is on equal evidence,
but for what immigrants bring along from other islands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evo.model import EXAMPLES, MIGRATION, Individual, demos_of
from evo.ports import Evidence
from evo.rivals import mean_on, untried
from evo.t_test import p_above
from operators.members import renewed

Block = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides a race. ``longest`` is the length, see `length_of`, at which the whole penalty is due."""

    keep: int
    alpha: float
    length_penalty: float
    longest: int

    def penalty(self, individual: Individual) -> float:
        """Return what is taken off each of an individual's scores."""
        return self.length_penalty * length_of(individual) / self.longest

    def value(self, individual: Individual, rows: Sequence[int]) -> float:
        """Return an individual's mean score on these rows less its penalty; -inf where it has no score on any."""
        mean = mean_on(individual, rows)
        return -math.inf if mean is None else mean - self.penalty(individual)

    def better(self, one: Individual, other: Individual, rows: Sequence[int]) -> bool:
        """Return whether ``one`` is significantly better than ``other`` on the rows both have a score for."""
        first, second = one.evaluation.scores, other.evaluation.scores
        differences = [first[row] - second[row] for row in rows if row in first and row in second]
        return any(differences) and p_above(differences, self.penalty(one) - self.penalty(other)) < self.alpha


@dataclass(frozen=True, slots=True)
class Race:
    """A race under way. Everyone gets a block before anyone is judged: the order of telling does not matter."""

    rule: Rule
    blocks: tuple[Block, ...]
    """In the order in which they are raced on."""
    candidates: tuple[Individual, ...]
    """Those still in the race."""
    rounds: int = 0
    """Blocks on which all of them have been judged."""
    depth: int = 0
    """Most blocks anyone has been raced on, in this race or before."""
    asked: frozenset[tuple[int, int]] = frozenset()
    """(individual, place of the block) of the evidence asked for."""

    @property
    def over(self) -> bool:
        """Whether it is decided who lives."""
        return self.rounds > 0 and (len(self.candidates) <= self.rule.keep or self.rounds == len(self.blocks))

    @property
    def closed(self) -> bool:
        """Whether it is over and the leader has had enough blocks."""
        return self.over and not self._lacking

    @property
    def survivors(self) -> tuple[Individual, ...]:
        """Those still in the race, best first by all they have been scored on."""
        rows = _rows(self.blocks)
        return tuple(sorted(self.candidates, key=lambda one: self._rank(one, rows)))

    def ask(self) -> tuple[Evidence | None, Race]:
        """Return the next evidence to gather; None when all of this round is asked for."""
        for one, place in self._lacking:
            if (one.number, place) not in self.asked:
                missing = untried(one, self.blocks[place])
                return Evidence(one, missing), replace(self, asked=self.asked | {(one.number, place)})
        return None, self

    def tell(self, individual: Individual) -> Race:
        """Return the race that knows of this evidence, judged as far as that allows."""
        race = replace(self, candidates=renewed(self.candidates, individual))
        return race.judged()

    def judged(self) -> Race:
        """Return the race after every round for which all evidence is there."""
        race = self
        while not race.over and not race._lacking:
            race = race._after_round()
        return race

    @property
    def _lacking(self) -> tuple[tuple[Individual, int], ...]:
        """Return who must be scored on which block now."""
        if not self.over:
            block = self.blocks[self.rounds]
            return tuple((one, self.rounds) for one in self.candidates if untried(one, block))
        for leader in self.survivors[:1]:
            left = [place for place, block in enumerate(self.blocks) if untried(leader, block)]
            if len(self.blocks) - len(left) < self.depth:
                return ((leader, left[0]),)
        return ()

    def _after_round(self) -> Race:
        raced = _rows(self.blocks[: self.rounds + 1])
        runners = [one for one in self.candidates if one.ok]
        kept = [
            one for one in runners if sum(self.rule.better(other, one, raced) for other in runners) < self.rule.keep
        ]
        natives = [one for one in self.candidates if one.operator != MIGRATION]
        done = [self.rounds + 1, *(sum(not untried(one, block) for block in self.blocks) for one in natives)]
        race = replace(self, candidates=tuple(kept), rounds=self.rounds + 1, depth=max(self.depth, *done))
        if not race.over:
            return race
        best = sorted(kept, key=lambda one: self._rank(one, raced))[: self.rule.keep]
        return replace(race, candidates=tuple(best))

    def _rank(self, one: Individual, rows: Sequence[int]) -> tuple[float, int, int]:
        return (-self.rule.value(one, rows), length_of(one), one.number)


def blocks_of(rows: Sequence[int], size: int, most: int) -> tuple[Block, ...]:
    """Return at most ``most`` consecutive blocks of ``size`` rows; the last may be smaller where rows run out."""
    starts = range(0, len(rows), size)
    return tuple(tuple(rows[start : start + size]) for start in starts[:most])


def length_of(individual: Individual) -> int:
    """Return the characters a model under test is shown of a prompt: its texts and its worked examples."""
    prompt = individual.prompt
    demos = sum(len(demo.input) + len(demo.working) + len(demo.answer) for demo in demos_of(prompt))
    return demos + sum(len(text) for name, text in prompt.shown if name != EXAMPLES)


def _rows(blocks: Sequence[Block]) -> Block:
    return tuple(row for block in blocks for row in block)
