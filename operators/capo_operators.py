"""CAPO's two operators (Zehle et al., AutoML 2025): a crossover and a mutation of instruction and worked examples.

Each calls the model once for the instruction; worked examples change without it. Templates are ours; as in the paper
they tell the model the task. What differs from the paper: a reply without its tag gives no prompt; two parents of one
instruction are crossed without a call; a mutation that copies is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError, OperatorError
from evo.model import Example, Individual, Prompt, Request, demos_of, with_demos
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between, one_of
from operators.few_shot import Demos, crossed, demo_of, ordered, outcomes_of, reasoned, removed
from operators.parsing import between_tags, normalised
from operators.rewrites import MAX_TOKENS, TEMPERATURE, refuse_copy
from operators.templates import PLACEHOLDER, keep_line

ShotChange = Literal["add", "remove", "keep"]

_MERGE = Template(
    """Two prompts for the same task are given.$task
Merge them into one prompt that keeps what is useful in either. Do not carry them out. Put only the merged prompt \
between <prompt> and </prompt>.
$keep
Prompt 1: $first
Prompt 2: $second

Merged:"""
)

_REPHRASE = Template(
    """An instruction for a task is given.$task
Write it anew in a clearly different style, so that it still asks for the same thing. Do not carry it out. Put only \
the new version between <prompt> and </prompt>.
$keep
Instruction: $base

New version:"""
)


@dataclass(frozen=True, slots=True)
class CapoCrossover:
    """Return two parents (base, mate) merged: instructions by the model, worked examples drawn from those of both."""

    name: ClassVar[str] = "capo-crossover"

    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    task: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or lost a placeholder of both parents."""
        base, mate = (parent.prompt for parent in parents)
        demos = crossed(demos_of(base), demos_of(mate), rng)
        if normalised(base.text) == normalised(mate.text):
            return with_demos(base, demos)
        asked = _MERGE.substitute(
            task=_about(self.task), keep=keep_line((base.text, mate.text)), first=base.text, second=mate.text
        )
        completion = await llm.complete(
            Request.user(asked, temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng))
        )
        text = between_tags(completion.text)
        lost = _slots(base.text) & _slots(mate.text) - _slots(text)
        if lost:  # beyond the placeholders the task demands, those that both parents chose to have are kept
            raise OperatorError(f"expected {', '.join(sorted(lost))} in the merged prompt, got none; try again")
        return with_demos(base.with_text(text), demos)


@dataclass(frozen=True, slots=True)
class CapoMutation:
    """Return the only parent reworded by the model, with one worked example more, one less, or the same, shuffled.

    ``row`` is the number of the ``example`` that is added, with the parent's own words where it was right on it.
    """

    name: ClassVar[str] = "capo-mutation"

    change: ShotChange = "keep"
    row: int | None = None
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    task: str = field(default="", repr=False)
    example: Example | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        one_of(self.name, "change", self.change, ShotChange)
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)
        if (self.change == "add") != (self.example is not None):
            raise ConfigError(f"{self.name} expects an example to add for change 'add' alone, got {self.change!r}")

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        (base,) = parents
        text = base.prompt.text
        asked = _REPHRASE.substitute(task=_about(self.task), keep=keep_line((text,)), base=text)
        completion = await llm.complete(
            Request.user(asked, temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng))
        )
        written = between_tags(completion.text)
        refuse_copy(written, parents)
        return with_demos(base.prompt.with_text(written), ordered(self._demos(base, rng), rng))

    def _demos(self, base: Individual, rng: np.random.Generator) -> Demos:
        demos = demos_of(base.prompt)
        if self.example is not None:
            return (*demos, *reasoned((demo_of(self.example),), outcomes_of(base)))
        return removed(demos, rng) if self.change == "remove" else demos


def _about(task: str) -> str:
    return f" The task: {task.strip()}" if task.strip() else ""


def _slots(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))
