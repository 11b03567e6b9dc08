"""The processes of a run: what each took of its machine, as it says in the log, and how it collects garbage."""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evo.schema import PROCESS, ROOT_ISLAND, event_row

COLLECT_AFTER = (10_000, 50, 50)
"""Thresholds of Python's garbage collector while a run goes on; `benchmarks/engine_overhead.py` compares."""


_lock = threading.Lock()
_held: list[tuple[int, int, int]] = []
"""For each run that goes on in this process, what the thresholds were before the first of them."""


@contextmanager
def rare_collection() -> Iterator[None]:
    """Let this process look for cycles of garbage less often, until the last run that asked for it has ended."""
    with _lock:
        _held.append(_held[0] if _held else gc.get_threshold())
        if 0 < gc.get_threshold()[0] < COLLECT_AFTER[0]:
            gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        with _lock:
            before = _held.pop()
            if not _held and gc.get_threshold() == COLLECT_AFTER:
                gc.set_threshold(*before)


def process_row(role: str, **more: float) -> dict[str, Any]:
    """Return the event of this process: its role, its CPU seconds so far and those of children that ended, and more."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    cpu_s = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))
    detail = {"role": role, "process": process_name(), "cpu_s": round(cpu_s, 3), **more}
    return event_row(ROOT_ISLAND, PROCESS, None, json.dumps(detail))


def process_name() -> str:
    """Return what tells this process from every other of the run."""
    return f"{platform.node()}:{os.getpid()}"
