"""The four edits of GrIPS (Prasad et al., EACL 2023) on phrases instead of substrings: delete, swap, substitute, add.

Each takes phrases and returns edited ones, or None where the edit does not apply. Locked phrases are neither removed
nor moved, and at least one other phrase is always left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from operators.phrase_bank import ANSWER_CUES, FRAGMENTS, INPUT_CUES, OPENINGS, STEPS, frames, suited, synonyms
from operators.phrases import Level, Phrase, free, join

T = TypeVar("T")
_MARKS = ",;:.!?"
Phrases = tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """Where new phrases come from: ``sources`` (of other parents) while they have any, else the built-in bank.

    What the bank says of labels is offered only where the task has ``labels``.
    """

    level: Level
    sources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def delete(phrases: Phrases, material: Material, rng: np.random.Generator) -> Phrases | None:
    """Return the phrases without one."""
    del material
    places = free(phrases)
    return without(phrases, places[int(rng.integers(len(places)))]) if len(places) > 1 else None


def swap(phrases: Phrases, material: Material, rng: np.random.Generator) -> Phrases | None:
    """Return the phrases with two different ones in each other's place."""
    del material
    one = draw(free(phrases), rng)
    others = [place for place in free(phrases) if one is not None and phrases[place].text != phrases[one].text]
    other = draw(others, rng)
    if one is None or other is None:
        return None
    swapped = list(phrases)
    swapped[one] = replace(phrases[one], text=phrases[other].text)
    swapped[other] = replace(phrases[other], text=phrases[one].text)
    return tuple(swapped)


def substitute(phrases: Phrases, material: Material, rng: np.random.Generator) -> Phrases | None:
    """Return the phrases with one replaced: by a source's, a synonym (words), a fragment, a step or a frame."""
    fresh = _fresh(material.sources, phrases)
    if fresh:
        return replaced(phrases, draw(free(phrases), rng), draw(fresh, rng))
    if material.level == "sentence":
        return _other_sentence(phrases, material.labels, rng)
    if material.level == "clause" and rng.random() < 0.5:
        places = [place for place in free(phrases) if place > 0 and not phrases[place - 1].ends_sentence]
        return replaced(phrases, draw(places, rng), draw(_fresh(suited(FRAGMENTS, material.labels), phrases), rng))
    return _other_word(phrases, material.labels, rng)


def add(phrases: Phrases, material: Material, rng: np.random.Generator) -> Phrases | None:
    """Return the phrases with one more: a source's phrase that is absent here, or one of the bank."""
    fresh = draw(_fresh(material.sources, phrases), rng)
    if fresh is not None:
        return inserted(phrases, fresh, rng)
    if rng.random() < 0.25:
        return _with_cue(phrases, material.labels, rng)
    fresh = draw(_fresh((*suited(STEPS, material.labels), *frames(material.labels)), phrases), rng)
    return None if fresh is None else inserted(phrases, fresh, rng)


EDITS = {"delete": delete, "swap": swap, "substitute": substitute, "add": add}


def draw(options: Sequence[T], rng: np.random.Generator) -> T | None:
    """Return one of ``options``, all equally likely; None when there is none."""
    return options[int(rng.integers(len(options)))] if options else None


def _fresh(texts: Sequence[str], phrases: Phrases) -> list[str]:
    """Return the texts whose words do not stand in the phrases yet."""
    here = _bare(join(phrases))
    return [text for text in texts if _bare(text) not in here]


def _bare(text: str) -> str:
    """Return the words alone, each between spaces."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


def without(phrases: Phrases, place: int) -> Phrases:
    """Return the phrases without one; the mark that closed a sentence, and a line break, stay."""
    before, gone, after = list(phrases[:place]), phrases[place], list(phrases[place + 1 :])
    if gone.ends_sentence and before and not before[-1].locked and not before[-1].ends_sentence:
        before[-1] = _marked(before[-1], _mark(gone.text))
    if after:
        after[0] = replace(after[0], gap=max(gone.gap, after[0].gap, key=lambda gap: gap.count("\n")))
    return (*before, *after)


def replaced(phrases: Phrases, place: int | None, text: str | None) -> Phrases | None:
    """Return the phrases with another text in one place, closed by a mark that suits the place."""
    if place is None or text is None:
        return None
    old, new = phrases[place], replace(phrases[place], text=text)
    both_end = old.ends_sentence and new.ends_sentence
    last_without_mark = place == len(phrases) - 1 and not _mark(old.text)
    if not both_end and not last_without_mark:
        new = _marked(new, _mark(old.text))
    return (*phrases[:place], new, *phrases[place + 1 :])


def _mark(text: str) -> str:
    """Return the punctuation at the end."""
    return text[len(text.rstrip(_MARKS)) :]


def _marked(phrase: Phrase, mark: str) -> Phrase:
    """Return the phrase with another mark at its end."""
    return replace(phrase, text=phrase.text.rstrip(_MARKS) + mark)


def _other_sentence(phrases: Phrases, labels: tuple[str, ...], rng: np.random.Generator) -> Phrases | None:
    """Return one sentence replaced; the only one gives way to an instruction: the prompt must stay one."""
    places = free(phrases)
    openings = suited(OPENINGS, labels)
    instructions = (*openings, *frames(labels)) if rng.random() < 0.5 else frames(labels) or openings
    options = instructions if len(places) < 2 else (*suited(STEPS, labels), *instructions)
    return replaced(phrases, draw(places, rng), draw(_fresh(options, phrases), rng))


def _other_word(phrases: Phrases, labels: tuple[str, ...], rng: np.random.Generator) -> Phrases | None:
    """Return one word replaced by a synonym; labels are no ordinary words and stay."""
    kept = {word for label in labels for word in label.casefold().split()}
    found = [
        (place, match)
        for place in free(phrases)
        for match in re.finditer(r"[A-Za-z]+", phrases[place].text)
        if match.group().casefold() not in kept and synonyms(match.group())
    ]
    chosen = draw(found, rng)
    if chosen is None:
        return None
    place, match = chosen
    new = draw(synonyms(match.group()), rng) or ""
    new = new.capitalize() if match.group()[0].isupper() else new
    text = phrases[place].text[: match.start()] + new + phrases[place].text[match.end() :]
    return (*phrases[:place], replace(phrases[place], text=text), *phrases[place + 1 :])


def inserted(phrases: Phrases, text: str, rng: np.random.Generator) -> Phrases | None:
    """Return the phrases with a new one: a sentence between sentences, anything else anywhere."""
    new = Phrase(text)
    if not new.ends_sentence or text[0].islower():
        return _with_fragment(phrases, new, int(rng.integers(len(phrases) + 1)))
    places = [p for p in range(len(phrases) + 1) if p in (0, len(phrases)) or phrases[p - 1].ends_sentence]
    place = draw([p for p in places if p == 0 or not phrases[p - 1].text.endswith(":")], rng)
    return None if place is None else (*_closed(phrases[:place]), new, *phrases[place:])


def _with_fragment(phrases: Phrases, new: Phrase, place: int) -> Phrases:
    """Return the phrases with a fragment, which takes over the mark of the phrase it comes after and closes nothing."""
    if place == 0 or phrases[place - 1].locked or not phrases[place - 1].ends_sentence:
        return (*phrases[:place], _marked(new, "") if new.ends_sentence else new, *phrases[place:])
    before = phrases[place - 1]
    pair = _marked(before, ""), _marked(new, _mark(before.text))
    return (*phrases[: place - 1], *pair, *phrases[place:])


def _closed(phrases: Phrases) -> Phrases:
    """Return the phrases with a full stop at the end where there is no mark."""
    if not phrases or phrases[-1].locked or phrases[-1].ends_sentence:
        return phrases
    return (*phrases[:-1], _marked(phrases[-1], "."))


def _with_cue(phrases: Phrases, labels: tuple[str, ...], rng: np.random.Generator) -> Phrases | None:
    """Return the phrases with a closing cue on a line of its own, in place of the one there is."""
    holds_input = any(phrase.locked for phrase in phrases)
    last = phrases[-1] if phrases else Phrase("")
    if not last.locked and last.text.endswith(":") and len(last.text.split()) <= 4 and len(free(phrases)) > 1:
        phrases = phrases[:-1]
    cues = suited(ANSWER_CUES, labels) if holds_input else INPUT_CUES
    cue = draw([cue for cue in cues if cue != last.text], rng)
    return None if cue is None else (*_closed(phrases), Phrase(cue, "\n"))
