"""Reflective Pareto search: the algorithm of GEPA (Agrawal et al., arXiv 2507.19457), written for many births at once.

A parent is drawn from the front of those best on some dev row, in proportion to how many; it is scored on a minibatch
of train rows; a model reads what it did there and rewrites one part; the child is scored on the same minibatch, and
only if it beats its parent there on all dev rows too, to join the pool. `operators.merging` joins two lineages.
What differs from the paper and its code: several trials are under way at once, so a parent is drawn from a pool that
does not know yet how the others end (``in_flight: 1`` is the sequence of the paper); a child whose calls failed is
scored on those rows once more, and dropped where it still lacks a score that a parent has; scores already known are
not asked for again, so that a parent known to be perfect on a minibatch gets the next one, and the search ends when no
parent has anything left to learn; a prompt lives only once; the pool is bounded; every try at a merge counts, not only
those that succeed. Racing policies decide on which dev rows the seeds are scored; the pool follows them.
Without train rows minibatches are of dev rows: parents then cost nothing, but the lessons are taken from the rows the
winner is chosen by, and its dev score is the more optimistic. Immigrants are scored on the dev rows they lack, then
join as anyone. With several seeds all are in the pool before the first reflection.
Calls, with S seeds, |D| dev rows, minibatches of b train rows: S|D| to begin with; a reflection is 1 operator call (P
when all of P parts are rewritten) and at most 2b task calls, and |D| more if the child passes; a merge at most |D|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import OK, Brief, Individual, by_fitness
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, between, one_of
from operators.front import drawn_order
from operators.initialisation import require_living
from operators.merging import ROLES, Merge, contested, drawn_merge
from operators.minibatches import Minibatches
from operators.pool import Pool, Trial, beats, lacking, with_candidate, with_evidence, with_seed
from operators.reflection import MAX_TOKENS, TEMPERATURE, Reflect
from operators.rows import scores_of
from operators.seeds import Seed

NAME = "reflect-pareto"
Selection = Literal["pareto", "current_best", "epsilon_greedy"]
Modules = Literal["round_robin", "all", "random"]
Acceptance = Literal["strict_improvement", "improvement_or_equal"]
Asked = tuple[Proposal | Evidence, Pool]
BRED = (Reflect.name, Merge.name)


@dataclass(frozen=True, slots=True)
class ReflectPareto:
    """Reflection on minibatches, parents drawn from the Pareto front by row, an optional merge of lineages (GEPA).

    Args:
        candidate_selection_strategy: ``pareto`` draws parents from the front; ``current_best`` takes the fittest;
            ``epsilon_greedy`` does, but with probability ``epsilon`` draws any member.
        epsilon: See above.
        reflection_minibatch_size: Train rows a reflection sees and its child must do better on.
        skip_perfect_score: Whether a parent without a mistake on the minibatch is left in peace.
        acceptance_criterion: Whether a child's sum on the minibatch must exceed its parent's or may equal it.
        module_selector: The part of the prompt a reflection rewrites, where ``evolve`` names several: each in turn,
            ``all`` at once (a call each, on the same rows), or one at random.
        use_merge: Whether two lineages are merged after a reflection succeeds; only prompts of several parts can be.
        max_merge_invocations: Most tries at a merge.
        population: Most members of the pool; beyond it the least fit outside the front go first.
        in_flight: Most births and requests for scores under way at once; more of them see a staler pool.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model, its thoughts included.
    """

    when: ClassVar[str] = "a strong operator model can learn from replies and feedback, and few births are affordable."
    cost: ClassVar[str] = "a reflection: 1 operator call, 6 task calls, and |dev| more if it beats its parent there"
    racing: ClassVar[str] = "full"

    candidate_selection_strategy: Selection = "pareto"
    epsilon: float = 0.1
    reflection_minibatch_size: int = 3
    skip_perfect_score: bool = True
    acceptance_criterion: Acceptance = "strict_improvement"
    module_selector: Modules = "round_robin"
    use_merge: bool = False
    max_merge_invocations: int = 5
    population: int = 100
    in_flight: int = 4
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        one_of(NAME, "candidate_selection_strategy", self.candidate_selection_strategy, Selection)
        one_of(NAME, "acceptance_criterion", self.acceptance_criterion, Acceptance)
        one_of(NAME, "module_selector", self.module_selector, Modules)
        for name in ("reflection_minibatch_size", "population", "in_flight", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        at_least(NAME, "max_merge_invocations", self.max_merge_invocations, 0)
        between(NAME, "epsilon", self.epsilon, 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)

    def start(self, brief: Brief) -> Pool:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        return Pool(brief, self.population, seeds, Minibatches((), self.reflection_minibatch_size))

    def ask(self, state: Pool, number: int, rng: np.random.Generator) -> tuple[Proposal | Evidence | None, Pool]:
        """Return what carries on the oldest work, else a new trial; None while seeds are told or nothing can be learnt.

        Raises:
            ConfigError: All seeds are told and none lives.
        """
        if state.seeds:
            seed, *rest = state.seeds
            return Proposal(Seed(seed)), replace(state, seeds=tuple(rest), sown=state.sown | {number})
        if state.sown:
            return None, state
        asked = _comparison(state) or _second_try(state) or self._reflection(state, number, rng)
        if asked is None and (state.members or not state.waiting):
            require_living(state.members, 1)
            asked = self._merge(state, number, rng) or self._trial(replace(state, grown=False), number, rng)
        return asked or (None, state)

    def tell(self, state: Pool, individual: Individual) -> Pool:
        """Return the state that knows this individual, or what was found about it."""
        number = individual.number
        trial = next((trial for trial in state.trials if trial.birth == number), None)
        if number in state.seen:
            if trial is not None and trial.child is not None and trial.again:
                return self._judged(state, trial, trial.child.with_evidence_of(individual))
            return self._sensible(with_evidence(state, individual))
        state = replace(state, seen=state.seen.add(number))
        if number in state.sown:
            return with_seed(state, individual)
        return with_candidate(state, individual) if trial is None else self._judged(state, trial, individual)

    def living(self, state: Pool) -> Sequence[Individual]:
        """Return the pool, seeds and immigrants that wait to be compared among it."""
        newcomers = [one for one in state.waiting if one.ok and one.operator not in BRED]
        return (*newcomers, *state.members)[: self.population]

    def finished(self, state: Pool) -> bool:
        """Never: an immigrant may bring something to learn. Without anything under way the island ends all the same."""
        del state
        return False

    def _reflection(self, state: Pool, number: int, rng: np.random.Generator) -> Asked | None:
        """Return the birth of the oldest trial whose parent has been scored on its minibatch."""
        trial = next((trial for trial in state.trials if trial.ready), None)
        if trial is None:
            return None
        (parent,) = trial.parents
        parts = [name for name in state.brief.evolve if name in dict(parent.prompt.parts)] or [*state.brief.evolve]
        turn = state.turn_of(parent.number) % len(parts)
        if self.module_selector == "random":
            turn = int(rng.integers(len(parts)))
        following = (turn + 1) % len(parts)
        operator = Reflect(
            tuple(row for row in state.brief.practice if row.number in trial.rows),
            tuple(parts) if self.module_selector == "all" else (),
            self.temperature,
            self.max_tokens,
        )
        state = _with_trial(state, trial, replace(trial, birth=number, turn=following))
        state = state.with_turn(parent.number, following)
        return Proposal(operator, (parent,), ("base",), trial.rows, parts[turn]), state

    def _trial(self, state: Pool, number: int, rng: np.random.Generator) -> Asked | None:
        """Return the first step of a new reflection, or None where nobody has anything to learn."""
        members = {member.number: member for member in state.members}
        for chosen in self._candidates(state, rng):
            parent = members[chosen]
            for _ in range(2 * state.batches.count):  # what is left of this epoch, and a whole one
                rows, batches = state.batches.take(rng)
                state = replace(state, batches=batches)
                trial = Trial((parent,), rows)
                if self._pointless(trial):
                    continue
                state = replace(state, trials=(*state.trials, trial))
                unknown = lacking(parent, rows)
                return (Evidence(parent, unknown), state) if unknown else self._reflection(state, number, rng)
        return None

    def _candidates(self, state: Pool, rng: np.random.Generator) -> Sequence[int]:
        """Return the numbers of those who may be parents, in the order in which they are."""
        if self.candidate_selection_strategy == "pareto":
            return drawn_order(dict(state.front), rng)
        everyone = sorted(state.members, key=by_fitness)
        if self.candidate_selection_strategy == "epsilon_greedy" and rng.random() < self.epsilon:
            everyone = [everyone[int(place)] for place in rng.permutation(len(everyone))]
        return [one.number for one in everyone]

    def _merge(self, state: Pool, number: int, rng: np.random.Generator) -> Asked | None:
        """Return the birth of a merged prompt, where a reflection has succeeded since and two lineages fit."""
        if not (self.use_merge and state.grown and len(state.merges) < self.max_merge_invocations):
            return None
        parents = drawn_merge(state.of_front(), state.members, state.merges, rng)
        if parents is None:
            return None
        base, mate, ancestor = parents
        rows = contested(base, mate, state.rows, rng)
        if not rows:
            return None
        turn = max(state.turn_of(base.number), state.turn_of(mate.number))
        trial = Trial((base, mate), rows, number, turn)
        tried = (*state.merges, (base.number, mate.number, ancestor.number))
        state = replace(state, grown=False, merges=tried, trials=(*state.trials, trial))
        return Proposal(Merge(), parents, ROLES, rows), state

    def _judged(self, state: Pool, trial: Trial, child: Individual) -> Pool:
        """Return the state after a birth: a child that beats its parents on the trial's rows is a candidate.

        One whose calls failed on some of them is scored there once more before it is judged.
        """
        if child.status == OK and trial.unscored(child) and not trial.again:
            return _with_trial(state, trial, replace(trial, child=child))
        state = replace(state, trials=tuple(other for other in state.trials if other is not trial))
        ties = len(trial.parents) > 1 or self.acceptance_criterion == "improvement_or_equal"
        if not all(beats(child, parent, trial.rows, ties=ties) for parent in trial.parents):
            return state
        return with_candidate(state.with_turn(child.number, trial.turn), child)

    def _sensible(self, state: Pool) -> Pool:
        """Return the state without the trials whose parent turned out to have nothing to learn."""
        trials = tuple(trial for trial in state.trials if trial.birth is not None or not self._pointless(trial))
        return replace(state, trials=trials)

    def _pointless(self, trial: Trial) -> bool:
        """Return whether the parent was tried on all rows and has no score there, or nothing but perfect ones."""
        (parent,) = trial.parents
        known = scores_of(parent)
        scores = [known[row] for row in trial.rows if row in known]
        perfect = self.skip_perfect_score and all(score >= 1 for score in scores)
        return not lacking(parent, trial.rows) and (not scores or perfect)


def _comparison(state: Pool) -> Asked | None:
    """Return a request for the scores that one of those waiting lacks."""
    for one in state.waiting:
        if one.number not in state.sent:
            return Evidence(one, lacking(one, state.rows)), replace(state, sent=state.sent | {one.number})
    return None


def _second_try(state: Pool) -> Asked | None:
    """Return a request for the scores a child lacks to be compared with its parents, made once for each child."""
    for trial in state.trials:
        if trial.child is not None and not trial.again:
            rows = trial.unscored(trial.child)
            return Evidence(trial.child, rows), _with_trial(state, trial, replace(trial, again=True))
    return None


def _with_trial(state: Pool, old: Trial, new: Trial) -> Pool:
    return replace(state, trials=tuple(new if trial is old else trial for trial in state.trials))
