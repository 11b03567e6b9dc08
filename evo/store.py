"""A run's folder opened for writing: the lock, the journal, the answers, and what was spent so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from evo.budget import Usage
from evo.cache import AnswerCache
from evo.errors import EvoError
from evo.folder import RunFolder
from evo.journal import Journal, read_pieces, read_table
from evo.mirror import Mirror
from evo.model import Completion
from evo.processes import process_row
from evo.replay import completion_of
from evo.schema import CLOCK, ROOT_ISLAND

_ANSWERS = ["key", *(field.name for field in fields(Completion))]
_SPENT = ["prompt_tokens", "output_tokens", "cost_usd", "lost_tokens", "lost_usd", "attempts", "recalled"]


class RunStore:
    """Everything a run writes. Raises EvoError when another process holds the folder."""

    def __init__(self, path: Path) -> None:
        folder = RunFolder.open(path)
        with ExitStack() as undo:
            undo.callback(folder.hold().release)
            self.mirror = None if (copy := folder.copy) is None else Mirror(path, copy)
            if self.mirror is not None:
                undo.callback(self.mirror.close)
            self.elapsed_s, attempts = elapsed_of(path)
            self.journal = Journal(path, attempt=attempts)
            undo.callback(self.journal.close)
            shared = folder.settings.cache
            self.cache = AnswerCache((path.parent if shared else path) / "answers.sqlite", run=str(path.resolve()))
            undo.callback(self.cache.close)
            self._take_in(path)
            self.spent = spent_of(path)
            if self.mirror is not None:
                self.mirror.start()
            if folder.settings.profile:
                undo.callback(self._say_what_it_took)
            self._held = undo.pop_all()

    def _say_what_it_took(self) -> None:
        self.journal.append({"events": [process_row("log", log_s=self.journal.took_s)]})

    def _take_in(self, path: Path) -> None:
        """Let the cache hold the log's answers as this run's, and no others."""
        answered = self._fill(path)
        if self.cache.count_uses() > answered:  # it has what a power cut has taken from the log
            self.cache.forget_uses()
            self._fill(path)

    def _fill(self, path: Path) -> int:
        """Put in the answers that are missing; return how many there are."""
        answered = 0
        for calls in read_pieces(path, "calls", columns=_ANSWERS):
            for batch in calls.filter(pc.is_valid(calls["text"])).to_batches(max_chunksize=10_000):
                used = pa.array(self.cache.used_among(batch["key"].to_pylist()), pa.string())
                missing = batch.filter(pc.invert(pc.is_in(batch["key"], used))).to_pylist()
                self.cache.put((row["key"], completion_of(row)) for row in missing)
                answered += batch.num_rows
        return answered

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what a disk refuses meanwhile into an EvoError that ends the run with its mend.

        Raises it at once when another process has taken the run's copy.
        """
        if self.mirror is not None and self.mirror.taken is not None:
            raise self.mirror.taken
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise EvoError(f"the run's log cannot be written: {error}; make room, then `evo resume` goes on") from error

    def close(self) -> None:
        """Seal the journal and let go of the folder, whatever goes wrong on the way. Raises OSError."""
        self._held.close()


def spent_of(path: Path) -> Usage:
    """Return what a run's calls add up to; those answered from an earlier run's log count, but cost nothing."""
    calls = read_table(path, "calls", _SPENT)
    tokens = sum(pc.sum(calls[name]).as_py() or 0 for name in ("prompt_tokens", "output_tokens", "lost_tokens"))
    answered = calls.filter(pc.is_valid(calls["prompt_tokens"]))
    paid = answered.filter(pc.invert(answered["recalled"]))
    costs = (paid["cost_usd"], calls["lost_usd"])
    usd = None if any(cost.null_count for cost in costs) else float(sum(pc.sum(cost).as_py() or 0 for cost in costs))
    return Usage(pc.sum(calls["attempts"]).as_py() or 0, tokens, usd)


def elapsed_of(path: Path) -> tuple[float, int]:
    """Return the seconds earlier attempts at a run took, and how many there were.

    A killed attempt counts up to the last time the log was told how long it has taken.
    """
    ours = ("island", pa.array([ROOT_ISLAND], pa.int32()))
    events = read_table(path, "events", ["island", "kind", "attempt", "detail"], only=ours)
    clocks = events.filter(pc.equal(events["kind"].cast(pa.string()), CLOCK))
    took: dict[int, float] = {}
    for row in clocks.to_pylist():
        took[row["attempt"]] = float(row["detail"])
    return sum(took.values()), len(pc.unique(events["attempt"]))
