"""Which operator breeds next: a prior belief, corrected by what children gained (Thompson 1933).

An operator's credit is the paired gain of its children over the parent they vary, on the rows both have a score for.
The posterior of its mean gain is normal, around what children usually gain, which is mostly a loss; the noise of one
gain and the spread of operators are taken as known. Half of the draws are Thompson's, the highest of one draw from each
posterior; the other half go by prior weight, without operators that are surely worse than the best. Either is kept with
the share of the operator's births that gave a new prompt, else drawn again: a model that cannot write costs a few
births. Old gains fade, as what is easy to gain at first is not later. Shares and sizes are assumptions:
nothing has been measured with real models yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from evo.model import Individual
from evo.rivals import paired

NOISE = 0.12
"""Standard deviation of a child's gain on some 20 rows scored 0 or 1."""
SPREAD = 0.06
"""Standard deviation of operators' mean gains, before any is known."""
DECAY = 0.99
"""What is left of a gain's weight after each later birth of the same operator."""
SURE = 0.05
"""An operator is left out of the prior's half when it is better than the best with less than this probability."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Credit:
    """What is known of an operator: decayed number and sum of gains, births that gave a new prompt and that did not."""

    operator: str
    gains: float = 0.0
    total: float = 0.0
    fresh: int = 0
    spoilt: int = 0

    def posterior(self, usual: float) -> tuple[float, float]:
        """Return mean and standard deviation of what is believed of the mean gain, ``usual`` before any is known."""
        precision = self.gains / NOISE**2 + 1 / SPREAD**2
        return (self.total / NOISE**2 + usual / SPREAD**2) / precision, precision**-0.5

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
    beliefs = [credit.posterior(usual) for credit in able]
    shares = np.array([weights[credit.operator] for credit in able]) * _promising(beliefs)
    while True:
        if rng.random() < 0.5:
            chosen = able[int(np.argmax([rng.normal(*belief) for belief in beliefs]))]
        else:
            chosen = able[int(rng.choice(len(able), p=shares / shares.sum()))]
        if rng.random() < chosen.validity:
            return chosen.operator


def _promising(beliefs: Sequence[tuple[float, float]]) -> list[bool]:
    """Return of each operator whether its mean gain may well be above that of the one believed best."""
    best, spread = max(beliefs)
    return [_NORMAL.cdf((mean - best) / math.hypot(sd, spread)) >= SURE for mean, sd in beliefs]
