"""OPRO's operator (Yang et al., ICLR 2024): a model sees instructions with their scores, and writes a better one.

The meta-prompt: the goal, the instructions in ascending order of score, a few examples of the task that show where the
instruction stands, and the order to write a new one. For pre-trained models, which go on with a text, a title and one
line for each instruction, with its score as its precision. The texts are ours.
What differs from the paper's code: a reply without its tag gives no instruction; any language passes (the code takes
ASCII alone); the placeholder is looked for as a word, so that "INSTRUCTIONS" passes; without examples the task's
description stands in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import ClassVar, Literal

import numpy as np

from evo.errors import OperatorError
from evo.model import Example, Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between, one_of
from operators.parsing import between_tags
from operators.rows import shown_input
from operators.templates import keep_line

Position = Literal["before_Q", "Q_begin", "Q_end", "A_begin"]
"""Where the instruction stands: on a line above the question, first or last in it, or first in the answer."""

PLACE = "<INS>"
"""What stands for the instruction in an example of the task."""

_GOAL = Template(
    """Write a better instruction for a language model. Below are instructions that were tried, each with its score \
from 0 to $most. They are in ascending order: the best come last."""
)
_TITLE = Template("How precisely, from 0 to $most, a task is done with each of these texts put $where$task.")
_WHERE: dict[Position, str] = {
    "before_Q": "on a line above the question",
    "Q_begin": "at the beginning of the question",
    "Q_end": "at the end of the question",
    "A_begin": "at the beginning of the answer",
}
_ORDER = """Write one new instruction that is unlike all of those above and scores higher. It must be short and clear, \
and work for any input of the task. Do not carry it out. Put only the new instruction between <prompt> and </prompt>.
"""
_OPENING = (
    " Each of them is put at the beginning of the model's answer: it reads like the first words of an answer, "
    "not like a command."
)
_SHAPES: dict[Position, Template] = {
    "before_Q": Template("$place\nQ: $question\nA: $answer"),
    "Q_begin": Template("Q: $place\n$question\nA: $answer"),
    "Q_end": Template("Q: $question\n$place\nA: $answer"),
    "A_begin": Template("Q: $question\nA: $place $answer"),
}

TRIED = "expected a new instruction, got one that was tried before; try again"
"""What is said of a reply that is usable but not new; the note of a birth that failed for it holds this."""


@dataclass(frozen=True, slots=True)
class MetaPrompt:
    """Return a new instruction, written in view of its parents (role shown, the last base), by ascending score.

    The child is the last parent, the best, with the new text. ``exemplars`` are the numbers of the ``rows`` shown;
    ``num_score_buckets`` is the score of a perfect instruction, None shows scores as they are; ``instructions_only``
    shows a title and lines, no example, and takes the reply's first whole <TEXT>; ``known`` holds the hashes of prompts
    that are not wanted again.
    """

    name: ClassVar[str] = "opro"

    position: Position = "before_Q"
    exemplars: tuple[int, ...] = ()
    num_score_buckets: int | None = 100
    instructions_only: bool = False
    exemplars_first: bool = False
    max_chars: int = 500
    no_digits: bool = False
    temperature: float = 1.0
    max_tokens: int = 1024
    task: str = field(default="", repr=False)
    rows: tuple[Example, ...] = field(default=(), repr=False)
    known: frozenset[str] = field(default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        one_of(self.name, "position", self.position, Position)
        for name in ("max_chars", "max_tokens"):
            at_least(self.name, name, getattr(self, name), 1)
        between(self.name, "temperature", self.temperature, 0, 2)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply holds no new instruction that is wanted."""
        request = Request.user(
            self.asked(parents), temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng)
        )
        text = polished(self._read((await llm.complete(request)).text))
        self._refuse(text)
        child = parents[-1].prompt.with_text(text)
        if child.bare().hash in self.known:
            raise OperatorError(TRIED)
        return child

    def asked(self, parents: Sequence[Individual]) -> str:
        """Return the meta-prompt."""
        if self.instructions_only:
            return "\n\n".join((self._title(parents), *(self._line(parent) for parent in parents)))
        tried = "\n\n".join(
            f"Instruction {place}: {parent.prompt.text}\nScore: {self.shown_score(parent.fitness)}"
            for place, parent in enumerate(parents, 1)
        )
        goal = _GOAL.substitute(most=self.num_score_buckets or 1) + (_OPENING if self.position == "A_begin" else "")
        middle = (self._examples(), tried) if self.exemplars_first else (tried, self._examples())
        order = _ORDER + keep_line((parents[-1].prompt.text,))
        return "\n\n".join(section.strip() for section in (goal, *middle, order) if section)

    def shown_score(self, score: float) -> str:
        """Return a score in [0, 1] as the model sees it: a whole number, or three decimals without buckets."""
        return f"{score:.3f}" if self.num_score_buckets is None else str(round(score * self.num_score_buckets))

    def _title(self, parents: Sequence[Individual]) -> str:
        task = self.task.strip().rstrip(".")
        title = _TITLE.substitute(
            most=self.num_score_buckets or 1, where=_WHERE[self.position], task=f"; the task: {task}" if task else ""
        )
        return f"{title} {keep_line((parents[-1].prompt.text,))}".strip()

    def _line(self, parent: Individual) -> str:
        return f"Precision: {self.shown_score(parent.fitness)} <TEXT>{parent.prompt.text}</TEXT>"

    def _read(self, reply: str) -> str:
        """Return the new instruction; of several lines that a model goes on with, the first is what was asked for."""
        if not self.instructions_only:
            return between_tags(reply)
        first, closing, _ = reply.partition("</TEXT>")
        return between_tags(first + closing, "TEXT")

    def _examples(self) -> str:
        if not self.rows:
            return f"The task: {self.task.strip()}" if self.task.strip() else ""
        shape = _SHAPES[self.position]
        shown = [
            f"Example {place}\n{shape.substitute(place=PLACE, question=shown_input(row), answer=row.target)}"
            for place, row in enumerate(self.rows, 1)
        ]
        return "\n\n".join([f"Examples of the task; {PLACE} is where the instruction is put:", *shown])

    def _refuse(self, text: str) -> None:
        if len(text) > self.max_chars:
            raise OperatorError(f"expected at most {self.max_chars} characters, got {len(text)}; try again")
        if re.search(r"\bINS\b", text):
            raise OperatorError(f"expected an instruction, got one that holds the placeholder {PLACE}; try again")
        if self.no_digits and any(character.isdigit() for character in text):
            raise OperatorError("expected an instruction without digits, got some; try again")


def polished(text: str) -> str:
    """Return an instruction without asterisks in pairs and with a capital at its beginning."""
    text = text.replace("**", "").strip()
    return text[:1].upper() + text[1:]


def position_of(layout: str, placeholders: frozenset[str] = frozenset()) -> Position:
    """Return where a task's layout puts the instruction; before the question where prompts hold the input themselves.

    What stands alone before the input is above the question, what follows a word and a colon is first in it.
    """
    before, found, after = layout.partition("{prompt}")
    if placeholders or not found or "{input}" in after:
        return "Q_begin" if re.search(r"\w:[ \t]*$", before) and not placeholders else "before_Q"
    return "A_begin" if re.search(r"\b(?:a|answer|output|label|response|reply)[ \t]*:\s*$", before, re.I) else "Q_end"
