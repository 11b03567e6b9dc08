"""Worked examples as part of a prompt: genes like its words, kept as JSON in the part ``examples``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from evo.model import Prompt

EXAMPLES = "examples"


@dataclass(frozen=True, slots=True)
class Demo:
    """One worked example: what is shown, how the answer is reached (may be empty), and the answer.

    ``row`` is the number of the data row it was made from, or None.
    """

    input: str
    answer: str
    working: str = ""
    row: int | None = None


def demos_of(prompt: Prompt) -> tuple[Demo, ...]:
    """Return a prompt's worked examples in their order; none when it has no such part."""
    text = dict(prompt.parts).get(EXAMPLES, "")
    return tuple(Demo(**entry) for entry in json.loads(text)) if text else ()


def with_demos(prompt: Prompt, demos: Iterable[Demo]) -> Prompt:
    """Return the prompt with these worked examples instead of its own; without any, the part is left out."""
    entries = [asdict(demo) for demo in demos]
    if not entries:
        return Prompt(tuple(part for part in prompt.parts if part[0] != EXAMPLES))
    return prompt.with_part(EXAMPLES, json.dumps(entries, ensure_ascii=False))
