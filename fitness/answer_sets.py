"""Answers that are sets: all that apply, in any order, such as the topics of a text or the names it mentions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import unknown
from fitness.reading import ANSWER_LINE, plain, tidy
from fitness.reasons import unparsed
from fitness.references import listed

Measure = Literal["f1", "exact"]
BULLET = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,3}[.)])\s+")
SEMICOLON, COMMA = re.compile("[;\uff1b]"), re.compile("[,\uff0c\u3001]")  # those of East Asian scripts too
LAST = re.compile(r"^and\s+", re.IGNORECASE)
NAMED = 10
"""A reason names at most this many items of each kind."""


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """The items of the reply against the target's, in any order and each once, as ``{name: set, measure: exact}``.

    Items stand on lines of their own (bullets and numbers are taken off), or are separated by commas or semicolons
    where there is one line, or make a JSON list. A line that begins with ``Answer:`` counts alone.

    Args:
        measure: ``f1`` of the items, or ``exact``: 1 where both sets are the same, else 0.
        separator: What separates items instead, such as ``|``.
        ignore_case: Whether case is ignored.
    """

    measure: Measure = "f1"
    separator: str | None = None
    ignore_case: bool = True
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure):
            raise ConfigError(f"scorer set: {unknown('measure', str(self.measure), set(get_args(Measure)))}")
        if self.separator is not None and (not isinstance(self.separator, str) or not self.separator.strip(" ")):
            raise ConfigError(f"scorer set: expected a separator such as '|', got {self.separator!r}; or leave it out")

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the score; a reply without items is unparsed. Raises ValueError for a target without any."""
        if flaw := self.flaw(example.target):
            raise ValueError(flaw)
        told = ANSWER_LINE.findall(completion.text)
        found, wanted = self._items(told[-1] if told else completion.text), self._items(example.target)
        if not found:
            return unparsed("no item", completion.text, example)
        common = found.keys() & wanted.keys()
        value = 2 * len(common) / (len(found) + len(wanted))
        if self.measure == "exact":
            value = float(value == 1)
        lacking = [name for key, name in wanted.items() if key not in common]
        extra = [name for key, name in found.items() if key not in common]
        reasons = [_named("lacking", lacking), _named("not expected", extra)]
        return Score(value, ", ".join(found.values()), "; ".join(filter(None, reasons)))

    def flaw(self, target: str) -> str:
        """Return why a target is no set; empty where it is one."""
        return "" if self._items(target) else f"target {target[:40]!r} holds no item"

    def _items(self, text: str) -> dict[str, str]:
        """Return the items by what they are compared by, in order."""
        names = [LAST.sub("", tidy(BULLET.sub("", item))) for item in self._split(plain(text).strip())]
        return {name.casefold() if self.ignore_case else name: name for name in names if name.strip(".,;:!?-[]")}

    def _split(self, text: str) -> list[str]:
        if self.separator is not None:
            return text.split(self.separator)
        if known := listed(text):
            return list(known)
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1:
            return lines
        return (SEMICOLON if SEMICOLON.search(text) else COMMA).split(text)


def _named(what: str, items: list[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f"{what}: {', '.join(item[:60] for item in items[:NAMED])}{more}" if items else ""
