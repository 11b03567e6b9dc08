"""ProTeGi, or APO: beam search along textual gradients (Pryzant et al., EMNLP 2023).

A round. All members of the beam are tried on one minibatch. For each, groups of its errors are shown to the model,
which says why the prompt may have failed (a textual gradient); each reason leads to an edit against it, and every edit,
and the member itself, to paraphrases. Of each member's successors some are drawn, and a bandit chooses the next beam
among them and the members. Round 0 chooses among the seeds.
What differs from the paper and its code: a call makes one prompt, so several reasons, or paraphrases, of one text are
births of their own; a reason is a node of the lineage that is born without a score. Successors are born unscored as
well: only those drawn are scored, by evidence on dev rows. The rows of a selection are one order, drawn anew each
round (see `operators.bandits` for this and for what is mended in the bandits). Without errors there are no reasons,
only paraphrases. A child takes the place of the whole part in focus, never of a text searched for in the prompt.
Immigrants take part in the next selection, on the same rows as everybody. The best of a beam is scored on all dev rows.
Calls of a round at most, with b members, G gradients of g reasons, s edits a reason and p paraphrases: operator
b (G g + G g s + p (G g s + 1)); task b x minibatch_size + B + |dev|, where the last is for ``confirm`` and the budget
of a selection B = eval_rounds x eval_prompts_per_round x samples_per_eval. With ``reject_on_errors`` another
b x 2 max_expansion_factor x min(16, minibatch_size).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Individual
from evo.ports import Evidence, Proposal
from evo.randomness import draw_seed
from operators.arguments import at_least, between, one_of
from operators.bandits import Name, bandit
from operators.beam import Beam, Phase
from operators.beam_selection import Selection, closed
from operators.expansion import Expansion
from operators.initialisation import require_living
from operators.rewrites import MAX_TOKENS
from operators.rows import drawn_rows
from operators.seeds import Seed
from operators.selection import best
from operators.textual_gradients import TEMPERATURE

NAME = "protegi"
MinibatchRows = Literal["practice", "dev"]
COUNTS = (
    "beam_size",
    "minibatch_size",
    "errors_per_gradient",
    "gradients_per_error",
    "steps_per_gradient",
    "mc_samples_per_step",
    "max_expansion_factor",
    "eval_rounds",
    "eval_prompts_per_round",
    "samples_per_eval",
    "max_tokens",
)
"""Arguments that are whole numbers from 1 up."""


@dataclass(frozen=True, slots=True)
class ProTeGi:
    """Beam search: a model criticises a prompt's errors, prompts are edited against that, a bandit selects (ProTeGi).

    Args:
        rounds: How many follow the selection among the seeds; None goes on until the budget ends. Most of the gain
            comes in the first three.
        beam_size: Members of the beam b.
        minibatch_size: Rows all members of a round are tried on, to find errors.
        minibatch_rows: ``practice`` draws them from the train rows (from the dev rows where there are none), ``dev``
            from the dev rows, which then also decide who is selected.
        n_gradients: Groups of errors G shown for each member; 0 leaves paraphrases alone.
        errors_per_gradient: Errors in a group.
        gradients_per_error: Reasons g for each group.
        steps_per_gradient: Edits s against each reason.
        mc_samples_per_step: Paraphrases p of each edit and of the member itself.
        max_expansion_factor: Most successors of a member that take part in the selection, drawn at random.
        reject_on_errors: Draw twice as many instead, try them on up to 16 of the member's errors in the minibatch and
            take the best. Where minibatches are of dev rows this makes the fitness of the new look worse than it is.
        evaluator: The bandit, see `operators.bandits`.
        eval_rounds: With the next two arguments the budget of a selection, their product; at the defaults 2,048 rows.
        eval_prompts_per_round: Prompts ``ucb`` and ``ucb-e`` score at once.
        samples_per_eval: Rows they score one on at a time.
        c: Their weight of exploration.
        confirm: Whether the best of each new beam is scored on all dev rows, which the paper does not do: a run's
            winner is chosen among prompts with much evidence, here and on other islands.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "errors tell what is wrong with a prompt, and a strong operator model can read them."
    cost: ClassVar[str] = "a round at the defaults: at most 72 operator calls and 256 + 2048 + |dev| task calls"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    rounds: int | None = 6
    beam_size: int = 4
    minibatch_size: int = 64
    minibatch_rows: MinibatchRows = "practice"
    n_gradients: int = 4
    errors_per_gradient: int = 4
    gradients_per_error: int = 1
    steps_per_gradient: int = 1
    mc_samples_per_step: int = 2
    max_expansion_factor: int = 8
    reject_on_errors: bool = False
    evaluator: Name = "ucb"
    eval_rounds: int = 8
    eval_prompts_per_round: int = 8
    samples_per_eval: int = 32
    c: float = 1.0
    confirm: bool = True
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in COUNTS:
            at_least(NAME, name, getattr(self, name), 1)
        at_least(NAME, "n_gradients", self.n_gradients, 0)
        if self.rounds is not None:
            at_least(NAME, "rounds", self.rounds, 1)
        one_of(NAME, "minibatch_rows", self.minibatch_rows, MinibatchRows)
        one_of(NAME, "evaluator", self.evaluator, Name)
        between(NAME, "c", self.c, 0, 1e6)
        between(NAME, "temperature", self.temperature, 0, 2)
        self._require_budget(self.beam_size * (self.max_expansion_factor + 1))

    @property
    def budget(self) -> int:
        """Rows scored in one selection, at most."""
        return self.eval_rounds * self.eval_prompts_per_round * self.samples_per_eval

    def size(self, dev: int) -> int:
        """Return the smaller of ``samples_per_eval`` and ``dev``."""
        return min(self.samples_per_eval, dev)

    def start(self, brief: Brief) -> Beam:
        """Return the first state. Raises ConfigError without a seed prompt, or with more than the budget can score."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        self._require_budget(len(seeds))
        pool = brief.practice if self.minibatch_rows == "practice" else brief.dev
        return Beam(seeds, tuple(row.number for row in brief.dev), pool, brief.evolve)

    def ask(self, state: Beam, number: int, rng: np.random.Generator) -> tuple[Proposal | Evidence | None, Beam]:
        """Return the next birth or evidence; None while a stage is being told. Raises ConfigError when nobody lives."""
        if self.finished(state):
            return None, state
        if state.phase == "rest":
            state = self._settled(self._opened(state, rng))
        step, stage = state.stage.ask(number)
        return (step, replace(state, stage=stage, latest=max(state.latest, number))) if step else (None, state)

    def tell(self, state: Beam, individual: Individual) -> Beam:
        """Return the state that knows this individual; the last of a stage opens the next."""
        if state.stage.awaits(individual):
            return self._settled(replace(state, stage=state.stage.tell(individual)))
        if individual.number > state.latest:
            return state.visited(individual, self.beam_size)
        return state.knowing(individual)

    def living(self, state: Beam) -> Sequence[Individual]:
        """Return the beam; before the first selection the best seeds so far."""
        return state.members or best((*state.stage.living, *state.arms), self.beam_size)

    def finished(self, state: Beam) -> bool:
        """Whether all rounds are over; never, when their number is None."""
        return self.rounds is not None and state.round > self.rounds

    @property
    def _expansion(self) -> Expansion:
        return Expansion(
            self.n_gradients,
            self.errors_per_gradient,
            self.gradients_per_error,
            self.steps_per_gradient,
            self.mc_samples_per_step,
            self.max_expansion_factor,
            self.reject_on_errors,
            self.temperature,
            self.max_tokens,
        )

    @property
    def _selection(self) -> Selection:
        rule = bandit(self.evaluator, c=self.c, samples=self.samples_per_eval, width=self.eval_prompts_per_round)
        return Selection(rule, self.budget, self.beam_size, self.samples_per_eval, self.confirm)

    def _require_budget(self, arms: int) -> None:
        """Raise ConfigError when the budget cannot score so many, and as many immigrants as the beam holds, once."""
        if self.budget < arms + self.beam_size:
            raise ConfigError(
                f"{NAME} expects eval_rounds x eval_prompts_per_round x samples_per_eval of at least "
                f"{arms + self.beam_size}, one row for each prompt of a selection, got {self.budget}; raise one of them"
            )

    def _opened(self, state: Beam, rng: np.random.Generator) -> Beam:
        """Return the state with the first stage of a round: the seeds, or the members on a minibatch."""
        state = replace(state, draw=draw_seed(rng))
        if state.round == 0:
            rows = self._selection.first_rows(state, len(state.seeds))
            return state.breeding("seeds", [Proposal(Seed(seed), examples=rows) for seed in state.seeds])
        members = state.members or tuple(one for one in state.immigrants if one.ok)
        require_living(members, 1)
        part = state.parts[int(rng.integers(len(state.parts)))]
        minibatch = drawn_rows(state.pool, self.minibatch_size, rng)
        state = replace(state, members=members, part=part, minibatch=minibatch, families=((),) * len(members))
        return state.trying("predict", [(member, [row.number for row in minibatch]) for member in members])

    def _settled(self, state: Beam) -> Beam:
        """Return the state with a stage that waits for something, or at rest; some stages have nothing to do."""
        while state.stage.closed and state.phase != "rest":
            state = self._advanced(state.informed())
        return state

    def _advanced(self, state: Beam) -> Beam:
        """Return the state with the stage that follows the one just closed."""
        expansion, selection = self._expansion, self._selection
        if state.phase == "reject":
            return selection.opened(expansion.rejected(state))
        follows: Mapping[Phase, Callable[[Beam], Beam]] = {
            "seeds": selection.opened,
            "predict": expansion.criticised,
            "criticise": expansion.edited,
            "edit": expansion.paraphrased,
            "paraphrase": expansion.drawn,
            "select": selection.scored,
            "confirm": closed,
        }
        return follows[state.phase](state)
