"""An estimate for a winner where no rows can be spared for a test: cross-fitting of the final choice.

Rows are dealt into folds. For each fold the best of the run's prompts is chosen by the other folds alone, and its
scores on the fold's rows are kept; their mean over all folds is what a prompt chosen like that scores on rows that did
not choose it (Stone 1974). It belongs to the way of choosing, not to one prompt: folds may choose different ones.
What bias remains: the search bred, dropped and reflected with all rows, so that all its prompts fit them a little. Only
test rows are free of that. An interval over these scores leaves out that the choice varies: it is rather too short.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces
from evo.statistics import sure_fitness

Floats = npt.NDArray[np.float64]


def crossed_scores(folder: Path, candidates: Sequence[int], rows: Sequence[int], folds: int) -> dict[int, float]:
    """Return by dev row the score there of the candidate that is best on the folds the row is not in.

    ``rows`` are dealt in turn, so that an order stratified by target makes stratified folds. A candidate is judged by
    the lower end of the interval of its mean, as winners are; of equals the oldest is chosen. Rows that the chosen one
    has no score on are left out.
    """
    numbers = sorted(candidates)  # not by rank: that knows all rows
    scores = _scores(folder, numbers, rows)
    fold = np.arange(len(rows)) % folds
    found: dict[int, float] = {}
    for number in range(min(folds, len(rows))):
        inside = fold == number
        chosen = scores[int(np.argmax(_sure(scores[:, ~inside])))]
        places = np.flatnonzero(inside & ~np.isnan(chosen))
        found.update({rows[place]: float(chosen[place]) for place in places.tolist()})
    return found


def _sure(scores: Floats) -> Floats:
    counts = np.sum(~np.isnan(scores), axis=1)
    totals = np.nansum(scores, axis=1)
    return np.array([sure_fitness(total / n, int(n)) if n else -1.0 for total, n in zip(totals, counts, strict=True)])


def _scores(folder: Path, numbers: Sequence[int], rows: Sequence[int]) -> Floats:
    """Return a row for each candidate, a column for each dev row, NaN where there is no score."""
    known, columns = pa.array(numbers, pa.int64()), pa.array(rows, pa.int32())
    found = np.full((len(numbers), len(rows)), np.nan)
    names = ["individual", "example", "split", "score"]
    for piece in read_pieces(folder, "evaluations", names, only=("individual", known)):
        mine = pc.and_(pc.equal(piece["split"].cast(pa.string()), "dev"), pc.is_valid(piece["score"]))
        piece = piece.filter(pc.and_(mine, pc.is_in(piece["example"], columns)))
        who = pc.index_in(piece["individual"], value_set=known).to_numpy()
        where = pc.index_in(piece["example"], value_set=columns).to_numpy()
        found[who, where] = piece["score"].to_numpy()
    return found
