"""A toy task: made-up reviews that are positive or negative, and a hidden rule for how good an instruction is.

With `fitness.fake.FakeLlm` as the model, whole runs make real progress without any model.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from evo.errors import ConfigError
from evo.randomness import child_rng

LABELS = NEGATIVE, POSITIVE = ("negative", "positive")

PRAISE = ("lovely", "excellent", "superb", "delightful", "reliable", "brilliant", "charming", "splendid")
BLAME = ("dreadful", "broken", "awful", "disappointing", "flimsy", "useless", "noisy", "horrible")
THINGS = ("lamp", "chair", "kettle", "novel", "hotel", "jacket", "camera", "meal", "printer", "garden", "film")
DEGREES = ("really", "quite", "very", "rather", "truly", "simply", "utterly", "honestly")
ASIDES = (
    "came in a blue box",
    "arrived on a Tuesday",
    "was for my sister",
    "stands in the hall",
    "weighs two pounds",
    "has a wooden handle",
    "is made in the north",
    "was on the second page",
)

USEFUL = ("carefully", "tone", "customer", "label", "exactly", "one word", "sentiment", "overall", "feeling", "wording")
"""What lifts an instruction's hidden quality; each counts once."""
PATIENCE = 40
"""Words an instruction may have before its length counts against it."""
FLOOR, CEILING = 0.5, 0.97
"""Accuracy of an instruction of quality 0 and 1."""

REVIEW = re.compile(r"Review: The [^\n.]*\.")


def toy_rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Return ``n`` different rows with columns ``input`` and ``target``, half of them positive.

    The same seed gives the same rows, and fewer rows are a prefix of more. Raises ConfigError beyond 50,000.
    """
    if not 0 <= n <= 50_000:
        raise ConfigError(f"expected 0 to 50000 toy rows, got {n}; ask for fewer")
    rng = child_rng(seed, "toy-rows")
    rows: dict[str, str] = {}
    while len(rows) < n:
        target = LABELS[len(rows) % 2]
        rows.setdefault(_review(PRAISE if target == POSITIVE else BLAME, rng.random(5).tolist()), target)
    return [{"input": text, "target": target} for text, target in rows.items()]


def review_in(text: str) -> str:
    """Return the toy review in a message, or nothing when it holds none; of several the last."""
    found = REVIEW.findall(text)
    return found[-1] if found else ""


def truth(review: str) -> str:
    """Return the label of a toy review, or nothing for other text."""
    words = set(re.findall(r"\w+", review))
    praised, blamed = not words.isdisjoint(PRAISE), not words.isdisjoint(BLAME)
    return "" if praised == blamed else POSITIVE if praised else NEGATIVE


@lru_cache(maxsize=4096)
def hidden_quality(instruction: str) -> float:
    """Return how good an instruction is, in [0, 1]: useful words help, each less than the one before; length costs."""
    text = instruction.casefold()
    hits = sum(word in text for word in USEFUL)
    excess = max(0, len(text.split()) - PATIENCE)
    return max(0.0, 1 - math.exp(-hits / 3) - 0.005 * excess)


def hidden_accuracy(instruction: str) -> float:
    """Return the share of toy reviews the fake model gets right under an instruction, in the long run."""
    return FLOOR + (CEILING - FLOOR) * hidden_quality(instruction)


def _review(adjectives: tuple[str, ...], draws: list[float]) -> str:
    pools = (THINGS, DEGREES, adjectives, THINGS, ASIDES)
    thing, degree, adjective, other, aside = (pool[int(u * len(pool))] for pool, u in zip(pools, draws, strict=True))
    return f"Review: The {thing} was {degree} {adjective} and the {other} {aside}."
