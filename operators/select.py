"""The best of the prompts one brings, found by a bandit: nothing is bred (best-arm identification).

Every prompt is an arm, a row it is scored on a pull; all go through one stratified order of dev rows from its start.
The rules are in `operators.bandits`: successive rejects (Audibert, Bubeck and Munos 2010) is the default, as it needs
no constant; successive halving (Karnin et al. 2013) has fewer, larger steps, so more calls under way at once. Who is
left when the rows are spent races on the dev rows they lack (``final_race``), and the winner is tested.
Immigrants are members by what they score, and no arms: the budget was set for the prompts there were.
Calls, with S prompts of |D| dev rows: at most S x min(rows, |D|), and what the final race takes. No operator call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Individual, Prompt
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, one_of
from operators.bandits import Bandit, Contest, Name, Uniform, bandit
from operators.beam import scores_on
from operators.initialisation import require_living
from operators.members import renewed
from operators.pool import lacking
from operators.seeds import Seed
from operators.selection import best
from operators.stages import Stage

NAME = "select"


@dataclass(frozen=True, slots=True)
class SelectState:
    """State of `Select`."""

    contest: Contest
    stage: Stage
    arms: tuple[Individual | None, ...] = ()
    """In the order of the prompts; None for one that could not be scored. Empty before the first step is over."""
    strangers: tuple[Individual, ...] = ()


@dataclass(frozen=True, slots=True)
class Select:
    """The best of the prompts you bring, with fewer calls than scoring each on every row.

    Args:
        rule: Who gets the next rows: ``successive-rejects``, ``successive-halving``, ``ucb``, ``ucb-e``; ``uniform``
            gives all the same.
        rows: Dev rows a prompt, in the mean of all prompts.
        finalists: Prompts that are left for the final race.
        c: Weight of the bonus for what is little known, for ``ucb`` and ``ucb-e``.
        samples: Rows at a time, for these two.
        width: Prompts at a time, for these two.
    """

    when: ClassVar[str] = "you have a list of prompts, and only want to know which is best."
    cost: ClassVar[str] = "once: for each prompt 40 task calls in the mean, and the final race"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    rule: Name = "successive-rejects"
    rows: int = 40
    finalists: int = 4
    c: float = 1.0
    samples: int = 10
    width: int = 8

    def __post_init__(self) -> None:
        one_of(NAME, "rule", self.rule, Name)
        at_least(NAME, "rows", self.rows, 1)
        at_least(NAME, "finalists", self.finalists, 1)
        bandit(self.rule, c=self.c, samples=self.samples, width=self.width)

    def size(self, dev: int) -> int:
        """Return the smaller of ``rows`` and ``dev``."""
        return min(self.rows, dev)

    def start(self, brief: Brief) -> SelectState:
        """Return the first state. Raises ConfigError without a prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects prompts to choose from, got none; add some to 'prompts'")
        rows = [row.number for row in brief.dev]
        contest = Contest.of(len(seeds), rows, self.finalists, len(seeds) * min(self.rows, len(rows)))
        return SelectState(contest, Stage(self._founders(seeds, contest)))

    def ask(
        self, state: SelectState, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, SelectState]:
        """Return the next step; None while one is not told, and at the end. Raises ConfigError where no seed lives."""
        del rng
        if state.arms:
            require_living([one for one in state.arms if one is not None], 1)
        step, stage = state.stage.ask(number)
        return step, replace(state, stage=stage)

    def tell(self, state: SelectState, individual: Individual) -> SelectState:
        """Return the state that knows this individual, or what was found about it."""
        if state.stage.awaits(individual):
            state = replace(state, stage=state.stage.tell(individual))
        elif individual.number in state.stage.numbers:
            state = replace(state, stage=state.stage.informed(individual))
        elif all(one is None or one.number != individual.number for one in state.arms):
            strangers = renewed(state.strangers, individual)
            known = any(one.number == individual.number for one in strangers) or not individual.ok
            return replace(state, strangers=strangers if known else (*strangers, individual))
        arms = tuple(None if one is None else renewed([one], individual)[0] for one in state.arms)
        return self._advanced(replace(state, arms=arms))

    def living(self, state: SelectState) -> Sequence[Individual]:
        """Return those not rejected, best first, as many as there may be finalists."""
        alive = [state.arms[arm] for arm in state.contest.alive] if state.arms else state.stage.living
        return best((one for one in (*alive, *state.strangers) if one is not None), self.finalists)

    def finished(self, state: SelectState) -> bool:
        """Whether the rows are spent."""
        return bool(state.arms) and state.stage.closed

    def _rule(self, contest: Contest) -> Bandit:
        """Return the rule; where nobody has to go all are given the same rows."""
        if len(contest.arms) <= contest.keep:
            return Uniform()
        return bandit(self.rule, c=self.c, samples=self.samples, width=self.width)

    def _founders(self, seeds: Sequence[Prompt], contest: Contest) -> tuple[Proposal, ...]:
        pulls = self._rule(contest).ask(contest)
        return tuple(Proposal(Seed(seeds[pull.arm]), examples=pull.rows) for pull in pulls)

    def _advanced(self, state: SelectState) -> SelectState:
        """Return the state with its next stage once one is closed; a step whose rows are all known needs none."""
        rule = self._rule(state.contest)
        while state.stage.closed and (pulls := rule.ask(state.contest)):
            arms = state.arms or state.stage.results
            scores = {
                pull.arm: [None] * len(pull.rows) if (arm := arms[pull.arm]) is None else scores_on(arm, pull.rows)
                for pull in pulls
            }
            contest = rule.tell(state.contest, scores)
            steps = ((arms[pull.arm], pull.rows) for pull in rule.ask(contest))
            plan = [Evidence(arm, new) for arm, rows in steps if arm is not None and (new := lacking(arm, rows))]
            state = replace(state, arms=arms, contest=contest, stage=Stage(tuple(plan)))
        return state
