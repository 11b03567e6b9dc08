"""What each process of a run took of its machine: it says so in the log when it goes home."""

from __future__ import annotations

import json
import os
import platform
import resource
from typing import Any

from evo.schema import PROCESS, ROOT_ISLAND, event_row


def process_row(role: str, **more: float) -> dict[str, Any]:
    """Return the event of this process: its role, its CPU seconds so far and those of children that ended, and more."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    cpu_s = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))
    detail = {"role": role, "process": process_name(), "cpu_s": round(cpu_s, 3), **more}
    return event_row(ROOT_ISLAND, PROCESS, None, json.dumps(detail))


def process_name() -> str:
    """Return what tells this process from every other of the run."""
    return f"{platform.node()}:{os.getpid()}"
