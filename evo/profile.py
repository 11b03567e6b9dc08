"""Where the time of a run's latest attempt went.

Nearly all of it is read from the log, of any run, at no cost to it. With ``profile: true`` processes add what they
took, and the driver what only it sees, in ``profile.json``. Times of calls are their workers' own clocks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.flights import SCORING
from evo.folder import RunFolder, write_json
from evo.history import ASKED, TOLD
from evo.journal import read_table
from evo.occupancy import Spans, births, busiest, occupancy, percentiles
from evo.processes import process_name
from evo.schema import PROCESS, RACE, ROOT_ISLAND, STARTED, STOPPED, TEST
from evo.settings import RunSettings
from evo.status import Snapshot
from evo.store import elapsed_of

FILE = "profile.json"
_CALLS = ["purpose", "individual", "started_at", "latency_s", "attempts", "recalled", "error"]
_EVENTS = ["island", "kind", "individual", "detail", "attempt", "at"]
Driver = Mapping[str, Any]


class Stopwatch:
    """Times an attempt from the driver, and looks now and then whether calls wait for a model's pace."""

    def __init__(self) -> None:
        self._began, self._cpu = time.time(), time.process_time()
        self._looks = self._waiting = self._paused = 0

    def look(self, snapshot: Snapshot) -> None:
        """Take in a snapshot."""
        self._looks += 1
        self._waiting += bool(snapshot.waiting)
        self._paused += bool(snapshot.pauses)

    def write(self, path: Path) -> None:
        """Write ``profile.json`` of a run that has just ended."""
        driver = {
            "began_at": self._began,
            "ended_at": time.time(),
            "cpu_s": time.process_time() - self._cpu,
            "process": process_name(),
            "waiting": self._waiting / max(1, self._looks),
            "paused": self._paused / max(1, self._looks),
        }
        write_json(path / FILE, profile_of(path, driver))


def read_profile(path: Path) -> dict[str, Any]:
    """Return the profile of a run's latest attempt: as its driver wrote it, or as the log alone has it."""
    try:
        written: dict[str, Any] = json.loads((path / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return profile_of(path)
    return written if written.get("attempt") == elapsed_of(path)[1] - 1 else profile_of(path)


def profile_of(path: Path, driver: Driver | None = None) -> dict[str, Any]:
    """Return where the time of the latest attempt went; without a ``driver`` what only it sees is None.

    - phases: names and seconds, in order; they add up to ``wall_s``.
    - slots: see `evo.occupancy.occupancy`, of the search; births: see `evo.occupancy.births`.
    - pace: share of looks at which calls waited for a model's pace, or a model was paused.
    - calls: by purpose, with percentiles of the seconds an answer took.
    - processes: CPU seconds by role of those that said what they took: a killed one has not, nor has Ray itself.
    - cpu_ms_a_call: theirs for each attempt sent; models_s: until the slowest worker had made its models.
    - log: seconds that writing the log took, and their share of the time from its opening to its closing.
    """
    attempt = elapsed_of(path)[1] - 1
    events = read_table(path, "events", _EVENTS, only=("attempt", pa.array([attempt], pa.int32())))
    marks, said = _marks(events), _said(events)
    calls = _calls_since(path, marks.get(STARTED, 0.0))
    born = read_table(path, "individuals", ["id"])["id"].combine_chunks()
    asked, told = (_steps(events, kind, born) for kind in (ASKED, TOLD))
    spans = _spans(calls)
    ends = _ends(path, marks, calls, asked, driver)
    first, search = ends["workers and models"], ends["search"]
    processes = _processes(said, driver)
    cpu_s, sent = sum(one["cpu_s"] for one in processes), pc.sum(_sent(calls)["attempts"]).as_py() or 0
    log_s = sum(one.get("log_s", 0.0) for one in said) if said else None
    open_s = marks.get(STOPPED, ends["closing"]) - marks.get(STARTED, 0.0)
    began = marks.get(STARTED, 0.0) if driver is None else float(driver["began_at"])
    return {
        "attempt": attempt,
        "wall_s": max(ends.values()) - began,
        "phases": _phases(began, ends),
        "slots": occupancy(spans, _slots(RunFolder(path).settings, spans), first, search),
        "pace": None if driver is None else {name: driver[name] for name in ("waiting", "paused")},
        "calls": _by_purpose(calls),
        "births": births(spans, asked, told),
        "processes": processes,
        "cpu_ms_a_call": 1000 * cpu_s / sent if sent and processes else None,
        "models_s": max((one["models_s"] for one in said if "models_s" in one), default=None),
        "log": None if log_s is None else {"seconds": log_s, "share": log_s / open_s if open_s > 0 else 0.0},
    }


def _seconds(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.int64()).to_numpy() / 1e6


def _marks(events: pa.Table) -> dict[str, float]:
    """Return when each kind of event of the whole run came last."""
    whole = events.filter(pc.equal(events["island"], ROOT_ISLAND))
    return dict(zip(whole["kind"].to_pylist(), _seconds(whole["at"]).tolist(), strict=True))


def _said(events: pa.Table) -> list[dict[str, Any]]:
    """Return what processes said at their end."""
    return [json.loads(text) for text in _of_kind(events, PROCESS)["detail"].to_pylist()]


def _steps(events: pa.Table, kind: str, born: pa.Array) -> dict[int, float]:
    """Return when that came of each birth: methods ask for evidence too, and are told."""
    found = _of_kind(events, kind)
    found = found.filter(pc.is_in(found["individual"], born))
    return dict(zip(found["individual"].to_pylist(), _seconds(found["at"]).tolist(), strict=True))


def _of_kind(events: pa.Table, kind: str) -> pa.Table:
    return events.filter(pc.equal(events["kind"].cast(pa.string()), kind))


def _calls_since(path: Path, began: float) -> pa.Table:
    calls = read_table(path, "calls", _CALLS)
    return calls.filter(pa.array(_seconds(calls["started_at"]) >= began))


def _sent(calls: pa.Table) -> pa.Table:
    """Return the calls that were sent: the time of a recalled answer is that of another run."""
    return calls.filter(pc.invert(calls["recalled"]))


def _spans(calls: pa.Table) -> Spans:
    sent = _sent(calls)
    sent = sent.filter(pc.is_valid(sent["latency_s"]))
    began = _seconds(sent["started_at"])
    scores = pc.is_in(sent["purpose"].cast(pa.string()), pa.array(SCORING))
    individual = pc.fill_null(sent["individual"], -1).to_numpy()
    return Spans(individual, began, began + sent["latency_s"].to_numpy(), scores.to_numpy())


def _slots(settings: RunSettings, spans: Spans) -> int:
    """Return how many calls may be under way; of models in process, one in each worker, how many ever were."""
    local = all(model.name.startswith("local/") for model in settings.models)
    return min(settings.concurrency, (local and busiest(spans)) or settings.concurrency)


def _ends(
    path: Path, marks: Mapping[str, float], calls: pa.Table, asked: Mapping[int, float], driver: Driver | None
) -> dict[str, float]:
    """Return when each phase ended; one that did not come to be ended when the one before it did."""
    began = _seconds(calls["started_at"])
    opened = marks.get(STARTED, 0.0)
    first = float(began.min()) if len(began) else opened
    took = pc.if_else(calls["recalled"], 0.0, pc.fill_null(calls["latency_s"], 0.0)).to_numpy()
    answered = float((began + took).max()) if len(began) else opened
    closed = marks[STOPPED] if STOPPED in marks else max([answered, *marks.values()])  # killed: its last sign of life
    search = marks.get(RACE, closed)
    test = marks.get(TEST, search)
    ends = {
        "executor": opened,
        "workers and models": first,
        "founding": min(search, _founded(path, asked)),
        "search": search,
        "final race": test,
        "final test": max(test, answered) if TEST in marks else test,
        "closing": closed if driver is None else float(driver["ended_at"]),
    }
    return dict(zip(ends, np.maximum.accumulate(list(ends.values())).tolist(), strict=True))


def _founded(path: Path, asked: Mapping[int, float]) -> float:
    """Return when the first birth with parents was asked for: before it, or without one, all are founders."""
    born = read_table(path, "individuals", ["id", "generation"])
    bred = born.filter(pc.greater(born["generation"], 0))["id"].to_pylist()
    return min((asked[number] for number in bred if number in asked), default=float("inf"))


def _phases(began: float, ends: Mapping[str, float]) -> list[dict[str, Any]]:
    since = [began, *ends.values()]
    return [
        {"phase": name, "seconds": max(0.0, end - start)}
        for (name, end), start in zip(ends.items(), since, strict=False)
    ]


def _by_purpose(calls: pa.Table) -> list[dict[str, Any]]:
    rows = []
    purposes = calls["purpose"].cast(pa.string())
    for purpose in sorted(pc.unique(purposes).to_pylist()):
        mine = calls.filter(pc.equal(purposes, purpose))
        sent = mine.filter(pc.invert(mine["recalled"]))
        took = sent["latency_s"].drop_null().to_numpy()
        rows.append(
            {
                "purpose": purpose,
                "sent": sent.num_rows,
                "again": (pc.sum(sent["attempts"]).as_py() or 0) - sent.num_rows,
                "failed": pc.sum(pc.not_equal(sent["error"], "")).as_py() or 0,
                "recalled": mine.num_rows - sent.num_rows,
                "total_s": float(took.sum()),
                **percentiles(took),
            }
        )
    return rows


def _processes(said: list[dict[str, Any]], driver: Driver | None) -> list[dict[str, Any]]:
    """Return CPU seconds by role; a process that said so twice counts once, the driver by what it says itself."""
    latest = {one["process"]: (one["role"], one["cpu_s"]) for one in said}
    if driver is not None:
        latest[driver["process"]] = ("driver", driver["cpu_s"])
    roles = sorted({role for role, _ in latest.values()})
    found = {role: [cpu_s for other, cpu_s in latest.values() if other == role] for role in roles}
    return [{"role": role, "processes": len(cpu), "cpu_s": sum(cpu)} for role, cpu in found.items()]
