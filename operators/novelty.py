"""Refusal of near-duplicates before a row is spent on them: whoever repeats what is known is asked again.

Two prompts with the same worked examples are near-duplicates when their texts share nine tenths of their character
5-grams, case and white space aside: the measure that MinHash estimates (Broder 1997), taken exactly, as prompts are
short and few. Other worked examples, or the same in another order, make another prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from evo.errors import OperatorError
from evo.model import EXAMPLES, Individual, Prompt, demos_of
from evo.ports import Llm, Operator
from operators.parsing import normalised

GRAM = 5
SAME = 0.9
Content = tuple[str, tuple[tuple[str, str, str], ...]]
REMEMBERED = 256
"""Most prompts a newborn is compared with, the latest: what is remembered does not grow with the run."""


@dataclass(frozen=True, slots=True)
class Novel:
    """Return what another operator writes, unless it nearly repeats one of ``known``. Calls the model as that does."""

    operator: Operator
    known: tuple[Content, ...] = field(repr=False)
    """Prompts as `content_of` gives them."""

    @property
    def name(self) -> str:
        """The other operator's."""
        return self.operator.name

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError as the operator does, and for a near-duplicate."""
        child = await self.operator(parents, llm, rng)
        text, demos = content_of(child)
        if any(shown == demos and resemblance(text, other) >= SAME for other, shown in self.known):
            raise OperatorError(f"expected a new prompt, got nearly one that was tried: {text[:80]!r}; try again")
        return child


def content_of(prompt: Prompt) -> Content:
    """Return all that a model is shown of a prompt: its texts, normalised, and its worked examples."""
    texts = "\n".join(f"{name}: {normalised(text)}" for name, text in prompt.shown if name != EXAMPLES)
    return texts, tuple((demo.input, demo.working, demo.answer) for demo in demos_of(prompt))


def resemblance(first: str, second: str) -> float:
    """Return the Jaccard index of two texts' 5-grams, in [0, 1]; texts that short are the same or not."""
    if first == second:
        return 1.0
    ours, theirs = _grams(first), _grams(second)
    if min(len(ours), len(theirs)) < SAME * max(len(ours), len(theirs)):
        return 0.0  # cannot reach it: spares most of the work
    return len(ours & theirs) / max(1, len(ours | theirs))


@lru_cache(maxsize=4 * REMEMBERED)
def _grams(text: str) -> frozenset[str]:
    return frozenset(text[place : place + GRAM] for place in range(len(text) - GRAM + 1))
