"""A persistent, content-addressed store of model answers (SQLite): key of a request to its completion.

The run's log is the truth; this file makes it quick to look up and lets later runs in the same storage use it.
It can be deleted at any time: a resumed run fills it from its log again. So answers are written some at a time, which
costs a third of writing each by itself: other runs see them a moment later, and a killed run has them in its log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from evo.encoding import from_json, to_json
from evo.errors import EvoError
from evo.model import Completion

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uses (run TEXT, key TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID;
"""


_FIELDS = tuple(field.name for field in fields(Completion))
HELD, HELD_S = 2000, 1.0
"""Most answers that are held back before they are written, and for how long."""
PAGES_KIB = 16_000
"""Memory for pages of the file: keys are random, so nearly every look-up is on another page."""
OPEN_TRIES, OPEN_WAIT_S = 50, 0.1
"""SQLite does not wait by itself while another process that opens the file sets its mode."""


class AnswerCache:
    """Answers by key, and which of them this run has already counted against its budget.

    Raises EvoError when the file cannot be used; one that is damaged is set aside, and a new one begun.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._run = run
        self._held: dict[str, bytes] = {}
        self._flushed = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = self._opened(path)

    def _opened(self, path: Path) -> sqlite3.Connection:
        for attempt in range(OPEN_TRIES):
            try:
                return self._connect(path)
            except sqlite3.OperationalError as error:
                # Busy, read-only or full, but not damaged: others may be at work in it.
                if "locked" not in str(error) or attempt == OPEN_TRIES - 1:
                    raise EvoError(f"cannot use {path}: {error}; mend that, or set cache: false") from error
                time.sleep(OPEN_WAIT_S)
            except sqlite3.DatabaseError:
                path.replace(path.with_suffix(".damaged"))
        raise EvoError(f"cannot make {path}; name another storage, or set cache: false")

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            # The log is what must survive a power cut; this file can be made again.
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.execute(f"PRAGMA cache_size=-{PAGES_KIB}")
            db.executescript(_TABLES)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def get(self, key: str) -> tuple[Completion, bool] | None:
        """Return the answer and whether this run has used it before, or None."""
        held = self._held.get(key)
        if held is not None:
            return _completion(held), True
        row = self._db.execute(
            "SELECT answer, (SELECT 1 FROM uses WHERE run = ? AND uses.key = answers.key) FROM answers WHERE key = ?",
            (self._run, key),
        ).fetchone()
        return None if row is None else (_completion(row[0]), row[1] is not None)

    def put(self, answers: Iterable[tuple[str, Completion]]) -> None:
        """Store answers and mark them used by this run; those of a key that is known already are left out."""
        rows = [(key, to_json({name: getattr(answer, name) for name in _FIELDS})) for key, answer in answers]
        for key, answer in rows:
            self._held.setdefault(key, answer)
        if len(self._held) >= HELD or time.monotonic() - self._flushed >= HELD_S:
            self.flush()

    def flush(self) -> None:
        """Write the answers that are held back, in one transaction."""
        if not self._held:
            return
        rows = sorted(self._held.items())  # in the order of the tables: neighbours share a page
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", ((k, a.decode()) for k, a in rows))
            self._db.executemany("INSERT OR IGNORE INTO uses VALUES (?, ?)", ((self._run, key) for key, _ in rows))
        self._held, self._flushed = {}, time.monotonic()

    def flush_late(self) -> None:
        """Write what is held back, for a timer; where that fails it stays, and the next `put` says why."""
        with contextlib.suppress(sqlite3.Error):
            self.flush()

    def count_uses(self) -> int:
        """Return how many answers this run has used."""
        self.flush()
        count: int = self._db.execute("SELECT COUNT(*) FROM uses WHERE run = ?", (self._run,)).fetchone()[0]
        return count

    def used_among(self, keys: Sequence[str]) -> list[str]:
        """Return those of some keys, at most 10,000, whose answers this run has used."""
        self.flush()
        found = self._db.execute(
            f"SELECT key FROM uses WHERE run = ? AND key IN ({','.join('?' * len(keys))})",  # noqa: S608 - only marks
            (self._run, *keys),
        )
        return [key for (key,) in found]

    def forget_uses(self) -> None:
        """Mark nothing as used by this run: done before its log is read in again."""
        self.flush()
        self._db.execute("DELETE FROM uses WHERE run = ?", (self._run,))

    def close(self) -> None:
        """Close the file. What it can no longer take is in the log."""
        self.flush_late()
        self._held = {}
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            yield


def _completion(answer: bytes | str) -> Completion:
    fields = from_json(answer)
    # Earlier versions knew no embeddings.
    vectors = {name: tuple(fields.get(name, ())) for name in ("logprobs", "lengths", "embedding")}
    return Completion(**{**fields, **vectors})
