"""The edits of one candidate of GrIPS (Prasad et al., EACL 2023), with the phrases they take out and put back.

`Edit` draws everything it does. Here the method has drawn which operations follow each other, what is deleted and what
comes back: so it knows what its line has lost, and the lineage tells. Where a phrase is put, which two change places
and which one is substituted is drawn here. A phrase is found as a phrase, wherever it stands: the one at the
beginning too, never a part of a word, and of several that are equal one.
Cost: no model call; with ``by_model`` one for each substitution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.model import Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.edits import has_words, tidy
from operators.parsing import between_tags, normalised
from operators.phrase_edits import EDITS, Material, Phrases, draw, inserted, replaced, without
from operators.phrases import Level, free, split
from operators.rewrites import MAX_TOKENS, TEMPERATURE, refuse_copy
from operators.templates import rephrase


@dataclass(frozen=True, slots=True)
class PhraseScript:
    """Return the first parent after these edits, one after the other, cut into phrases anew for each.

    Further parents are those the phrases put back were deleted from; the text needs none of them. The child is at most
    ``max_chars`` long, or as long as its parent if that is longer.

    Args:
        edits: Operations (delete, swap, substitute, add) in order, each with the phrase that a delete takes out or an
            add puts in, and an empty text otherwise.
        level: What a phrase is.
        by_model: Whether a model rewords the phrase to substitute, instead of the bank of `operators.phrase_bank`.
        labels: Of a classification: never substituted by the bank.
        temperature: Of the model.
        max_tokens: Most tokens of the model's reply.
        max_chars: See above.
    """

    name: ClassVar[str] = "phrase-script"

    edits: tuple[tuple[str, str], ...]
    level: Level = "clause"
    by_model: bool = False
    labels: tuple[str, ...] = ()
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    max_chars: int = 2000

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when an edit does not apply or a reply cannot be used."""
        base = parents[0].prompt
        text = base.text
        for operation, phrase in self.edits:
            edited = await self._edited(split(text, self.level), operation, phrase, llm, rng)
            if not edited or not has_words(edited):
                raise OperatorError(f"expected phrases to {operation}, found none in {len(text)} characters; try again")
            text = tidy(edited, base.text)
        refuse_copy(text, parents)
        longest = max(self.max_chars, len(base.text))
        if len(text) > longest:
            raise OperatorError(f"expected a child of at most {longest} characters, got {len(text)}; try again")
        return base.with_text(text)

    async def _edited(
        self, phrases: Phrases, operation: str, phrase: str, llm: Llm, rng: np.random.Generator
    ) -> Phrases | None:
        if operation == "delete":
            place = draw(_places(phrases, phrase), rng)
            return None if place is None else without(phrases, place)
        if operation == "add":
            return inserted(phrases, phrase, rng)
        if operation == "substitute" and self.by_model:
            return await self._reworded(phrases, llm, rng)
        return EDITS[operation](phrases, Material(self.level, labels=self.labels), rng)

    async def _reworded(self, phrases: Phrases, llm: Llm, rng: np.random.Generator) -> Phrases | None:
        """Return the phrases with one reworded by the model."""
        place = draw(wordy(phrases), rng)
        if place is None:
            return None
        old = phrases[place].text
        request = Request.user(
            rephrase(old), temperature=self.temperature, max_tokens=self.max_tokens, seed=draw_seed(rng)
        )
        new = " ".join(between_tags((await llm.complete(request)).text).split())
        if normalised(new) == normalised(old):
            raise OperatorError(f"expected other words for {old[:40]!r}, got the same; try again, or a stronger model")
        return replaced(phrases, place, new)


def wordy(phrases: Phrases) -> tuple[int, ...]:
    """Return the places of phrases that are not locked and hold more than marks."""
    return tuple(place for place in free(phrases) if has_words((phrases[place],)))


def _places(phrases: Phrases, text: str) -> list[int]:
    """Return where a phrase stands; where an earlier edit changed its marks or case, where its words stand."""
    found = [place for place in wordy(phrases) if phrases[place].text == text]
    return found or [place for place in wordy(phrases) if normalised(phrases[place].text) == normalised(text)]
