"""A run's story for who follows it: made again when the log has grown, and never so often that it costs much.

Whoever asks, and however often, pays for a look at names and sizes of files. The story is made once for all of them.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import Path

from evo.errors import EvoError
from evo.journal import open_journals, stamp
from evo.run import Run
from evo.untrusted import safe
from evo.view.page import json_of
from evo.view.story import story

PAUSE_S = 2.0
"""Least seconds between two stories."""
SHARE = 0.1
"""Most of one processor that making stories takes: after one that took 3 s the next comes 30 s later."""

PATIENCE_S = 10.0
"""How long the end waits for a story under way."""


class LiveStory:
    """A run's story as JSON, with a version; for any number of threads at once."""

    def __init__(self, run: Run, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._lock = threading.Lock()
        self._closed = False
        """Whether the lock is kept for good."""
        self._seen: Hashable = None
        self._due = clock()
        self._story, self._version, self._error, self._born = "null", "", "", 0

    def answer(self, since: str) -> bytes:
        """Return what there is to say to one who has the story of version ``since``, as JSON.

        ``story`` is null where that is the latest; ``error`` says why none can be made, the story then is the last.
        """
        self._look()
        about = {
            "version": self._version,
            "error": safe(self._error),
            "ended": has_ended(self._run.path),
            "written_s": round(_silent_for(self._run.path), 1),
            "born": self._born,
        }
        return f'{json.dumps(about)[:-1]},"story":{"null" if since == self._version else self._story}}}'.encode()

    def close(self) -> None:
        """Make no story any more, and wait some seconds for the one under way.

        Python may hang at its end where Arrow is at work in a thread that nobody waits for.
        """
        self._closed = self._closed or self._lock.acquire(timeout=PATIENCE_S)

    def _look(self) -> None:
        # The first ones wait for a story; later ones get the last while the next is being made.
        if self._lock.acquire(blocking=not self._version):
            try:
                if self._clock() >= self._due and (now := _state_of(self._run.path)) != self._seen:
                    self._make(now)
            finally:
                self._lock.release()

    def _make(self, now: Hashable) -> None:
        began = time.process_time()
        try:
            told = story(self._run)
            self._story, self._born, self._error = json_of(told), told["head"]["births"], ""
            self._version = hashlib.sha256(self._story.encode()).hexdigest()[:16]
        except EvoError as error:
            self._error = str(error)
        self._seen = now  # of before the story: what was logged meanwhile is told next time
        self._due = self._clock() + max(PAUSE_S, (time.process_time() - began) / SHARE)


def has_ended(path: Path) -> bool:
    """Return whether a run has its result, and nobody goes on with it."""
    return (path / "result.json").exists() and not open_journals(path)


def _state_of(path: Path) -> Hashable:
    """Return what differs as soon as there is more to tell."""
    result = path / "result.json"
    try:
        return stamp(path), result.stat().st_mtime_ns if result.exists() else 0
    except (EvoError, OSError):
        return None, time.monotonic()  # the story will say what is wrong


def _silent_for(path: Path) -> float:
    """Return the seconds since the run's folder was written."""
    times = [0.0]
    for file in (path, *open_journals(path)):
        try:
            times.append(file.stat().st_mtime)
        except OSError:
            continue  # sealed meanwhile
    return max(0.0, time.time() - max(times))
