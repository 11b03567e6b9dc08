"""Words of a prompt hidden in gaps, and whether a text is that prompt with its gaps filled."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from evo.errors import OperatorError


def hidden(text: str, share: float, longest: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return the pieces of a text that stay when spans of its words are hidden: before, between and after the gaps.

    Spans of 1 to ``longest`` words are drawn until ``share`` of all words, at least one and never all, are hidden. A
    word with a brace, such as a placeholder, stays.

    Raises:
        OperatorError: There is no word that could be hidden beside one that stays.
    """
    words = list(re.finditer(r"\S+", text))
    free = {place for place, word in enumerate(words) if not re.search(r"[{}]", word[0])}
    goal = min(len(free), len(words) - 1, max(1, round(share * len(words))))
    if goal < 1:
        raise OperatorError(f"expected a prompt of which a word can be hidden, got {text[:60]!r}; use another operator")
    chosen: set[int] = set()
    for start in (int(place) for place in rng.permutation(sorted(free))):
        span = range(start, start + min(int(rng.integers(1, longest + 1)), goal - len(chosen)))
        chosen |= free.intersection(span)
    return _pieces(text, words, chosen)


def filled(text: str, kept: Sequence[str]) -> bool:
    """Return whether a text is the kept pieces in order, with something in each gap between them.

    Case, white space and the punctuation at its end do not count.
    """
    text = _plain(text).rstrip(" .!?")
    pieces = [_plain(piece) for piece in kept]
    first, *middle, last = (*pieces[:-1], pieces[-1].rstrip(" .!?"))
    if not text.startswith(first) or not text.endswith(last):
        return False
    end = len(text) - len(last)
    place = len(first)
    for piece in middle:
        place = text.find(piece, _word_after(text, place), end)
        if place < 0:
            return False
        place += len(piece)
    return _word_after(text, place) <= end


def _word_after(text: str, place: int) -> int:
    """Return where the first letter or digit after a place ends; beyond the text when there is none."""
    found = re.compile(r"\w").search(text, place)
    return found.end() if found else len(text) + 1


def _pieces(text: str, words: Sequence[re.Match[str]], chosen: set[int]) -> tuple[str, ...]:
    pieces: list[str] = []
    start = 0
    for place in sorted(chosen):
        if place - 1 not in chosen:
            pieces.append(text[start : words[place].start()])
        start = words[place].end()
    return (*pieces, text[start:])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
