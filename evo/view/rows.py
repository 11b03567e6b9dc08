"""Which dev rows which prompts get right: the line of the best, and the fittest beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.ancestry import Places
from evo.journal import read_table
from evo.view.snapshot import Snapshot

LINE, TOP = 12, 12
"""Most prompts of the line of descent, and most of the fittest."""
EXAMPLES = 160
"""Most rows shown: those on which the prompts differ most."""
HARD = 24
"""Most rows named among those that no prompt gets right."""


def heat(snapshot: Snapshot) -> dict[str, Any]:
    """Return scores by prompt and dev row, rows from the hardest to the easiest; None where one was not scored."""
    line = snapshot.ancestry.places(snapshot.line[-LINE:])
    shown = _distinct(snapshot, np.concatenate([line, snapshot.by_rank[snapshot.ranked[snapshot.by_rank]]]), len(line))
    numbers = snapshot.numbers[shown]
    examples, scores = _scores(snapshot, numbers)
    if not examples.size:
        return {"examples": [], "prompts": [], "total": 0, "unsolved": [], "unsolved_count": 0}
    known = ~np.isnan(scores)
    mean = np.nansum(scores, axis=0) / known.sum(axis=0)
    unsolved = examples[np.nanmax(scores, axis=0) == 0]
    columns = np.argsort(-np.nan_to_num(np.nanvar(scores, axis=0)), kind="stable")[:EXAMPLES]
    columns = columns[np.lexsort((examples[columns], mean[columns]))]
    return {
        "total": len(examples),
        "examples": examples[columns].tolist(),
        "unsolved": unsolved[:HARD].tolist(),
        "unsolved_count": len(unsolved),
        "prompts": [
            {"id": int(number), "line": place < len(line), "scores": [_number(value) for value in row]}
            for place, (number, row) in enumerate(zip(numbers, scores[:, columns], strict=True))
        ],
    }


def _distinct(snapshot: Snapshot, places: Places, line: int) -> Places:
    """Return the places of a line and of `TOP` others, without those whose prompt came before."""
    prompts, seen, kept = snapshot.births["prompt"], set[str](), []
    for at, place in enumerate(places.tolist()):
        prompt = prompts[place].as_py()
        if at < line or prompt not in seen:
            kept.append(place)
        seen.add(prompt)
        if len(kept) >= line + TOP:
            break
    return np.array(kept, np.int32)


def _scores(
    snapshot: Snapshot, numbers: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the dev rows anybody was scored on, and a row of scores for each individual, NaN for none."""
    columns = ["individual", "example", "split", "score"]
    found = read_table(snapshot.folder, "evaluations", columns, only=("individual", pa.array(numbers)))
    found = found.filter(pc.and_(pc.equal(found["split"].cast(pa.string()), "dev"), pc.is_valid(found["score"])))
    examples, column = np.unique(found["example"].to_numpy(), return_inverse=True)
    scores = np.full((len(numbers), len(examples)), np.nan)
    row = pc.index_in(found["individual"], value_set=pa.array(numbers)).to_numpy()
    scores[row, column] = found["score"].to_numpy()  # of two scores of one row the later counts
    return examples.astype(np.int64), scores


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
