"""Texts as words: which of them one text has from another, and what changed between two prompts.

Alignment is Python's difflib, the longest common run first and then left and right of it (Ratcliff and Metzener
1988). A word is a run of letters and digits, a single CJK sign, or a single other sign.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import pairwise

from evo.prompt import Prompt

SAME, REMOVED, ADDED = "same", "removed", "added"
MOVED = 3
"""Fewest words of a phrase that is known again elsewhere in a text; fewer meet by chance."""
NEAR = 2
"""Most words between a single word and a run it is taken to belong to."""
LONG = 1_000
"""From so many words on, those that are frequent no longer begin a match: time would grow with the square."""
MOST_PAIRS = 40_000_000
"""Product of two lengths beyond which only what two texts begin and end with alike is aligned, and what is between them
if that is short enough: time would grow with the cube for texts that are made to take it."""

_ENDS = frozenset(".!?:;。！？")  # noqa: RUF001 - the ends of sentences in several scripts
_WORD = r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]"
_PIECES = re.compile(rf"\s+|{_WORD}")
_SPACED = re.compile(rf"\s*(?:{_WORD})\s*|\s+")


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of text that is the ``same`` in both prompts, ``removed`` from the first or ``added`` in the second."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PartDiff:
    """What changed in one part of a prompt.

    Same and removed stretches together are the first prompt's text, same and added ones the second's. A ``gene`` is a
    part that no model under test sees.
    """

    part: str
    gene: bool
    changes: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        """Whether anything did."""
        return any(change.kind != SAME for change in self.changes)


def diff(before: Prompt, after: Prompt) -> tuple[PartDiff, ...]:
    """Return what changed from one prompt to another, word by word.

    A diff for each part either has: the second's in their order, then those it lacks; genes last. Time grows with the
    product of the two lengths: milliseconds for 100 words, seconds for thousands; beyond, see `MOST_PAIRS`.
    """
    old, new = dict(before.parts), dict(after.parts)
    names = sorted([*new, *(name for name in old if name not in new)], key=lambda name: name.startswith("_"))
    return tuple(PartDiff(name, name.startswith("_"), changes(old.get(name, ""), new.get(name, ""))) for name in names)


def changes(before: str, after: str) -> tuple[Change, ...]:
    """Return how one text became another. White space between two changes counts as changed with them."""
    a, b = _PIECES.findall(before), _PIECES.findall(after)
    steps = _steps(a, b)
    found: list[Change] = []
    removed = added = ""
    for place, (kind, i, j, k, m) in enumerate(steps):
        old, new = "".join(a[i:j]), "".join(b[k:m])
        if kind != "equal" or (new.isspace() and 0 < place < len(steps) - 1):
            removed, added = removed + old, added + new
        else:
            found += (Change(REMOVED, removed), Change(ADDED, added), Change(SAME, new))
            removed = added = ""
    found += (Change(REMOVED, removed), Change(ADDED, added))
    return tuple(change for change in found if change.text)


def _steps(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Return the opcodes of difflib that make ``b`` of ``a``."""
    head, tail = _ends(a, b)
    i, j = len(a) - tail, len(b) - tail
    inner: list[tuple[str, int, int, int, int]] = [("replace", head, i, head, j)]
    if (i - head) * (j - head) <= MOST_PAIRS:
        own, other = a[head:i], b[head:j]
        found = SequenceMatcher(str.isspace, own, other, _is_long(own, other)).get_opcodes()
        inner = [(kind, w + head, x + head, y + head, z + head) for kind, w, x, y, z in found]
    before: list[tuple[str, int, int, int, int]] = [("equal", 0, head, 0, head)] if head else []
    return [*before, *inner, *([("equal", i, len(a), j, len(b))] if tail else [])]


def _ends(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """Return how many words two long texts begin and end with alike; of short ones difflib says it better."""
    if len(a) * len(b) <= MOST_PAIRS:
        return 0, 0
    most = min(len(a), len(b))
    head = next((place for place in range(most) if a[place] != b[place]), most)
    tail = next((place for place in range(most - head) if a[-1 - place] != b[-1 - place]), most - head)
    return head, tail


def spaced_words(text: str) -> list[str]:
    """Return a text's words with the white space around them: together they are the text again."""
    return _SPACED.findall(text)


def taken(child: Sequence[str], parent: Sequence[str]) -> dict[int, int]:
    """Return which words of a text come from another: place in the first, place in the second.

    A single word counts only near another run, a run of less than `MOVED` words only where half of its sentence was
    found, and signs alone do not: they meet by chance. A phrase of `MOVED` words
    or more is known again wherever it stands; so one phrase of the parent may be found twice. White space around words
    is not compared.
    """
    own, other = [word.strip() for word in child], [word.strip() for word in parent]
    if own == other:
        return {place: place for place in range(len(own))}
    head, tail = _ends(own, other)
    if head or tail or len(own) * len(other) > MOST_PAIRS:
        ends = [*range(head), *range(len(own) - tail, len(own))]
        alike = {place: place if place < head else place + len(other) - len(own) for place in ends}
        inner = child[head : len(own) - tail], other[head : len(other) - tail]
        some = taken(*inner) if len(inner[0]) * len(inner[1]) <= MOST_PAIRS else {}
        return alike | {place + head: source + head for place, source in some.items()}
    matcher = SequenceMatcher(None, own, other, _is_long(own, other))
    runs = [run for run in matcher.get_matching_blocks() if _size(own, run) > 0]
    found: dict[int, int] = {}
    for place, run in enumerate(runs):
        before, after = runs[place - 1] if place else None, runs[place + 1] if place + 1 < len(runs) else None
        if _size(own, run) > 1 or (before and _is_near(before, run)) or (after and _is_near(run, after)):
            found.update(zip(range(run.a, run.a + run.size), range(run.b, run.b + run.size), strict=True))
    found = _meant(found, child, own)
    gaps = _gaps(found, len(own))
    while gaps:
        low, high = gaps.pop()
        a, b, size = matcher.find_longest_match(low, high, 0, len(other))
        if sum(map(is_word, own[a : a + size])) >= MOVED:
            found.update(zip(range(a, a + size), range(b, b + size), strict=True))
            gaps += [(low, a), (a + size, high)]
    return found


def _meant(found: dict[int, int], child: Sequence[str], own: Sequence[str]) -> dict[int, int]:
    """Leave out words that meet by chance: those of short runs in a sentence of which less than half was found."""
    sentence, total = [0] * len(own), [0]
    for place, word in enumerate(own):
        sentence[place] = len(total) - 1
        total[-1] += is_word(word)
        if word in _ENDS or "\n" in child[place]:
            total.append(0)
    alike = [0] * len(total)
    for place in found:
        alike[sentence[place]] += is_word(own[place])
    long = {place for place, size in run_sizes(found, own).items() if size >= MOVED}
    return {p: q for p, q in found.items() if p in long or 2 * alike[sentence[p]] >= total[sentence[p]]}


def run_sizes(found: dict[int, int], own: Sequence[str]) -> dict[int, int]:
    """Return for each place that was found how many words stand side by side there and where they come from."""
    sizes: dict[int, int] = {}
    run: list[int] = []
    for place in [*sorted(found), -1]:
        if run and (place != run[-1] + 1 or found[place] != found[run[-1]] + 1):
            sizes |= dict.fromkeys(run, sum(is_word(own[one]) for one in run))
            run = []
        run.append(place)
    return sizes


def _gaps(found: dict[int, int], size: int) -> list[tuple[int, int]]:
    """Return the stretches without a match, long enough to hold a phrase."""
    edges = [-1, *sorted(found), size]
    return [(a + 1, b) for a, b in pairwise(edges) if b - a > MOVED]


def _size(own: Sequence[str], run: Match) -> int:
    """Return the words of a run, signs not counted."""
    return sum(map(is_word, own[run.a : run.a + run.size]))


def _is_near(run: Match, later: Match) -> bool:
    return later.a - (run.a + run.size) <= NEAR


def is_word(word: str) -> bool:
    """Whether it is more than a sign."""
    return any(character.isalnum() for character in word)


def _is_long(a: Sequence[str], b: Sequence[str]) -> bool:
    return max(len(a), len(b)) >= LONG
