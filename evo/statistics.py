"""How sure a mean score is, and whether one prompt beats another on the same examples. Needs only numpy.

Comparisons are paired: a difference is taken example by example, over examples both prompts have a score for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from evo.randomness import child_rng

Floats = npt.NDArray[np.float64]

NORMAL = NormalDist()
RESAMPLES = 9_999
CELLS = 200_000
"""Most numbers drawn at once: they stay in the processor's cache, and memory is bounded for any number of examples."""
EXACT_FLIPS = 13
"""Up to this many non-zero differences every assignment of signs is tried (8192 at most)."""
MANY = 1_000
"""From this many differences on their mean is as good as normal, and a bootstrap says nothing more."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of ``a - b`` over ``n`` shared examples, its confidence interval, and a two-sided p-value for zero."""

    mean: float
    low: float
    high: float
    n: int
    p_value: float
    confidence: float = 0.95

    @property
    def significant(self) -> bool:
        """Whether zero is refused: by the test at ``1 - confidence`` and by the interval, both."""
        return self.p_value < 1 - self.confidence and not self.low <= 0 <= self.high


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson 1927); [0, 1] when ``n`` is 0.

    ``successes`` may be a sum of scores in [0, 1]: none varies more than a coin, so the interval is then too wide
    rather than too narrow. Raises ValueError for counts or a confidence out of range.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"expected between 0 and {n} successes, got {successes}; pass successes, then trials")
    if n == 0:
        return Interval(0.0, 1.0)
    z = _quantile(confidence)
    share, weight = successes / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def sure_fitness(fitness: float, n: int) -> float:
    """Return the lower end of the interval of a mean score over ``n`` examples: what individuals are ranked by."""
    return wilson(min(n, fitness * n), n).low


def sure_fitnesses(fitness: Floats, scored: npt.NDArray[np.int32]) -> Floats:
    """Return `sure_fitness` of many, computed once for what many share: means over as many rows have few values."""
    _, code = np.unique(fitness, return_inverse=True)
    _, first, which = np.unique(code * (1 + int(scored.max())) + scored, return_index=True, return_inverse=True)
    pairs = zip(fitness[first].tolist(), scored[first].tolist(), strict=True)
    return np.array([sure_fitness(mean, n) for mean, n in pairs])[which]


def mean_interval(
    scores: Iterable[float], confidence: float = 0.95, rng: np.random.Generator | None = None
) -> Interval:
    """Return the confidence interval of a mean of scores in [0, 1]; [0, 1] without scores.

    Wilson's where all scores are 0 or 1, else a percentile bootstrap widened for small samples (Hesterberg 2015),
    with a 0 and a 1 added. The same scores give the same interval unless an ``rng`` is passed.
    """
    values = _array(scores)
    if _binary(values) or _flat(values):
        return wilson(float(values.sum()), len(values), confidence)
    return _bootstrap(values, 0.0, 1.0, confidence, rng or child_rng(0, "mean-interval"))


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], rng: np.random.Generator, confidence: float = 0.95
) -> PairedDifference:
    """Return how much better ``a`` is than ``b`` over the examples both have a score for.

    Scores that are all 0 or 1: exact McNemar test, interval of Bonett and Price (2012), which stays honest where
    few examples differ. Other scores: sign-flip permutation test, paired bootstrap with the largest difference added
    once with either sign. Raises ValueError when no example is shared.
    """
    shared = sorted(a.keys() & b.keys())
    if not shared:
        raise ValueError(
            f"expected examples that both have a score for, got {len(a)} and {len(b)} scores with none in common; "
            "evaluate both prompts on the same examples"
        )
    left, right = _array(a[number] for number in shared), _array(b[number] for number in shared)
    differences = left - right
    if _binary(left) and _binary(right):
        interval, p_value = _discordant_interval(differences, confidence), _mcnemar(differences)
    else:
        interval, p_value = _difference_interval(differences, confidence, rng), _sign_flip(differences, rng)
    mean = math.fsum(differences) / len(shared)
    return PairedDifference(mean, interval.low, interval.high, len(shared), p_value, confidence)


def difference_interval(
    differences: Iterable[float], confidence: float = 0.95, rng: np.random.Generator | None = None
) -> Interval:
    """Return the confidence interval of a mean of differences in [-1, 1], one for each unit; [-1, 1] without any.

    The bootstrap of `paired_difference`; Student's interval for `MANY` differences and more. The same differences give
    the same interval unless an ``rng`` is passed.
    """
    values = _array(differences)
    if len(values) < MANY or _flat(values):
        return _difference_interval(values, confidence, rng or child_rng(0, "difference-interval"))
    half = _student(_quantile(confidence), len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def _array(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _binary(values: Floats) -> bool:
    return bool(np.all((values == 0) | (values == 1)))


def _flat(values: Floats) -> bool:
    return len(values) < 2 or float(np.ptp(values)) == 0.0


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}; 0.95 is usual")
    return NORMAL.inv_cdf(0.5 + confidence / 2)


def _discordant_interval(differences: Floats, confidence: float) -> Interval:
    n = len(differences) + 2
    wins, losses = (int(np.sum(differences > 0)) + 1) / n, (int(np.sum(differences < 0)) + 1) / n
    middle = wins - losses
    half = _quantile(confidence) * math.sqrt((wins + losses - middle * middle) / n)
    return Interval(max(-1.0, middle - half), min(1.0, middle + half))


def _difference_interval(differences: Floats, confidence: float, rng: np.random.Generator) -> Interval:
    if _flat(differences):  # resampling one value says nothing; differences in [-1, 1] bound the spread instead
        scaled = wilson(float(np.sum((differences + 1) / 2)), len(differences), confidence)
        return Interval(2 * scaled.low - 1, 2 * scaled.high - 1)
    largest = float(np.abs(differences).max())
    return _bootstrap(differences, -largest, largest, confidence, rng)


def _bootstrap(values: Floats, low: float, high: float, confidence: float, rng: np.random.Generator) -> Interval:
    """Return the interval of the values and of one more at either end of what was possible.

    Resampling cannot know of rare rows that few values have missed; the two made-up ones stand for them, as in the
    intervals of Agresti and Coull (1998) and of Bonett and Price (2012). Without them 95 % were down to 86 %.
    """
    values = np.append(values, [low, high])
    n = len(values)
    means = _resampled(n, lambda rows: values[rng.integers(0, n, size=(rows, n), dtype=np.int32)].mean(axis=1))
    tail = NORMAL.cdf(-math.sqrt(n / (n - 1)) * _student(_quantile(confidence), n - 1))
    ends = np.quantile(means, [tail, 1 - tail])
    return Interval(float(ends[0]), float(ends[1]))


def _student(z: float, freedom: int) -> float:
    """Return the t quantile that belongs to the normal quantile ``z`` (Cornish-Fisher; good from 3 degrees on)."""
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


def _resampled(n: int, draw: Callable[[int], Any]) -> Floats:
    rows = max(1, CELLS // n)
    return np.concatenate([draw(min(rows, RESAMPLES - done)) for done in range(0, RESAMPLES, rows)])


def _coins(rows: int, n: int, rng: np.random.Generator) -> Floats:
    width = -(-n // 8)
    packed = np.frombuffer(rng.bytes(rows * width), np.uint8).reshape(rows, width)
    return np.unpackbits(packed, axis=1, count=n).astype(np.float64)


def _mcnemar(differences: Floats) -> float:
    wins, losses = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    n = wins + losses
    log_half = n * math.log(2)
    tail = math.fsum(
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - log_half)
        for k in range(min(wins, losses) + 1)
    )
    return min(1.0, 2 * tail)


def _sign_flip(differences: Floats, rng: np.random.Generator) -> float:
    moving = np.abs(differences[differences != 0])
    n = len(moving)
    if n == 0:
        return 1.0
    # Sums are compared with slack for the order of addition: the observed assignment must count itself.
    least = abs(math.fsum(differences)) * (1 - 1e-9)
    if n <= EXACT_FLIPS:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return float(np.mean(np.abs(signs @ moving) >= least))
    total = math.fsum(moving)
    sums = _resampled(n, lambda rows: 2 * (_coins(rows, n, rng) @ moving) - total)
    return float((1 + np.sum(np.abs(sums) >= least)) / (1 + len(sums)))
