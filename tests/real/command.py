"""The command ``evo`` as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "evo"]


def evo(*arguments: str | Path, cwd: Path, code: int = 0, timeout_s: float = 240) -> str:
    """Run a command to its end; return its output. Fails when the exit code is another."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def evo_json(*arguments: str | Path, cwd: Path) -> Any:
    """Run a reading command with --json; return its document."""
    return json.loads(evo(*arguments, "--json", cwd=cwd))


@contextmanager
def running(*arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own; kill what is left of it at the end."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition: Any, timeout_s: float = 60, every_s: float = 0.05) -> Any:
    """Return the first true value of a condition. Fails when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"nothing within {timeout_s} s")


def only_run(storage: Path) -> Path:
    """Return the one run in a storage folder."""
    (manifest,) = storage.glob("*/run.json")
    return manifest.parent
