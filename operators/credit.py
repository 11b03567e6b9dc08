"""Which operator breeds next: a prior belief, corrected by what children gained (Thompson 1933).

An operator's credit is the paired gain of its children over the parent they vary, on the rows both have a score for.
The posterior of its mean gain is normal; before any gain it is around what children usually gain, which is mostly a
loss, and above that by the operator's prior weight, as far as its births give new prompts. The highest of one draw
from each posterior is kept with that share, else all are drawn again: a model that cannot write costs a few births.
Old gains fade, as what is easy to gain at first is not later.
How fast it comes to trust one, or to give it up, `benchmarks/operator_choice.py` shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evo.model import Individual
from evo.rivals import paired

NOISE = 0.12
"""Standard deviation of a child's gain on some 20 rows scored 0 or 1."""
SPREAD = 0.03
"""Standard deviation of an operator's mean gain around what its weight lets expect, before any gain is known."""
TRUST = 0.2
"""How much more an operator is expected to gain than another for each unit of its share of the weights."""
DECAY = 0.99
"""What is left of a gain's weight after each later birth of the same operator."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What is known of an operator: decayed number and sum of gains, births that gave a new prompt and that did not."""

    operator: str
    gains: float = 0.0
    total: float = 0.0
    fresh: float = 0
    spoilt: float = 0

    def posterior(self, prior: float) -> tuple[float, float]:
        """Return mean and standard deviation of what is believed of the mean gain, ``prior`` before any is known."""
        precision = self.gains / NOISE**2 + 1 / SPREAD**2
        return (self.total / NOISE**2 + prior / SPREAD**2) / precision, precision**-0.5

    @property
    def validity(self) -> float:
        """Expected share of births that give a new prompt, in (0, 1), by Jeffreys' prior."""
        return (self.fresh + 0.5) / (self.fresh + self.spoilt + 1)

    def after(self, gain: float | None, *, fresh: bool) -> Credit:
        """Return the credit after one more birth; ``gain`` is None where it cannot be told."""
        counted = replace(self, fresh=self.fresh + fresh, spoilt=self.spoilt + (not fresh))
        if gain is None:
            return counted
        return replace(counted, gains=1 + DECAY * self.gains, total=gain + DECAY * self.total)


def paired_gain(child: Individual, parent: Individual) -> float | None:
    """Return the mean of child minus parent over the dev rows both have a score for; None without any."""
    gains = paired(child, parent)
    return math.fsum(gains) / len(gains) if gains else None


def drawn_operator(credits: Sequence[Credit], weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """Return an operator's name. ``weights`` has the prior weight of each credit's operator, one at least above 0."""
    able = [credit for credit in credits if weights[credit.operator] > 0]
    usual = sum(credit.total for credit in able) / max(1.0, sum(credit.gains for credit in able))
    shares = np.array([weights[credit.operator] for credit in able]) / sum(weights.values())
    priors = usual + TRUST * (shares - shares.min()) * [credit.validity for credit in able]
    beliefs = [credit.posterior(prior) for credit, prior in zip(able, priors, strict=True)]
    while True:
        chosen = able[int(np.argmax([rng.normal(*belief) for belief in beliefs]))]
        if rng.random() < chosen.validity:
            return chosen.operator
