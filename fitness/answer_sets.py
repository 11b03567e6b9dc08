"""Answers that are sets: all that apply, in any order, such as the topics of a text or the names it mentions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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
AND = re.compile(r"\s+and\s+", re.IGNORECASE)
FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
EMPTY = re.compile(r"(?:none|nothing|\[\s*\]|\{\s*\})\W*", re.IGNORECASE)
"""A whole answer that says that there is no item."""
NAMED = 10
"""A reason names at most this many items of each kind."""


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """The items of the reply against the target's, in any order and each once, as ``{name: set, measure: exact}``.

    Items stand on lines of their own (where some have bullets or numbers, those alone count), or are separated by
    commas or semicolons where there is one line, the last one also by ``and``, or make a JSON list. A fenced block, and
    a line that begins with ``Answer:``, counts alone. No item at all is written ``none`` or ``[]``, in targets too.

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
        """Return the score; a reply that neither has items nor says so is unparsed.

        Raises ValueError for such a target.
        """
        if flaw := self.flaw(example.target):
            raise ValueError(flaw)
        answer = _answer_in(completion.text)
        found, wanted = self._items(answer), self._items(example.target)
        if not found and not _says_none(answer):
            return unparsed("no item", completion.text, example)
        found, wanted = self._parted(found, wanted, answer), self._parted(wanted, found, example.target, all)
        common = found.keys() & wanted.keys()
        value = 2 * len(common) / (len(found) + len(wanted)) if found or wanted else 1.0
        if self.measure == "exact":
            value = float(value == 1)
        lacking = [name for key, name in wanted.items() if key not in common]
        extra = [name for key, name in found.items() if key not in common]
        reasons = [_named("lacking", lacking), _named("not expected", extra)]
        return Score(value, ", ".join(found.values()) or "none", "; ".join(filter(None, reasons)))

    def flaw(self, target: str) -> str:
        """Return why a target is no set; empty where it is one."""
        return "" if self._items(target) or _says_none(target) else f"target {target[:40]!r} holds no item"

    def _items(self, text: str) -> dict[str, str]:
        """Return the items by what they are compared by, in order; none where a text says so."""
        if _says_none(text):
            return {}
        return self._keyed(LAST.sub("", tidy(BULLET.sub("", item))) for item in self._split(plain(text).strip()))

    def _keyed(self, names: Iterable[str]) -> dict[str, str]:
        return {name.casefold() if self.ignore_case else name: name for name in names if name.strip(".,;:!?-[]")}

    def _split(self, text: str) -> list[str]:
        if self.separator is not None:
            return text.split(self.separator)
        if known := listed(text):
            return list(known)
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1:
            bulleted = [line for line in lines if BULLET.match(line)]
            return bulleted or [line for line in lines if not line.rstrip().endswith(":")]
        return (SEMICOLON if SEMICOLON.search(text) else COMMA).split(text)

    def _parted(
        self, items: dict[str, str], others: dict[str, str], text: str, enough: Callable[[Iterable[bool]], bool] = any
    ) -> dict[str, str]:
        """Return items with ``b and c`` at the end as two, where the other side knows it as two and not as one.

        A name may hold an ``and`` of its own, so that only the other side can tell.
        """
        if not items or self.separator is not None or listed(text) or len(text.strip().splitlines()) > 1:
            return items
        key, name = [*items.items()][-1]
        parts = self._keyed(AND.split(name))
        if key in others or not enough(part in others for part in parts):
            return items
        return {other: one for other, one in items.items() if other != key} | parts


def _answer_in(reply: str) -> str:
    """Return what counts of a reply: its first fenced block, else its last line that begins with ``Answer:``."""
    if block := FENCE.search(reply.replace("\r\n", "\n")):
        return block[1]
    told: list[str] = ANSWER_LINE.findall(reply)
    return told[-1] if told else reply


def _says_none(text: str) -> bool:
    return bool(text.strip()) and EMPTY.fullmatch(tidy(text)) is not None


def _named(what: str, items: list[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f"{what}: {', '.join(item[:60] for item in items[:NAMED])}{more}" if items else ""
