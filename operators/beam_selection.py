"""How the next beam is chosen: a bandit among members, successors and immigrants, on one order of dev rows.

Its best may then be scored on all dev rows: a run's winner is chosen among prompts with much evidence, and without
this the best newborn of the last round would have too little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evo.model import Individual
from evo.randomness import child_rng
from operators.bandits import Bandit, Contest, Uniform
from operators.beam import Beam, scores_on
from operators.selection import Shown
from operators.stages import Stage


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses ``keep`` of all; where there are no more, each is scored on ``samples`` rows and kept.

    With ``confirm`` the best of them is scored on all dev rows in the end.
    """

    bandit: Bandit
    budget: int
    keep: int
    samples: int
    confirm: bool

    def first_rows(self, state: Beam, arms: int) -> tuple[int, ...]:
        """Return the rows each of so many arms is scored on first."""
        pull, *_ = self._rule(arms).ask(self._contest(state, arms))
        return pull.rows

    def opened(self, state: Beam) -> Beam:
        """Return the state with the first step of a selection; immigrants wait no longer."""
        newborn = state.stage.living if state.phase == "seeds" else ()
        successors = (one for family in state.families for one in family)
        distinct: dict[Shown, Individual] = {}
        for one in (*state.members, *newborn, *successors, *state.immigrants):
            distinct.setdefault(one.prompt.shown, one)
        arms = tuple(sorted(distinct.values(), key=lambda one: (one.prompt.length, one.number)))
        state = replace(state, arms=arms, immigrants=())
        return self._next(replace(state, contest=self._contest(state, len(arms)))) if arms else closed(state)

    def scored(self, state: Beam) -> Beam:
        """Return the state with the next step of the selection, or after it."""
        contest = state.contest
        assert contest is not None
        rule = self._rule(len(state.arms))
        scores = {pull.arm: scores_on(state.arms[pull.arm], pull.rows) for pull in rule.ask(contest)}
        return self._next(replace(state, contest=rule.tell(contest, scores)))

    def _next(self, state: Beam) -> Beam:
        contest = state.contest
        assert contest is not None
        pulls = self._rule(len(state.arms)).ask(contest)
        if pulls:
            return state.trying("select", [(state.arms[pull.arm], pull.rows) for pull in pulls])
        ranked = [state.arms[place] for place in contest.ranking]
        state = replace(state, members=tuple(one for one in ranked if one.ok)[: self.keep] or state.members)
        return state.trying("confirm", [(one, state.dev) for one in state.members[: int(self.confirm)]])

    def _rule(self, arms: int) -> Bandit:
        return self.bandit if arms > self.keep else Uniform()

    def _contest(self, state: Beam, arms: int) -> Contest:
        rows = [int(row) for row in child_rng(state.draw, "rows").permutation(state.dev)]
        return Contest.of(arms, rows, self.keep, self.budget if arms > self.keep else arms * self.samples)


def closed(state: Beam) -> Beam:
    """Return the state after a round, rid of what only the round needed."""
    return replace(
        state,
        phase="rest",
        round=state.round + 1,
        stage=Stage(),
        minibatch=(),
        families=(),
        arms=(),
        contest=None,
    )
