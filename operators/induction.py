"""Operators that write an instruction without one to vary: APE's induction from rows (Zhou et al., ICLR 2023).

``forward`` shows rows and asks for the instruction behind them; ``reverse`` puts a gap before the rows, where the
instruction belongs, and asks for what is missing; ``zero-order`` shows the task's description alone. The paper's
reverse mode needs a model that fills gaps; ours asks a chat model, and refuses what such models like to do instead.
What else differs: the labels of a task are told where they are known, as a few rows may not show them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from evo.errors import OperatorError
from evo.model import NO_PROMPT, Example, Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between, one_of
from operators.induction_templates import GAP, OPENING, forward, reverse, zero_order
from operators.parsing import between_tags, normalised
from operators.rewrites import refuse_copy
from operators.templates import PLACEHOLDER

Mode = Literal["forward", "reverse", "zero-order"]
TEMPERATURE = 0.9
TOP_P = 0.9
MAX_TOKENS = 200
"""The paper's 50 leave a chat model no room for a word before the tag."""
MOST_SENTENCES = 3
"""Longer fillings of the gap are refused."""
TELLING = 3
"""Words from which on an input that occurs in a reply was repeated; of shorter ones the output must occur too."""


@dataclass(frozen=True, slots=True)
class Induce:
    """Return an instruction guessed from rows, or written from the task's description. Calls the model once.

    With a parent it is a restart: the parent's text is not shown, its other parts are kept.

    Args:
        mode: ``forward``, ``reverse`` or ``zero-order``.
        demos: The rows shown; their numbers are recorded.
        description: Of the task, for zero-order.
        labels: Every output there is, where that is known.
        opening: What is said before the rows; empty: that a friend was given an instruction and followed it.
        begin: Words the instruction must begin with, such as "Let's" for a trigger of thoughts.
        base: Whose other parts the child has when there is no parent. Placeholders in its text that the instruction
            lacks follow at its end.
        temperature: Of the operator model.
        top_p: Of the operator model.
        max_tokens: Most tokens of the reply.
    """

    entry: ClassVar[str] = "induce"

    mode: Mode = "forward"
    demos: tuple[Example, ...] = field(default=(), repr=False)
    description: str = field(default="", repr=False)
    labels: tuple[str, ...] = field(default=(), repr=False)
    opening: str = ""
    begin: str = ""
    base: Prompt = field(default=NO_PROMPT, repr=False)
    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS
    examples: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        one_of(self.entry, "mode", self.mode, Mode)
        between(self.entry, "temperature", self.temperature, 0, 2)
        between(self.entry, "top_p", self.top_p, 0, 1)
        at_least(self.entry, "max_tokens", self.max_tokens, 1)
        object.__setattr__(self, "examples", tuple(row.number for row in self.demos))

    @property
    def name(self) -> str:
        """The entry point's name and the mode: the log tells them apart."""
        return f"{self.entry}-{self.mode}"

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError with nothing to learn from, or when the reply is unusable."""
        request = Request.user(
            self._asked(),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=draw_seed(rng),
        )
        text = between_tags((await llm.complete(request)).text)
        self._refuse(text)
        refuse_copy(text, parents)
        base = parents[0].prompt if parents else self.base
        return base.with_text(_with_placeholders(text, base.text))

    def _asked(self) -> str:
        if self.mode == "zero-order":
            if not self.description.strip():
                raise OperatorError("expected a description of the task, got none; set task.description")
            return zero_order(self.description, self.labels, self.begin)
        if not self.demos:
            raise OperatorError("expected rows to learn an instruction from, got none; show some")
        ask = forward if self.mode == "forward" else reverse
        return ask(self.opening or OPENING, self.demos, self.labels, self.begin)

    def _refuse(self, text: str) -> None:
        if GAP in text:
            raise OperatorError(f"expected what belongs in the place of {GAP}, got it with the gap; try again")
        if not text.casefold().startswith(self.begin.casefold()):
            raise OperatorError(
                f"expected an instruction that begins with {self.begin!r}, got {text[:40]!r}; try again"
            )
        if self.mode == "reverse":
            self._refuse_filling(text)

    def _refuse_filling(self, text: str) -> None:
        sentences = [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", text) if sentence.strip()]
        if len(sentences) > MOST_SENTENCES:
            raise OperatorError(f"expected at most {MOST_SENTENCES} sentences, got {len(sentences)}; try again")
        for demo in self.demos:
            if _repeats(text, demo):
                raise OperatorError(f"expected an instruction, got a text that repeats row {demo.number}; try again")


def _repeats(text: str, demo: Example) -> bool:
    """Return whether a text holds one of a row's inputs, or a short one together with the output."""

    def held(part: str) -> bool:
        words = normalised(part)
        return (
            bool(words)
            and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", " ".join(text.casefold().split())) is not None
        )

    found = [value for value in demo.inputs.values() if held(value)]
    return any(len(value.split()) >= TELLING for value in found) or (bool(found) and held(demo.target))


def _with_placeholders(text: str, base: str) -> str:
    """Return an instruction with those placeholders of ``base`` it lacks: a model that sees rows knows of none."""
    lacking = [name for name in dict.fromkeys(PLACEHOLDER.findall(base)) if name not in text]
    return "\n\n".join([text, "\n".join(lacking)]) if lacking else text
