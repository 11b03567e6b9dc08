"""How far a run had come after how many calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_table
from evo.model import OK
from evo.replay import individuals_now
from evo.verdict import ENOUGH


def calls_until(folder: Path, born_at: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return how many calls the whole run had sent, and had an answer to, at each of these times."""
    calls = read_table(folder, "calls", ["started_at", "latency_s", "attempts"])
    took = pc.fill_null(calls["latency_s"], 0.0).to_numpy() * 1e6
    ended = calls["started_at"].cast(pa.int64()).to_numpy() + took.astype(np.int64)
    order = np.argsort(ended)
    sent = np.concatenate([[0], np.cumsum(calls["attempts"].to_numpy()[order])]).astype(np.int64)
    born = born_at.cast(pa.int64()).to_numpy()
    until: npt.NDArray[np.int64] = sent[np.searchsorted(ended[order], born, side="right")]
    return until


def best_after(folder: Path, calls: Sequence[int]) -> list[float | None]:
    """Return the best dev fitness of those born by each number of calls, None where nobody was.

    By what is known of them now; those with less than half of the most evidence do not count.
    """
    born = individuals_now(folder, ["id", "status", "fitness", "n_scored", "born_at"])
    born = born.filter(pc.and_(pc.equal(born["status"].cast(pa.string()), OK), pc.is_valid(born["fitness"])))
    scored = born["n_scored"].to_numpy()
    enough = scored >= ENOUGH * scored.max(initial=0)
    until, fitness = calls_until(folder, born["born_at"])[enough], born["fitness"].to_numpy()[enough]
    return [float(fitness[until <= count].max()) if (until <= count).any() else None for count in calls]
