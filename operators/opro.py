"""OPRO, optimisation by prompting (Yang et al., ICLR 2024): a model reads what was tried, with scores, and goes on.

A step: eight instructions are written from one meta-prompt (`operators.meta_prompt`), which shows the best so far in
ascending order and a few examples of the task; the new ones are scored and join.
What differs from the paper's code. If no instruction reaches the threshold the best are shown all the same: the code
shows none, and its optimiser is blind. Seeds count as seen. A reply that cannot be used may be asked for again (three
times at most), the code goes without. Examples come from train rows where there are any; the two criteria that look for
mistakes then have every instruction scored on these too, besides all dev rows. Immigrants are scored on the rows that
all shown have, and join between two steps.
Calls, with S seeds, T steps of n instructions, |D| rows: S|D| + T n (1 + |D|), less |D| for each reply refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
InstructionPos = Literal["layout", "before_Q", "Q_begin", "Q_end", "A_begin"]


@dataclass(frozen=True, slots=True)
class Opro:
    """Shows a model the instructions tried so far, by ascending score, and asks it for better ones (OPRO).

    Args:
        num_search_steps: Steps T after the seeds; None goes on until the budget ends.
        num_generated_instructions_in_each_step: Instructions n written from one meta-prompt.
        max_num_instructions: Most instructions in the meta-prompt: the best, in ascending order.
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
        patience: Steps in a row in which the model repeats itself, and writes nothing new, after which the search ends;
            None never. Steps without a usable reply do not count.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "the operator model is strong: it sees the whole history and is free to write what it likes."
    cost: ClassVar[str] = "a step: 8 operator calls and at most 8 x |dev| task calls"
    racing: ClassVar[str] = "full"
    in_flight: ClassVar[int | None] = None

    num_search_steps: int | None = 200
    num_generated_instructions_in_each_step: int = 8
    max_num_instructions: int = 20
    old_instruction_score_threshold: float = 0.1
    num_score_buckets: int | None = 100
    num_few_shot: int = 3
    few_shot_selection_criteria: Criterion = "random"
    instruction_pos: InstructionPos = "layout"
    exemplars_first: bool = False
    max_chars: int = 500
    no_digits: bool = False
    patience: int | None = 3
    temperature: float = 1.0
    max_tokens: int = 1024

    def __post_init__(self) -> None:
        for name in ("num_generated_instructions_in_each_step", "max_num_instructions", "max_chars", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        for name in ("num_search_steps", "num_score_buckets", "patience"):
            if getattr(self, name) is not None:
                at_least(NAME, name, getattr(self, name), 1)
        at_least(NAME, "num_few_shot", self.num_few_shot, 0)
        one_of(NAME, "few_shot_selection_criteria", self.few_shot_selection_criteria, Criterion)
        one_of(NAME, "instruction_pos", self.instruction_pos, InstructionPos)
        between(NAME, "old_instruction_score_threshold", self.old_instruction_score_threshold, 0, 1)
        between(NAME, "temperature", self.temperature, 0, 2)

    def start(self, brief: Brief) -> Trajectory:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        mistakes_matter = self.num_few_shot > 0 and self.few_shot_selection_criteria in BY_MISTAKES
        scored = tuple(row.number for row in (*brief.dev, *brief.train)) if brief.train and mistakes_matter else None
        return Trajectory(replace(brief, seeds=seeds), self.max_num_instructions, Brood(len(seeds)), scored)

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
        """Whether all steps are over, or the model has proposed nothing new for ``patience`` steps."""
        over = self.num_search_steps is not None and state.step >= self.num_search_steps
        return over or (self.patience is not None and state.stale >= self.patience)

    def _opened(self, state: Trajectory, rng: np.random.Generator) -> Trajectory:
        """Return the state with a new step: its examples and the part it works on are drawn once for all its births."""
        require_living(state.shown, 1)
        parts = state.brief.evolve
        part = parts[int(rng.integers(len(parts)))]
        shown = shown_to_model(state, self.old_instruction_score_threshold)
        rows = exemplars(state, shown, self.few_shot_selection_criteria, self.num_few_shot, rng)
        brood = Brood(self.num_generated_instructions_in_each_step)
        return replace(state, brood=brood, exemplars=rows, part=part)

    def _birth(self, state: Trajectory) -> Proposal:
        brief, rows = state.brief, state.exemplars
        derived = position_of(brief.layout, brief.placeholders)
        operator = MetaPrompt(
            position=derived if self.instruction_pos == "layout" else self.instruction_pos,
            exemplars=tuple(row.number for row in rows),
            num_score_buckets=self.num_score_buckets,
            exemplars_first=self.exemplars_first,
            max_chars=self.max_chars,
            no_digits=self.no_digits,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            task=brief.description,
            rows=rows,
            known=state.known,
        )
        shown = shown_to_model(state, self.old_instruction_score_threshold)
        return Proposal(operator, shown, ("shown",) * len(shown), state.scored, state.part)
