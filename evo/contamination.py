"""Whether a prompt quotes the data: words of rows it was scored on, copied into it, would flatter its score."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from evo.model import Example

WORDS = 8
"""A run of this many equal words is a quotation (13 in the overlap check of Brown et al. 2020; prompts are shorter)."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A row that a prompt quotes, and the first run of words they share."""

    example: int
    words: str


def quoted_rows(text: str, rows: Iterable[Example], length: int = WORDS) -> tuple[Overlap, ...]:
    """Return the rows whose inputs share a run of ``length`` words with a text, by their order.

    Case and punctuation do not count. A shorter row, of three words at least, counts when the text holds all of it.
    """
    words = _words(text)
    grams = {size: _grams(words, size) for size in range(3, length + 1)}
    found = []
    for row in rows:
        own = [word for value in row.inputs.values() for word in _words(value)]
        size = min(length, len(own))
        shared = next((gram for gram in _runs(own, size) if gram in grams[size]), None) if size >= 3 else None
        if shared is not None:
            found.append(Overlap(row.number, " ".join(shared)))
    return tuple(found)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _runs(words: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def _grams(words: list[str], size: int) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(words, size))
