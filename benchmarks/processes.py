"""The processes of a benchmark: this one and all it has started."""

from __future__ import annotations

import os
import subprocess


def family_mb(root: int | None = None) -> float:
    """Return the resident memory of a process (None: this one) and all it has started, shared pages each time."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listing.splitlines()[1:]]
    family = {os.getpid() if root is None else root}
    while grown := {pid for pid, parent, _ in rows if parent in family} - family:
        family |= grown
    return sum(rss for pid, _, rss in rows if pid in family) / 1024
