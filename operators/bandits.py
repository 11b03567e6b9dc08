"""Which of many candidates deserve the next rows: the best few are found with a fixed budget, for any method.

An arm is a candidate, a pull one arm scored on one row. Every arm goes through one shared order of rows from its
beginning. Under ``Uniform``, rejects and halving the arms left have therefore been tried on the same rows whenever they
are compared. Under the two UCB rules they have beginnings of different length: what is compared there is each arm's
mean over its own beginning, which holds the shorter ones but is not cut down to them. A missing score is left out of
its arm's mean alone. Means are of scores, never ranks. Nothing here calls anything: ask a bandit for pulls, tell it
their scores, until it asks for none; then `Contest.kept` says who is left.

Rules, from the theory: `Ucb` (Auer et al. 2002), `UcbE` and `SuccessiveRejects` (Audibert et al. 2010),
`SuccessiveHalving` (Karnin et al. 2013), and `Uniform`; ProTeGi (Pryzant et al. 2023) compared them on prompts. None
exceeds its budget, and ties always go to the arm that comes first. Where more than one arm is kept, the schedules of
rejects and halving are stretched so that they spend the budget; with one they are those of the papers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

from operators.arguments import at_least, between

Name = Literal["uniform", "ucb", "ucb-e", "successive-rejects", "successive-halving"]
Scores = Mapping[int, Sequence[float | None]]
"""By arm, the score of each row pulled; None where it is missing for reasons of infrastructure."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is known of one arm: it was tried on this many rows of the order, and some of them gave a score."""

    tried: int = 0
    scored: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float:
        """Mean score; NaN without any."""
        return self.total / self.scored if self.scored else math.nan

    def told(self, scores: Sequence[float | None]) -> Arm:
        """Return the arm with the scores of its next rows."""
        found = [score for score in scores if score is not None]
        return Arm(self.tried + len(scores), self.scored + len(found), self.total + math.fsum(found))


@dataclass(frozen=True, slots=True)
class Pull:
    """Rows an arm is to be scored on."""

    arm: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contest:
    """State of a selection: of ``arms``, in the order that decides ties, ``keep`` are to be kept."""

    rows: tuple[int, ...]
    keep: int
    budget: int
    """Most pulls; those of missing scores count."""
    arms: tuple[Arm, ...]
    alive: tuple[int, ...]
    """Arms not rejected."""

    @classmethod
    def of(cls, arms: int, rows: Sequence[int], keep: int, budget: int) -> Contest:
        """Return a selection before its first pull.

        Raises:
            ValueError: There is no arm, no row or nothing to keep, or the budget is below one row an arm.
        """
        if arms < 1 or not rows or keep < 1:
            raise ValueError(f"expected arms, rows and arms to keep, got {arms}, {len(rows)} and {keep}")
        if budget < arms:
            raise ValueError(f"expected a budget of at least one row for each of {arms} arms, got {budget}")
        return cls(tuple(rows), keep, budget, (Arm(),) * arms, tuple(range(arms)))

    @property
    def left(self) -> int:
        """Pulls the budget still allows."""
        return self.budget - sum(arm.tried for arm in self.arms)

    @property
    def ranking(self) -> tuple[int, ...]:
        """The arms not rejected, highest mean first, those without a score last."""
        return tuple(sorted(self.alive, key=lambda arm: (-self.arms[arm].mean if self.arms[arm].scored else 1.0, arm)))

    @property
    def kept(self) -> tuple[int, ...]:
        """The arms to keep as far as is known, best first."""
        return self.ranking[: self.keep]

    def pulls(self, arms: Sequence[int], count: int) -> tuple[Pull, ...]:
        """Return a pull of the next ``count`` rows for each of these arms; none for an arm that has had all rows."""
        starts = {arm: self.arms[arm].tried for arm in arms}
        found = (Pull(arm, self.rows[start : start + count]) for arm, start in starts.items())
        return tuple(pull for pull in found if pull.rows)

    def told(self, scores: Scores) -> Contest:
        """Return the selection that knows these scores."""
        return replace(self, arms=tuple(arm.told(scores.get(place, ())) for place, arm in enumerate(self.arms)))

    def rejecting(self, count: int) -> Contest:
        """Return the selection without its ``count`` worst arms."""
        return replace(self, alive=tuple(sorted(self.ranking[: len(self.alive) - count])))


class Bandit(Protocol):
    """A rule that spends a contest's budget."""

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the pulls of the next step, all of which may be made at once; none when the choice is made."""
        ...

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest after a step; ``scores`` must be of the pulls that were asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every arm gets the same rows, budget / arms of them."""

    name: ClassVar[str] = "uniform"

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the one step there is."""
        return () if contest.arms[0].tried else contest.pulls(contest.alive, contest.budget // len(contest.arms))

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest that knows the scores."""
        return contest.told(scores)


@dataclass(frozen=True, slots=True)
class Ucb:
    """Every arm once, then those with the highest mean + c sqrt(ln t / n): t rows were scored in all, n of this arm.

    Args:
        c: Weight of the bonus; lower is greedier.
        samples: Rows of one pull.
        width: Arms pulled in one step.
    """

    name: ClassVar[str] = "ucb"

    c: float = 1.0
    samples: int = 32
    width: int = 8

    def __post_init__(self) -> None:
        _check_batches(self.name, self.c, self.samples, self.width)

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the next step: at first all arms."""
        t = sum(arm.scored for arm in contest.arms)
        bonus = [self.c * math.sqrt(math.log(max(t, 1)) / max(arm.scored, 1)) for arm in contest.arms]
        return _most_promising(contest, bonus, self.samples, self.width)

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest that knows the scores."""
        return contest.told(scores)


@dataclass(frozen=True, slots=True)
class UcbE:
    """Every arm once, then those with the highest mean + sqrt(c / n): the bonus does not grow with time.

    Arguments as in `Ucb`; the best ``c`` grows with the budget and with how hard the arms are to tell apart.
    """

    name: ClassVar[str] = "ucb-e"

    c: float = 1.0
    samples: int = 32
    width: int = 8

    def __post_init__(self) -> None:
        _check_batches(self.name, self.c, self.samples, self.width)

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the next step: at first all arms."""
        bonus = [math.sqrt(self.c / max(arm.scored, 1)) for arm in contest.arms]
        return _most_promising(contest, bonus, self.samples, self.width)

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest that knows the scores."""
        return contest.told(scores)


@dataclass(frozen=True, slots=True)
class SuccessiveRejects:
    """All arms get more rows, phase by phase, and after each phase the worst is rejected.

    With m arms left each has had ceil((budget - arms) / (norm m)) rows at the end of the phase. To keep one, norm is
    1/2 + 1/2 + 1/3 + ... + 1/arms, as in the paper; to keep k it is k/(k + 1) + 1/(k + 1) + ... + 1/arms.
    """

    name: ClassVar[str] = "successive-rejects"

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the next phase."""
        if len(contest.alive) <= contest.keep:
            return ()
        return contest.pulls(contest.alive, _goal(contest) - _depth(contest))

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest without the worst arm; a phase that would bring no row ends at once."""
        contest = contest.told(scores).rejecting(1)
        while len(contest.alive) > contest.keep and _goal(contest) <= _depth(contest):
            contest = contest.rejecting(1)
        return contest


@dataclass(frozen=True, slots=True)
class SuccessiveHalving:
    """In each stage an equal share of the budget is spread over the arms left, then the worse half of them goes."""

    name: ClassVar[str] = "successive-halving"

    def ask(self, contest: Contest) -> tuple[Pull, ...]:
        """Return the next stage."""
        arms = len(contest.alive)
        if arms <= contest.keep:
            return ()
        share = contest.left // _halvings(arms, contest.keep)
        return contest.pulls(contest.alive, min(max(1, share // arms), contest.left // arms))

    def tell(self, contest: Contest, scores: Scores) -> Contest:
        """Return the contest without the worse half; of an odd number the middle one stays."""
        return contest.told(scores).rejecting(len(contest.alive) - _halved(len(contest.alive), contest.keep))


def bandit(name: Name, *, c: float = 1.0, samples: int = 32, width: int = 8) -> Bandit:
    """Return the rule of this name; only ``ucb`` and ``ucb-e`` read the arguments."""
    if name == "ucb":
        return Ucb(c, samples, width)
    if name == "ucb-e":
        return UcbE(c, samples, width)
    if name == "successive-rejects":
        return SuccessiveRejects()
    return SuccessiveHalving() if name == "successive-halving" else Uniform()


def _check_batches(owner: str, c: float, samples: int, width: int) -> None:
    between(owner, "c", c, 0, 1e6)
    at_least(owner, "samples", samples, 1)
    at_least(owner, "width", width, 1)


def _most_promising(contest: Contest, bonus: Sequence[float], samples: int, width: int) -> tuple[Pull, ...]:
    """Return all arms' first pull, or the next of the ``width`` with the highest mean and bonus the budget allows.

    An arm whose pulls all gave no score comes last: it may be one that can never be scored.
    """
    if not any(arm.tried for arm in contest.arms):
        return contest.pulls(contest.alive, min(samples, contest.budget // len(contest.arms)))
    if not contest.left or len(contest.alive) <= contest.keep:
        return ()
    known = contest.arms
    promise = {a: known[a].mean + bonus[a] if known[a].scored else -math.inf for a in contest.alive}
    unfinished = [arm for arm in contest.alive if known[arm].tried < len(contest.rows)]
    chosen = sorted(unfinished, key=lambda arm: (-promise[arm], arm))[: min(width, max(1, contest.left // samples))]
    return contest.pulls(chosen, min(samples, contest.left))


def _depth(contest: Contest) -> int:
    """Return how many rows each arm left has been tried on."""
    return contest.arms[contest.alive[0]].tried


def _goal(contest: Contest) -> int:
    """Return how many rows each arm left is to have at the end of the phase (successive rejects)."""
    arms, keep = len(contest.arms), contest.keep
    norm = keep / (keep + 1) + math.fsum(1 / left for left in range(keep + 1, arms + 1))
    return max(1, math.ceil((contest.budget - arms) / (norm * len(contest.alive))))


def _halved(arms: int, keep: int) -> int:
    return max(keep, (arms + 1) // 2)


def _halvings(arms: int, keep: int) -> int:
    """Return how many halvings leave no more than ``keep`` of ``arms``; to keep one, log2 of them, rounded up."""
    count = 0
    while arms > keep:
        arms, count = _halved(arms, keep), count + 1
    return count
