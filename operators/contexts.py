"""Few-shot contexts of Promptbreeder's units (Fernando et al., 2023): worked examples that the unit was right with.

A unit's contexts hold what it wrote itself, under its own prompt, on practice rows. They change when a unit is
copied: an individual of the log never changes. The paper resamples the list "with probability inverse to its maximum
length" in one case of ten, which can be read in several ways; here the whole list is drawn anew in one case of ten.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evo.model import Demo, Example, Individual, Outcome
from operators.few_shot import working
from operators.rows import shown_input, successes

RESAMPLED = 0.1
"""How often all contexts are drawn anew."""


def workings(individual: Individual, rows: Sequence[Example]) -> tuple[Demo, ...]:
    """Return what an individual wrote on these rows where it was right, as worked examples, by row.

    A working that is too long to be shown whole is left out: the example then has its answer alone.
    """
    return tuple(_demo(row, outcome) for row, outcome in successes(individual, rows))


def shuffled(contexts: Sequence[Demo], fresh: Sequence[Demo], most: int, rng: np.random.Generator) -> tuple[Demo, ...]:
    """Return contexts with fresh workings: a list that is not full is filled, a full one has one entry replaced.

    No row is in it twice. Without fresh workings the contexts stay.
    """
    if fresh and rng.random() < RESAMPLED:
        contexts = ()
    kept, held = list(contexts[:most]), {demo.row for demo in contexts}
    new = [demo for demo in fresh if demo.row not in held]
    order = [new[int(place)] for place in rng.permutation(len(new))]
    if len(kept) == most and order:
        kept[int(rng.integers(most))] = order[0]
        return tuple(kept)
    return (*kept, *order[: most - len(kept)])


def _demo(row: Example, outcome: Outcome) -> Demo:
    return Demo(shown_input(row), outcome.answer, working(outcome.reply, outcome.answer), row.number)
