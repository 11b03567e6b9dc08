"""What GrIPS climbs (Prasad et al., EACL 2023): 100 x balanced accuracy + 10 x entropy of the labels predicted.

Balanced accuracy is the mean over the targets of the mean score of their rows; the score is the task's own comparison
of answer and target. The entropy, in nats, keeps the search from settling on one label for everything; replies without
a readable label are no label and do not add to it. Without labels there is the mean score alone, times 100.
Points are for comparisons within the method; the scores it reports, and by which the run's winner is chosen, are the
mean scores, as everywhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evo.model import Example, Individual, Outcome
from operators.parsing import normalised

Objective = Literal["balanced", "accuracy"]


@dataclass(frozen=True, slots=True)
class Points:
    """Compares individuals on the dev rows that all of them have a score on: pairs, never different samples."""

    rows: tuple[Example, ...]
    labels: tuple[str, ...]
    objective: Objective

    def of(self, individuals: Sequence[Individual]) -> dict[int, float]:
        """Return the points of each by number.

        Left out are those with no score, or with less than half as many scores a row tried as whoever has most: a
        candidate whose calls failed must not shrink the comparison of the others. One that was tried on fewer may.
        """
        most = max(map(_answered, individuals), default=0)
        entrants = [one for one in individuals if one.ok and _answered(one) >= most / 2]
        shared = [row for row in self.rows if all(row.number in one.evaluation.scores for one in entrants)]
        return {one.number: self._points(one, shared) for one in entrants} if shared else {}

    def _points(self, individual: Individual, rows: Sequence[Example]) -> float:
        outcomes = {outcome.example: outcome for outcome in individual.evaluation.outcomes}
        seen = [(row, outcomes[row.number]) for row in rows]
        if not self.labels or self.objective == "accuracy":
            return 100 * _mean([o.score or 0.0 for _, o in seen])
        return 100 * _balanced_accuracy(seen) + 10 * _entropy([o for _, o in seen if o.parsed], self.labels)


def _answered(individual: Individual) -> float:
    """Return the share of the rows tried that gave a score."""
    return individual.evaluation.count / max(1, len(individual.evaluation.outcomes))


def _balanced_accuracy(seen: Sequence[tuple[Example, Outcome]]) -> float:
    """Return the mean over targets of the mean score of their rows, so that a rare label counts as much as any."""
    by_target: dict[str, list[float]] = {}
    for row, outcome in seen:
        by_target.setdefault(row.target, []).append(outcome.score or 0.0)
    return _mean([_mean(scores) for scores in by_target.values()])


def _entropy(outcomes: Sequence[Outcome], labels: Sequence[str]) -> float:
    """Return the entropy in nats of how often each label was the answer."""
    known = {**{normalised(label): label for label in labels}, **{label: label for label in labels}}
    named = [known.get(outcome.answer) or known.get(normalised(outcome.answer)) for outcome in outcomes]
    counts = Counter(label for label in named if label is not None)
    return -math.fsum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
