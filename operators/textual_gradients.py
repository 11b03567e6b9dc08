"""Textual gradients: why a prompt fails, in words, and the prompt changed against that (ProTeGi; Pryzant et al. 2023).

Each operator calls the model once and makes one thing. The paper asks for several reasons, or several prompts, in one
reply; here each is a birth of its own, so that it has a number, parents and a place in the lineage. A reason is no
prompt for the task: its only part is `CRITIQUE`, which no model under test ever sees. Texts of requests are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.model import Example, Individual, Outcome, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between
from operators.parsing import between_tags
from operators.rewrites import MAX_TOKENS, refuse_copy
from operators.rows import cut, mistakes, shown_input
from operators.templates import keep_line

TEMPERATURE = 1.0
CRITIQUE = "_critique"
"""The part that holds a reason."""

_GRADIENT = Template(
    """I am writing an instruction for a language model, without worked examples. It does not work well yet.

Instruction: $base

With this instruction the model was wrong here:

$errors

Say what about the instruction may have led it astray. Give one reason, in a few sentences, that would hold for other \
texts as well. Put only the reason between <reason> and </reason>."""
)

_EDIT = Template(
    """I am writing an instruction for a language model, without worked examples. It does not work well yet.

Instruction: $base

With this instruction the model was wrong here:

$errors

What is wrong with the instruction: $reason

Write one better instruction for the same task that puts this right. Do not quote the texts above in it.
Put only the better instruction between <prompt> and </prompt>.
$keep
Better instruction:"""
)


@dataclass(frozen=True, slots=True)
class TextualGradient:
    """Return one reason why the only parent may have failed on some rows, as a prompt with the part `CRITIQUE` alone.

    Args:
        errors: Numbers of the rows shown; the parent must have been wrong on them.
        rows: Where these rows are found.
        temperature: Of the operator model.
        max_tokens: Most tokens of the reply.
    """

    name: ClassVar[str] = "textual-gradient"

    errors: tuple[int, ...]
    rows: tuple[Example, ...] = field(repr=False)
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the reason. Raises OperatorError when the reply holds none."""
        (base,) = parents
        text = _GRADIENT.substitute(base=base.prompt.text, errors=shown_errors(base, self.errors, self.rows))
        request = Request.user(text, temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng))
        completion = await llm.complete(request)
        return Prompt.of({CRITIQUE: between_tags(completion.text, "reason")})


@dataclass(frozen=True, slots=True)
class GradientEdit:
    """Return the first parent (base) changed against the reason the second (gradient) holds.

    Arguments as in `TextualGradient`; the rows are those the reason was found on.
    """

    name: ClassVar[str] = "gradient-edit"

    errors: tuple[int, ...]
    rows: tuple[Example, ...] = field(repr=False)
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy of the base or the reason."""
        base, gradient = parents
        reason = gradient.prompt.part(CRITIQUE)
        text = _EDIT.substitute(
            base=base.prompt.text,
            errors=shown_errors(base, self.errors, self.rows),
            reason=reason,
            keep=keep_line((base.prompt.text,)),
        )
        request = Request.user(text, temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng))
        completion = await llm.complete(request)
        child = between_tags(completion.text)
        refuse_copy(child, parents)
        return base.prompt.with_text(child)


def shown_errors(base: Individual, errors: Sequence[int], rows: Sequence[Example]) -> str:
    """Return what a prompt got wrong on some rows, each with its input, the answer wanted and the answer given.

    Raises:
        OperatorError: It was wrong on none of them, so that there is nothing to explain.
    """
    wrong = [(row, outcome) for row, outcome in mistakes(base, rows) if row.number in errors]
    if not wrong:
        raise OperatorError(f"expected rows that individual {base.number} is wrong on, got {list(errors)}; score it")
    return "\n\n".join(f"Case {place}\n{_case(row, outcome)}" for place, (row, outcome) in enumerate(wrong, 1))


def _case(row: Example, outcome: Outcome) -> str:
    given = outcome.answer or outcome.reply
    return f"Text: {shown_input(row)}\nRight answer: {row.target}\nAnswer given: {cut(given) or '(none)'}"
