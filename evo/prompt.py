"""A prompt as named parts, and worked examples as one of them.

Parts a model under test sees: ``system`` (a message of its own), ``instruction``, ``examples`` (worked examples as
JSON), ``stage-2`` to ``stage-9`` (asked after the reply to the stage before), and whatever else the task's layout
names. Parts whose name begins with an underscore are genes of the search alone, such as a mutation-prompt: no model
under test ever sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from evo.calls import digest

SYSTEM, INSTRUCTION, EXAMPLES = "system", "instruction", "examples"
STAGES = tuple(f"stage-{number}" for number in range(2, 10))
PART = r"[a-z][a-z0-9-]{0,31}"
"""Names of parts that a user may give."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as named parts, in order; most have the single part ``instruction``.

    ``focus`` names the part that ``text`` reads and ``with_text`` changes, so that one operator can work on any part.
    It is no content: prompts that differ by focus alone are equal.
    """

    parts: tuple[tuple[str, str], ...]
    focus: str = field(default=INSTRUCTION, compare=False)

    @classmethod
    def of(cls, content: str | Mapping[str, str]) -> Prompt:
        """Return a prompt whose only part is the instruction, or one with these parts in their order."""
        return cls(((INSTRUCTION, content),) if isinstance(content, str) else tuple(content.items()))

    @property
    def text(self) -> str:
        """The part in focus; where it is absent the first part, and nothing in a prompt without parts."""
        first = self.parts[0][1] if self.parts else ""
        return dict(self.parts).get(self.focus, first)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The parts a model under test may see."""
        return tuple((name, text) for name, text in self.parts if not name.startswith("_"))

    @property
    def genes(self) -> frozenset[str]:
        """Names of the parts no model under test ever sees."""
        return frozenset(name for name, _ in self.parts if name.startswith("_"))

    def bare(self, keep: Collection[str] = ()) -> Prompt:
        """Return this prompt without its genes, but those to ``keep``."""
        return replace(self, parts=tuple(part for part in self.parts if part[0] not in self.genes.difference(keep)))

    @property
    def length(self) -> int:
        """Characters of the parts a model under test may see."""
        return sum(len(text) for _, text in self.shown)

    @property
    def hash(self) -> str:
        """32 hex digits that identify the content."""
        return digest(self.parts)

    def part(self, name: str) -> str:
        """Return one part. Raises KeyError, naming the parts there are."""
        for key, text in self.parts:
            if key == name:
                return text
        raise KeyError(f"no part {name!r} in this prompt; it has {[key for key, _ in self.parts]}")

    def focused(self, name: str) -> Prompt:
        """Return this prompt with its focus on another part."""
        return replace(self, focus=name)

    def with_text(self, text: str) -> Prompt:
        """Return this prompt with another text in the part in focus."""
        return self.with_part(self.focus, text)

    def with_part(self, name: str, text: str) -> Prompt:
        """Return this prompt with one part replaced, or added at the end."""
        if any(key == name for key, _ in self.parts):
            return replace(self, parts=tuple((key, text if key == name else old) for key, old in self.parts))
        return replace(self, parts=(*self.parts, (name, text)))

    def without(self, name: str) -> Prompt:
        """Return this prompt without a part."""
        return replace(self, parts=tuple(part for part in self.parts if part[0] != name))


NO_PROMPT = Prompt(())
"""What a failed birth has."""


def flaw_of(prompt: Prompt) -> str:
    """Return what is wrong with a seed prompt, and the mend; nothing where it can be used."""
    texts = [text for _, text in prompt.parts]
    if any(not text.strip() for text in texts):
        return "it or one of its parts is empty; remove it or give it text"
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        return "it holds half a surrogate pair, which UTF-8 cannot; write the whole character"
    for name, _ in prompt.parts:
        if not re.fullmatch(PART, name):
            return f"expected parts named like `system` or `stage-2`, got {name!r}; rename it"
    if INSTRUCTION not in dict(prompt.parts):
        return f"expected a part `instruction`, got {list(dict(prompt.parts))}; add one"
    return ""


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
    return _demos(text) if text else ()


@lru_cache(maxsize=64)
def _demos(text: str) -> tuple[Demo, ...]:
    return tuple(Demo(**entry) for entry in json.loads(text))


def with_demos(prompt: Prompt, demos: Iterable[Demo]) -> Prompt:
    """Return the prompt with these worked examples instead of its own; without any, the part is left out."""
    entries = [asdict(demo) for demo in demos]
    if not entries:
        return prompt.without(EXAMPLES)
    return prompt.with_part(EXAMPLES, json.dumps(entries, ensure_ascii=False))
