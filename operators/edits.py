"""Operators that call no model: edits of phrases after GrIPS (Prasad et al., EACL 2023), and a crossover of phrases.

What differs from GrIPS. Phrases come from punctuation and function words, not from a constituency parse. Edits act on
phrases, not on every occurrence of a substring. There is no paraphrasing model: *substitute* draws on other parents, on
a small bank of phrases or on synonyms. GrIPS re-inserts what its single line of descent deleted; an operator has no
memory, so *add* draws on the further parents it is given: an ancestor (role ``deleted-from``), whose phrases that are
absent now were deleted since, or a donor; without a further parent it draws on the bank.
Cost: no model call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError, OperatorError
from evo.model import Individual, Prompt
from evo.ports import Llm
from operators.arguments import at_least, one_of
from operators.parsing import normalised
from operators.phrase_edits import EDITS, Material, Phrases
from operators.phrases import Level, Phrase, free, join, split
from operators.rewrites import refuse_copy

Reach = Literal["word", "clause", "sentence", "any"]
"""What an edit moves; ``any`` tries the three in random order."""
_LEVELS: tuple[Level, ...] = ("word", "clause", "sentence")
_ENDS = (".", "!", "?", ":")
OPERATIONS = ("delete", "swap", "substitute", "add")


@dataclass(frozen=True, slots=True)
class Edit:
    """Return the first parent after ``compose`` edits in sequence; further parents give the phrases put in.

    Locked texts and whatever stands in braces are kept. The child is at most ``max_chars`` long, or as long as its
    parent if that is longer. The ``labels`` of a classification make framing phrases and are never replaced.
    """

    name: ClassVar[str] = "edit"

    compose: int = 1
    level: Reach = "clause"
    operations: tuple[str, ...] = OPERATIONS
    labels: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    max_chars: int = 2000

    def __post_init__(self) -> None:
        at_least(self.name, "compose", self.compose, 1)
        at_least(self.name, "max_chars", self.max_chars, 1)
        one_of(self.name, "level", self.level, Reach)
        if not self.operations or set(self.operations) - set(EDITS):
            raise ConfigError(f"edit expects operations out of {', '.join(EDITS)}, got {self.operations}; use these")

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when no edit applies or the edits undo each other."""
        del llm
        base, *others = parents
        text = base.prompt.text
        longest = max(self.max_chars, len(text))
        for _ in range(self.compose):
            text = self._edited(text, base.prompt.text, [other.prompt.text for other in others], longest, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)

    def _edited(self, text: str, parent: str, others: Sequence[str], longest: int, rng: np.random.Generator) -> str:
        """Return ``text`` after the first edit that applies; operations, then levels, are tried in random order."""
        levels = [_LEVELS[int(place)] for place in rng.permutation(3)] if self.level == "any" else [self.level]
        operations = [self.operations[int(place)] for place in rng.permutation(len(self.operations))]
        for operation, level in product(operations, levels):
            sources = tuple(phrase.text for phrase in _offered(others, level, self.locked))
            phrases = split(text, level, self.locked)
            edited = EDITS[operation](phrases, Material(level, sources, self.labels), rng)
            child = tidy(edited, parent) if edited and has_words(edited) else text
            if child != text and len(child) <= longest:
                return child
        raise OperatorError(
            f"expected a prompt that can be edited at level {self.level}, got {len(text)} characters; lengthen it"
        )


@dataclass(frozen=True, slots=True)
class Reframe:
    """Return the parent with a whole sentence exchanged for one of the bank, or with one more.

    The larger step beside `Edit`'s small ones: a new framing instead of other words in the old one. No model call.
    """

    name: ClassVar[str] = "reframe"

    labels: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    max_chars: int = 2000

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when no sentence may be exchanged and none fits beside."""
        (base,) = parents
        edit = Edit(1, "sentence", ("substitute", "add"), self.labels, self.locked, self.max_chars)
        return await edit([base], llm, rng)


@dataclass(frozen=True, slots=True)
class PhraseCrossover:
    """Return a mix of two parents' clauses (base, mate): uniform or cut at one point, drawn with equal chance.

    Locked texts and whatever stands in braces are kept from the base. No model call.
    """

    name: ClassVar[str] = "phrase-crossover"

    locked: tuple[str, ...] = ()
    max_chars: int = 2000

    def __post_init__(self) -> None:
        at_least(self.name, "max_chars", self.max_chars, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the parents do not mix into anything new, or get too long."""
        del llm
        base, mate = parents
        phrases = split(base.prompt.text, "clause", self.locked)
        offered = _offered([mate.prompt.text], "clause", self.locked)
        if not offered or not free(phrases):
            raise OperatorError("expected two parents with phrases to exchange, got none; pass longer prompts")
        mixed = _one_point(phrases, offered, rng) if rng.random() < 0.5 else _uniform(phrases, offered, rng)
        text = tidy(_without_repeats(mixed), base.prompt.text)
        refuse_copy(text, parents)
        if len(text) > max(self.max_chars, len(base.prompt.text)):
            raise OperatorError(f"expected a child of at most {self.max_chars} characters, got {len(text)}; try again")
        return base.prompt.with_text(text)


def tidy(phrases: Sequence[Phrase], parent: str) -> str:
    """Return the phrases as a text that begins with a capital and ends with a mark as the parent did."""
    pieces = list(phrases)
    last = pieces[-1]
    if not last.locked:
        text = last.text.rstrip(",;")
        pieces[-1] = replace(last, text=text if last.ends_sentence or parent[-1:] not in _ENDS else text + parent[-1:])
    first = pieces[0]
    if not first.locked and parent[:1].isupper():
        pieces[0] = replace(first, text=first.text[:1].upper() + first.text[1:])
    return join(pieces)


def has_words(phrases: Sequence[Phrase]) -> bool:
    """Return whether anything but locked phrases and marks is left."""
    return any(re.search(r"\w", phrases[place].text) for place in free(phrases))


def _offered(texts: Sequence[str], level: Level, locked: Sequence[str]) -> tuple[Phrase, ...]:
    """Return the phrases other prompts have to give: those with words and nothing locked in them."""
    phrases = [phrase for text in texts for phrase in split(text, level, locked)]
    return tuple(phrase for phrase in phrases if not phrase.locked and re.search(r"\w", phrase.text))


def _one_point(base: Phrases, mate: Phrases, rng: np.random.Generator) -> Phrases:
    """Return the base's phrases up to a cut and the mate's after another; the base's locked ones all stay."""
    places = free(base)
    cut = places[int(rng.integers(len(places)))] + 1
    tail = mate[int(rng.integers(len(mate))) :]
    return (*base[:cut], *tail, *(phrase for phrase in base[cut:] if phrase.locked))


def _uniform(base: Phrases, mate: Phrases, rng: np.random.Generator) -> Phrases:
    """Return the base's phrases, each free one exchanged with chance 1/2 for the mate's at the same relative place."""
    places = free(base)
    taken = rng.random(len(places)) < 0.5
    taken[int(rng.integers(len(places)))] = True
    mixed = list(base)
    for turn, place in enumerate(places):
        if taken[turn]:
            partner = round(turn * (len(mate) - 1) / max(1, len(places) - 1))
            mixed[place] = replace(base[place], text=mate[partner].text)
    return tuple(mixed)


def _without_repeats(phrases: Phrases) -> Phrases:
    """Return the phrases, of several free ones that say the same only the first."""
    seen: set[str] = set()
    kept: list[Phrase] = []
    for phrase in phrases:
        said = normalised(phrase.text)
        if phrase.locked or said not in seen:
            kept.append(phrase)
        seen.add(said)
    return tuple(kept)
