"""What went wrong outside the search: calls that failed, rows without a score, processes that were lost.

None of it is ever scored 0; it is counted here, so that a result says what it stands on.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces
from evo.receipts import CANCELLED
from evo.schema import LOST_ISLAND, LOST_WORKER

KIND_CHARS = 160
"""Longest kind: an error's own words without the numbers in it."""


def failures_of(folder: Path) -> dict[str, Any]:
    """Return a run's failures as plain data.

    - rows_missing: rows of prompts without a score, in any split.
    - calls_failed: calls that were given up, by kind, the most frequent first; ``resent``: attempts beyond a first.
    - workers_lost, islands_lost: processes in whose place another was started.
    - attempts: how often the run was begun or gone on with.
    """
    missing = sum(piece["score"].null_count for piece in read_pieces(folder, "evaluations", ["score"]))
    failed: Counter[str] = Counter()
    resent = 0
    for calls in read_pieces(folder, "calls", ["error", "attempts"]):
        failed.update(map(kind_of, calls.filter(pc.not_equal(calls["error"], ""))["error"].to_pylist()))
        resent += pc.sum(pc.subtract(calls["attempts"], 1).filter(pc.greater(calls["attempts"], 0))).as_py() or 0
    failed.pop(CANCELLED, None)  # by a stop, not by a failure
    lost: Counter[str] = Counter()
    attempts: set[int] = set()
    for events in read_pieces(folder, "events", ["kind", "attempt"]):
        lost.update(events["kind"].cast(pa.string()).to_pylist())
        attempts.update(pc.unique(events["attempt"]).to_pylist())
    return {
        "rows_missing": missing,
        "calls_failed": [{"kind": kind, "count": count} for kind, count in failed.most_common()],
        "resent": resent,
        "workers_lost": lost[LOST_WORKER],
        "islands_lost": lost[LOST_ISLAND],
        "attempts": len(attempts),
    }


def kind_of(error: str) -> str:
    """Return an error's words without what differs from one call to the next."""
    return re.sub(r"\d+(?:\.\d+)?", "N", error)[:KIND_CHARS]


def failure_words(failures: dict[str, Any]) -> str:
    """Return failures in one line, or nothing where there were none."""
    kinds = failures["calls_failed"]
    said = ", ".join(f"{kind['count']}x {kind['kind']}" for kind in kinds[:3]) + (", ..." if kinds[3:] else "")
    parts = [
        (failures["rows_missing"], "rows have no score and count for nothing"),
        (sum(kind["count"] for kind in kinds), f"calls failed ({said})"),
        (failures["resent"], "calls were sent again"),
        (failures["workers_lost"], "workers were lost"),
        (failures["islands_lost"], "islands were lost and rebuilt"),
        (failures["attempts"] - 1, "times it was interrupted"),
    ]
    return "; ".join(f"{count:,} {words}" for count, words in parts if count > 0)
