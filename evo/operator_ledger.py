"""What each operator's births came to and what they took, counted from the log alone.

Births count as independent of each other, though many share a parent. `evo.gains` says what a birth is compared with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.gains import NOBODY, Births, Flags, Floats, Ints, Scores, compared_with, paired_gains
from evo.journal import read_pieces
from evo.model import MIGRATION
from evo.statistics import difference_interval
from evo.verdict import SEED

SCHEMA = pa.schema(
    [
        ("operator", pa.string()),
        *((name, pa.int64()) for name in ("tried", "valid", "failed", "duplicates", "dropped", "unscored")),
        *((name, pa.int64()) for name in ("compared", "improved")),
        *((name, pa.float64()) for name in ("gain", "gain_low", "gain_high")),
        *((name, pa.int64()) for name in ("calls", "tokens")),
        ("cost_usd", pa.float64()),
        ("task_calls", pa.int64()),
        ("calls_per_improvement", pa.float64()),
    ]
)
"""`evo.run.Run.operators` says what each column holds."""
_COUNTS = ("attempts", "prompt_tokens", "output_tokens", "lost_tokens")
_CALLS = ("key", "purpose", "individual", *_COUNTS, "cost_usd", "lost_usd", "recalled")


def operator_ledger(folder: Path) -> pa.Table:
    """Return a row for each operator, highest mean gain first, then those without one by name.

    Seed prompts and migrants are left out: no operator made them. All scores of the run are in memory at once, less
    than 100 bytes each. Raises EvoError when a file is damaged.
    """
    births = Births.read(folder)  # first: what is logged meanwhile is of births that are not counted
    scores = Scores.read(folder, births)
    gains = paired_gains(scores, compared_with(folder, births, scores.scored))
    counts = {**_outcomes(births, scores.scored, gains), **_spent(folder, births, scores.test_calls)}
    rows = [
        _row(name, {key: count[code].item() for key, count in counts.items()}, gains[births.operator == code])
        for code, name in enumerate(births.names)
        if name not in (SEED, MIGRATION)
    ]
    rows.sort(key=lambda row: (row["gain"] is None, -(row["gain"] or 0.0), row["operator"]))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(name: str, counts: dict[str, Any], gains: Floats) -> dict[str, Any]:
    gains = gains[~np.isnan(gains)]
    known, interval = gains.size > 0, difference_interval(gains)
    improved, calls = counts["improved"], counts["calls"] + counts["task_calls"]
    return {
        **counts,
        "operator": name,
        "gain": float(gains.mean()) if known else None,
        "gain_low": interval.low if known else None,
        "gain_high": interval.high if known else None,
        "cost_usd": None if np.isnan(counts["cost_usd"]) else counts["cost_usd"],
        "calls_per_improvement": calls / improved if improved else None,
    }


def _outcomes(births: Births, scored: Flags, gains: Floats) -> dict[str, Ints]:
    """Return what became of each operator's births."""
    again = np.ones(len(gains), np.bool_)
    again[np.unique(births.prompt, return_index=True)[1]] = False  # a parent, too, is logged before its child
    flags = {
        "tried": np.ones(len(gains), np.bool_),
        "valid": births.valid,
        "failed": births.failed,
        "duplicates": births.valid & again,
        "dropped": births.dropped,
        "unscored": births.valid & ~births.failed & ~scored,
        "compared": ~np.isnan(gains),
        "improved": gains > 0,
    }
    size = len(births.names)
    return {name: np.bincount(births.operator[those], minlength=size) for name, those in flags.items()}


def _spent(folder: Path, births: Births, test_calls: pa.Array) -> dict[str, Floats]:
    """Return what each operator's own calls add up to, and the calls for its children; an unknown cost is NaN.

    The final test's calls are left out: they were spent on the result, not on a birth.
    """
    size = len(births.names)
    total = {name: np.zeros(size) for name in ("calls", "tokens", "cost_usd", "task_calls")}
    for piece in read_pieces(folder, "calls", _CALLS):
        birth = births.places(piece["individual"])
        piece, code = piece.filter(pa.array(birth != NOBODY)), births.operator[birth[birth != NOBODY]]
        attempts, prompt, output, lost = (pc.fill_null(piece[name], 0).to_numpy() for name in _COUNTS)
        own = pc.equal(piece["purpose"], "operator").to_numpy()
        paid = pc.and_not(pc.is_valid(piece["prompt_tokens"]), piece["recalled"]).to_numpy()
        test = pc.is_in(piece["key"], test_calls).to_numpy()
        for name, amounts, those in (
            ("calls", attempts, own),
            ("tokens", prompt + output + lost, own),
            ("cost_usd", piece["cost_usd"].to_numpy(), own & paid),
            ("cost_usd", piece["lost_usd"].to_numpy(), own),
            ("task_calls", attempts, ~own & ~test),
        ):
            total[name] += np.bincount(code[those], amounts[those], minlength=size)
    return total
