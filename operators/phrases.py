"""A prompt as phrases: cut it, put it together again, without a parser.

GrIPS (Prasad et al., EACL 2023) cuts by a constituency parse. Here the level ``clause`` cuts after punctuation, before
conjunctions and before short function words, which needs no model; ``word`` and ``sentence`` are the paper's own.
Whatever stands in braces, and every locked text, is one piece that is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["word", "clause", "sentence"]

_OPENING = """
and or but nor so then yet if unless because since while when where although though that which who whether
of to in for with by from as on into about using based given without according after before
"""
_OPENERS = frozenset(_OPENING.split())
"""Words a new clause begins with."""
_CLOSERS = "\"')]}\u201d\u2019"
_SENTENCE_ENDS = (".", "!", "?", ":")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of a prompt; ``gap`` is the white space before it. A locked one stays as and where it is."""

    text: str
    gap: str = " "
    locked: bool = False

    @property
    def ends_sentence(self) -> bool:
        """Whether a sentence ends here: full stop, question or exclamation mark, or colon."""
        return self.text.rstrip(_CLOSERS).endswith(_SENTENCE_ENDS)


def split(text: str, level: Level, locked: Sequence[str] = ()) -> tuple[Phrase, ...]:
    """Return the phrases of ``text``, in order; `join` gives the text back with white space normalised."""
    words = _words(text, locked)
    if level == "word":
        return words
    groups: list[list[Phrase]] = []
    for word in words:
        if groups and not _cuts(groups[-1], word, level):
            groups[-1].append(word)
        else:
            groups.append([word])
    return tuple(_joined(group) for group in groups)


def join(phrases: Sequence[Phrase]) -> str:
    """Return the phrases as a text; what the first phrase's gap was does not show."""
    return "".join(phrase.text if place == 0 else phrase.gap + phrase.text for place, phrase in enumerate(phrases))


def free(phrases: Sequence[Phrase]) -> tuple[int, ...]:
    """Return the places of phrases that are not locked."""
    return tuple(place for place, phrase in enumerate(phrases) if not phrase.locked)


def _words(text: str, locked: Sequence[str]) -> tuple[Phrase, ...]:
    literals = [re.escape(literal) for literal in sorted(locked, key=len, reverse=True) if literal]
    atom = "|".join([*literals, r"\{[^{}]{0,200}\}"])
    words: list[Phrase] = []
    end = 0
    for match in re.finditer(rf"(?:{atom}|\S)+", text):
        keep = re.search(rf"{atom}|[{{}}]", match.group()) is not None
        words.append(Phrase(match.group(), _gap(text[end : match.start()]), keep))
        end = match.end()
    return tuple(words)


def _gap(space: str) -> str:
    return "\n" * min(2, space.count("\n")) or " "


def _cuts(group: Sequence[Phrase], word: Phrase, level: Level) -> bool:
    """Return whether a new phrase begins with ``word``."""
    last = group[-1]
    if last.ends_sentence or "\n" in word.gap:
        return True
    if level == "sentence":
        return False
    if last.locked or word.locked or last.text.endswith((",", ";", "\u2014", "\u2013", " -")):
        return True
    return word.text.casefold().strip(",;:.") in _OPENERS and last.text.casefold() not in _OPENERS


def _joined(group: Sequence[Phrase]) -> Phrase:
    return replace(group[0], text=join(group), locked=any(word.locked for word in group))
