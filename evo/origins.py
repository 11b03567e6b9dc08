"""Where the words of a prompt come from: each traced back, birth by birth, to the individual that first had it.

At a birth, a word that aligns with one parent is that parent's; of several the one with which the longest phrase around
it aligns, the base first where they are equal; what is left was brought by the birth's operator. So a word an operator
has rewritten as it was counts as inherited; a sign goes with the word before it. `evo.words` says what aligns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from evo.model import Prompt, island_of
from evo.words import is_word, run_sizes, spaced_words, taken


@dataclass(frozen=True, slots=True)
class Kin:
    """What tracing asks about individuals, each by its number."""

    prompt: Callable[[int], Prompt]
    operator: Callable[[int], str]
    parents: Callable[[int], Sequence[int]]
    """Its parents, the base first, each once."""
    age: Callable[[int], int]
    """Grows from parent to child."""


@dataclass(frozen=True, slots=True)
class Span:
    """A phrase, and the individual that first had it: its words stand there side by side, and align with no parent's.

    ``operator`` is what made that individual, on that ``island``.
    """

    text: str
    individual: int
    operator: str
    island: int


@dataclass(frozen=True, slots=True)
class PartOrigin:
    """Where one part of a prompt comes from; its spans together are its text.

    A ``gene`` is a part that no model under test sees.
    """

    part: str
    gene: bool
    spans: tuple[Span, ...]


def trace(number: int, kin: Kin) -> tuple[PartOrigin, ...]:
    """Return where each phrase of an individual's prompt comes from, part by part, genes last.

    Parts are traced each for itself, by name. Takes an alignment for each ancestor that had some of the words and each
    of its parents: about a millisecond for prompts of 100 words.
    """
    parts = sorted(kin.prompt(number).parts, key=lambda part: part[0].startswith("_"))
    return tuple(
        PartOrigin(name, name.startswith("_"), tuple(_spans(text, _homes(number, name, kin), kin)))
        for name, text in parts
    )


def _homes(number: int, part: str, kin: Kin) -> list[tuple[int, int]]:
    """Return for each word of a part who first had it, and as which word of its own."""
    homes = [(number, place) for place in range(len(_words(kin, number, part)))]
    held: dict[int, list[tuple[int, int]]] = {number: [(place, place) for place in range(len(homes))]}
    queue = [(-kin.age(number), number)]
    while queue:  # the youngest first: whatever it passes on, its parents have all of it before they come
        _, holder = heappop(queue)
        left, own = held.pop(holder), _words(kin, holder, part)
        givers = _givers(own, [(parent, _words(kin, parent, part)) for parent in kin.parents(holder)])
        for word, place in left:
            if place not in givers:
                homes[word] = holder, place
                continue
            parent, source = givers[place]
            if parent not in held:
                heappush(queue, (-kin.age(parent), parent))
                held[parent] = []
            held[parent].append((word, source))
    return homes


def _givers(own: Sequence[str], parents: Sequence[tuple[int, list[str]]]) -> dict[int, tuple[int, int]]:
    """Return for each word that a parent gave which parent, and as which word of its own."""
    found: dict[int, tuple[int, int]] = {}
    longest: dict[int, int] = {}
    matches = {parent: taken(own, words) for parent, words in parents}
    for parent, match in matches.items():
        for place, size in run_sizes(match, own).items():
            if size > longest.get(place, -1):
                longest[place], found[place] = size, (parent, match[place])
    for place in range(1, len(own)):  # a sign is whose the word before it is
        giver = found.get(place - 1)
        if is_word(own[place]):
            continue
        if giver is None:
            found.pop(place, None)
        elif matches[giver[0]].get(place) == giver[1] + 1:
            found[place] = giver[0], giver[1] + 1
    return found


def _words(kin: Kin, number: int, part: str) -> list[str]:
    return spaced_words(dict(kin.prompt(number).parts).get(part, ""))


def _spans(text: str, homes: Sequence[tuple[int, int]], kin: Kin) -> Iterator[Span]:
    """Yield words that stand side by side both here and in the individual that first had them as one span."""
    words, start = spaced_words(text), 0
    for end in range(1, len(words) + 1):
        whose, place = homes[end - 1]
        if end == len(words) or homes[end] != (whose, place + 1):
            yield Span("".join(words[start:end]), whose, kin.operator(whose), island_of(whose))
            start = end
