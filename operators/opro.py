"""OPRO, optimisation by prompting (Yang et al., ICLR 2024): a model reads what was tried, with scores, and goes on.

A step: eight instructions are written from one meta-prompt (`operators.meta_prompt`), which shows the best so far in
ascending order and a few examples of the task; the new ones are scored and join.
What differs from the paper's code. If no instruction reaches the threshold the best are shown all the same: the code
shows none, and its optimiser is blind. Seeds count as seen. A reply that cannot be used may be asked for again (three
times at most), the code goes without. Examples come from train rows where there are any; the two criteria that look for
mistakes then have every instruction scored on these too, besides all dev rows. Immigrants are scored on the rows that
all shown have, and join between two steps. With ``instructions_only``, the paper's form for pre-trained optimisers, the
meta-prompt grows by all that was ever scored, as in the code; here ``max_num_instructions`` may bound it.
Calls, with S seeds, T steps of n instructions, |D| rows: S|D| + T n (1 + |D|), less |D| for each reply refused; a reply
that is asked for again is one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Individual
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, between, one_of
from operators.brood import Brood
from operators.initialisation import require_living
from operators.meta_prompt import MetaPrompt, position_of
from operators.seeds import Seed
from operators.trajectory import BY_MISTAKES, Criterion, Trajectory, exemplars, receive, shown_to_model

NAME = "opro"
MOST_SHOWN = 20
UNUSED = ("old_instruction_score_threshold", "num_few_shot", "few_shot_selection_criteria", "exemplars_first")
"""Arguments without a use with ``instructions_only``."""
StopAfter = Literal["nothing_new", "nothing_better"]
InstructionPos = Literal["layout", "before_Q", "Q_begin", "Q_end", "A_begin"]


@dataclass(frozen=True, slots=True)
class Opro:
    """Shows a model the instructions tried so far, by ascending score, and asks it for better ones (OPRO).

    Args:
        num_search_steps: Steps T after the seeds; None goes on until the budget ends.
        num_generated_instructions_in_each_step: Instructions n written from one meta-prompt.
        instructions_only: Whether the model is shown a title and lines of score and text alone, for it to go on with:
            for pre-trained models, which continue a text and follow no order (the authors: ``temperature`` 1.5,
            ``max_tokens`` 256). There are no examples and no threshold.
        max_num_instructions: Most instructions in the meta-prompt: the best, in ascending order. None: 20, or all ever
            scored with ``instructions_only``; mind the model's context then.
        old_instruction_score_threshold: Instructions that score less are not shown, unless none reaches it.
        num_score_buckets: Score of a perfect instruction as shown, in whole numbers; None shows three decimals.
        num_few_shot: Examples of the task in the meta-prompt.
        few_shot_selection_criteria: ``random``: others each step; ``constant``: those of the first step;
            ``accumulative_most_frequent``: of all that any instruction ever got wrong; ``current_most_frequent``: those
            that most of the instructions shown got wrong. Random ones fill up.
        instruction_pos: Where the examples show the instruction; ``layout`` follows the task's own.
        exemplars_first: Whether the examples come before the instructions.
        max_chars: Longest new instruction.
        no_digits: Whether a new instruction with a digit is refused (the paper: on GSM8K).
        patience: Steps in a row in vain, after which the search ends; None never. Steps without a usable reply do not
            count.
        stop_after: What is in vain: ``nothing_new``, the model repeats itself, or ``nothing_better``, the paper's rule.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "the operator model is strong: it sees the whole history and is free to write what it likes."
    cost: ClassVar[str] = "a step: 8 operator calls and at most 8 x |dev| task calls"
    racing: ClassVar[str] = "full"
    in_flight: ClassVar[int | None] = None

    num_search_steps: int | None = 200
    num_generated_instructions_in_each_step: int = 8
    instructions_only: bool = False
    max_num_instructions: int | None = None
    old_instruction_score_threshold: float = 0.1
    num_score_buckets: int | None = 100
    num_few_shot: int = 3
    few_shot_selection_criteria: Criterion = "random"
    instruction_pos: InstructionPos = "layout"
    exemplars_first: bool = False
    max_chars: int = 500
    no_digits: bool = False
    patience: int | None = 3
    stop_after: StopAfter = "nothing_new"
    temperature: float = 1.0
    max_tokens: int = 1024

    def __post_init__(self) -> None:
        for name in ("num_generated_instructions_in_each_step", "max_chars", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        for name in ("num_search_steps", "max_num_instructions", "num_score_buckets", "patience"):
            if getattr(self, name) is not None:
                at_least(NAME, name, getattr(self, name), 1)
        at_least(NAME, "num_few_shot", self.num_few_shot, 0)
        one_of(NAME, "few_shot_selection_criteria", self.few_shot_selection_criteria, Criterion)
        one_of(NAME, "instruction_pos", self.instruction_pos, InstructionPos)
        one_of(NAME, "stop_after", self.stop_after, StopAfter)
        between(NAME, "old_instruction_score_threshold", self.old_instruction_score_threshold, 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)
        if self.instructions_only:
            self._refuse_unused()

    def start(self, brief: Brief) -> Trajectory:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        mistakes_matter = self._examples > 0 and self.few_shot_selection_criteria in BY_MISTAKES
        scored = tuple(row.number for row in (*brief.dev, *brief.train)) if brief.train and mistakes_matter else None
        return Trajectory(replace(brief, seeds=seeds), self.most_shown, Brood(len(seeds)), scored)

    @property
    def most_shown(self) -> int | None:
        """Most instructions in the meta-prompt; None: all ever scored."""
        default = None if self.instructions_only else MOST_SHOWN
        return default if self.max_num_instructions is None else self.max_num_instructions

    def ask(
        self, state: Trajectory, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, Trajectory]:
        """Return the next birth, or evidence for an immigrant; None while a step or an immigrant is being scored.

        Raises:
            ConfigError: All seeds are told and none lives.
        """
        if state.step < 0 and state.brood.place is not None:
            seed = state.brief.seeds[state.brood.place]
            return Proposal(Seed(seed), examples=state.scored), replace(state, brood=state.brood.ask(number))
        if self.finished(state):
            return None, state
        for immigrant in state.immigrants:
            wanted = (immigrant.number, state.lacking(immigrant))
            if wanted[1] and wanted not in state.asked:
                return Evidence(immigrant, wanted[1]), replace(state, asked=state.asked | {wanted})
        if state.brood.closed and state.immigrants:
            return None, state
        if state.brood.closed:
            state = self._opened(state, rng)
        if state.brood.place is None:
            return None, state
        return self._birth(state), replace(state, brood=state.brood.ask(number))

    def tell(self, state: Trajectory, individual: Individual) -> Trajectory:
        """Return the state that knows this individual; the last of a step closes it."""
        return receive(state, individual)

    def living(self, state: Trajectory) -> Sequence[Individual]:
        """Return the best so far: what the next meta-prompt shows."""
        return state.living

    def finished(self, state: Trajectory) -> bool:
        """Whether all steps are over, or ``patience`` of them have brought nothing new, or nothing better."""
        over = self.num_search_steps is not None and state.step >= self.num_search_steps
        vain = state.stale if self.stop_after == "nothing_new" else state.unimproved
        return over or (self.patience is not None and vain >= self.patience)

    def _opened(self, state: Trajectory, rng: np.random.Generator) -> Trajectory:
        """Return the state with a new step: its examples and the part it works on are drawn once for all its births."""
        require_living(state.shown, 1)
        parts = state.brief.evolve
        part = parts[int(rng.integers(len(parts)))]
        rows = exemplars(state, self._shown(state), self.few_shot_selection_criteria, self._examples, rng)
        brood = Brood(self.num_generated_instructions_in_each_step)
        return replace(state, brood=brood, exemplars=rows, part=part)

    def _birth(self, state: Trajectory) -> Proposal:
        brief, rows = state.brief, state.exemplars
        derived = position_of(brief.layout, brief.placeholders)
        operator = MetaPrompt(
            position=derived if self.instruction_pos == "layout" else self.instruction_pos,
            exemplars=tuple(row.number for row in rows),
            num_score_buckets=self.num_score_buckets,
            instructions_only=self.instructions_only,
            exemplars_first=self.exemplars_first,
            max_chars=self.max_chars,
            no_digits=self.no_digits,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            task=brief.description,
            rows=rows,
            known=state.known,
        )
        shown = self._shown(state)
        roles = (*("shown",) * (len(shown) - 1), "base")  # the best is last
        return Proposal(operator, shown, roles, state.scored, state.part)

    def _shown(self, state: Trajectory) -> tuple[Individual, ...]:
        return shown_to_model(state, 0.0 if self.instructions_only else self.old_instruction_score_threshold)

    @property
    def _examples(self) -> int:
        """Examples of the task in the meta-prompt."""
        return 0 if self.instructions_only else self.num_few_shot

    def _refuse_unused(self) -> None:
        defaults = {one.name: one.default for one in fields(self)}
        for name in UNUSED:
            if (value := getattr(self, name)) != defaults[name]:
                raise ConfigError(
                    f"{NAME} expects no {name} with instructions_only: true, which shows neither examples nor a "
                    f"threshold, got {value!r}; leave one of the two out"
                )
