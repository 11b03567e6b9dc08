"""Who may write a run's copy in an object store: an object with the owner's name, rewritten as long as it lives.

Stores know no locks. Whoever wants a lease that another holds watches it: one that stays as it is belongs to a process
that has gone, whatever the two machines' clocks say. An owner looks before each writing whether it still is one.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from evo.errors import EvoError
from evo.remote import Place

LEASE = "lease.json"
RENEW_S = 10.0
WATCH_S = 3 * RENEW_S
"""How long a lease must stay as it is to be taken for that of a process that has gone."""
SETTLE_S = 1.0
"""How long after taking a lease it is read again: of two that take it at once one gives way."""


class Lease:
    """Held from construction on. Raises EvoError when another holds it, OSError when the store does not answer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.token = uuid.uuid4().hex
        self._beat = 0
        self._renewed = 0.0
        before = _owner(place)
        if before is not None and not _is_gone(before):
            _watch(place, before)
        self._write()
        if before is not None:
            time.sleep(SETTLE_S)
        self.check()

    def renew(self) -> None:
        """Show that the owner lives, when it is time. Raises EvoError when another has taken the lease."""
        if time.monotonic() - self._renewed >= RENEW_S:
            self.check()
            self._write()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from a thread while something goes on that may take longer than others wait."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(RENEW_S):
            with suppress(OSError, EvoError):  # the next check says it
                self.renew()

    def check(self) -> None:
        """Raises EvoError when another has taken the lease."""
        owner = _owner(self._place)
        if owner is not None and owner["token"] != self.token:
            raise EvoError(
                f"{self._place.uri} is being written by process {owner['process']} on {owner['host']}; "
                "stop that run first, or read this one"
            )

    def release(self) -> None:
        """Let others write."""
        owner = _owner(self._place)
        if owner is not None and owner["token"] == self.token:
            self._place.delete(LEASE)

    def _write(self) -> None:
        self._beat += 1
        self._renewed = time.monotonic()
        told = {
            "token": self.token,
            "host": platform.node(),
            "process": os.getpid(),
            "beat": self._beat,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._place.put(LEASE, json.dumps(told).encode())


def _owner(place: Place) -> dict[str, Any] | None:
    content = place.get(LEASE)
    try:
        return None if content is None else dict(json.loads(content))
    except ValueError:
        return {"token": "", "host": "?", "process": "?"}


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine that has ended."""
    if owner["host"] != platform.node():
        return False
    try:
        os.kill(int(owner["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _watch(place: Place, before: dict[str, Any]) -> None:
    """Return when a lease has not changed for long enough, or is gone. Raises EvoError when its owner lives."""
    until = time.monotonic() + WATCH_S
    while time.monotonic() < until:
        time.sleep(min(1.0, WATCH_S / 5))
        now = _owner(place)
        if now is None:
            return
        if now != before:
            raise EvoError(
                f"{place.uri} is being written by process {now['process']} on {now['host']}; "
                "stop that run first, or read this one"
            )
