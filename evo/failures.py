"""What went wrong outside the search: calls that failed, rows without a score, processes that were lost.

None of it is ever scored 0; it is counted here, so that a result says what it stands on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces
from evo.receipts import CANCELLED
from evo.schema import LOST_ISLAND, LOST_WORKER
from evo.untrusted import safe

NO_VERDICT = "the judge gave no verdict"
"""How the reason of a row begins whose score is 0 because a judge's words could not be read."""
SCORER = "scorer: "
"""How the error of a row begins whose reply came, but was given no score."""
KIND_CHARS = 160
"""Longest kind: an error's own words without the numbers in it."""


def failures_of(folder: Path) -> dict[str, Any]:
    """Return a run's failures as plain data.

    - rows_missing: rows of prompts without a score, in any split, and why, by kind, the most frequent first.
    - rows_unjudged: rows that score 0 because no verdict of the judge's could be read.
    - calls_failed: calls that were given up, by kind, the most frequent first; ``resent``: attempts beyond a first.
    - workers_lost, islands_lost: processes in whose place another was started.
    - attempts: how often the run was begun or gone on with.
    """
    missing, unjudged = _rows_without(folder)
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
        "rows_missing": missing.total(),
        "rows_missing_for": _kinds(missing),
        "rows_unjudged": unjudged,
        "calls_failed": _kinds(failed),
        "resent": resent,
        "workers_lost": lost[LOST_WORKER],
        "islands_lost": lost[LOST_ISLAND],
        "attempts": len(attempts),
    }


def commonest_reason(folder: Path) -> str:
    """Return why most of a run's rows without a score have none, or nothing where all have one; untrusted text."""
    missing, _ = _rows_without(folder)
    return missing.most_common(1)[0][0] if missing else ""


def _rows_without(folder: Path) -> tuple[Counter[str], int]:
    """Return how many rows have no score, by kind of error, and how many have no verdict of the judge's."""
    missing: Counter[str] = Counter()
    unjudged = 0
    for piece in read_pieces(folder, "evaluations", ["score", "error", "reason", "parsed"]):
        missing.update(map(kind_of, piece.filter(pc.is_null(piece["score"]))["error"].to_pylist()))
        silent = pc.and_(pc.invert(piece["parsed"]), pc.match_substring(piece["reason"], NO_VERDICT))
        unjudged += pc.sum(silent).as_py() or 0
    return missing, unjudged


def _kinds(counts: Counter[str]) -> list[dict[str, Any]]:
    return [{"kind": kind, "count": count} for kind, count in counts.most_common()]


def kind_of(error: str) -> str:
    """Return an error's words, safe to show, without what differs from one call to the next."""
    return " ".join(safe(re.sub(r"\d+(?:\.\d+)?", "N", error)).split())[:KIND_CHARS]


def failure_words(failures: dict[str, Any]) -> str:
    """Return failures in one line, or nothing where there were none."""
    calls = failures["calls_failed"]
    why = _counted(failures.get("rows_missing_for", ()))  # a result of an earlier version has none
    parts = [
        (failures["rows_missing"], "rows have no score and count for nothing" + (f" ({why})" if why else "")),
        (failures.get("rows_unjudged", 0), "rows score 0 for want of a verdict of the judge's that could be read"),
        (sum(kind["count"] for kind in calls), f"calls failed ({_counted(calls)})"),
        (failures["resent"], "calls were sent again"),
        (failures["workers_lost"], "workers were lost"),
        (failures["islands_lost"], "islands were lost and rebuilt"),
        (failures["attempts"] - 1, "times it was interrupted"),
    ]
    return "; ".join(f"{count:,} {words}" for count, words in parts if count > 0)


def _counted(kinds: Sequence[Mapping[str, Any]]) -> str:
    said = ", ".join(f"{kind['count']}x {kind['kind']}" for kind in kinds[:3])
    return said + (", ..." if kinds[3:] else "")
