"""Code that nobody has read, run in a process that is shut in: `run_tests` starts it, limits it and ends it.

What ``full`` isolation keeps from the code, by the kernel's user, mount, process, network and IPC namespaces: the
network, local sockets and other processes; the environment, API keys included; every file but Python's own and the
system's libraries, those read-only. It may write to a small disk in memory that ends with it, and nothing it starts
lives on. Where this process is root, the code runs as nobody. ``limits`` has the limits, the empty environment and,
from root, nobody, but no namespaces: code of the same user may reach the network, read the user's files and other
processes' environments, kill them, and leave processes behind.

What neither does: it is no virtual machine, so a flaw of the kernel is a way out. Code may use up all that its limits
grant: each of ``processes`` has ``memory_mb``. And it shares a process with its tests, so code that sets out to feign
passed tests can.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from evo.errors import ConfigError

Isolation = Literal["full", "limits"]
SCRIPT = Path(__file__).with_name("sandboxed.py")
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
OUTPUT_BYTES = 1 << 20
"""What is read of a process: beyond that it is not our own report."""
GLANCE_S = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may use. ``wall_s`` is for all its tests together, ``disk_mb`` also for any one file."""

    cpu_s: int = 5
    wall_s: float = 20.0
    memory_mb: int = 512
    disk_mb: int = 16
    processes: int = 8
    files: int = 64
    isolation: Isolation = "full"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of code and tests: what each test that was run raised (nothing: it passed), in order.

    ``broken`` is what the code itself raised, ``ended`` what ended the process before its last test.
    """

    errors: tuple[str, ...]
    broken: str = ""
    ended: str = ""


def run_tests(code: str, tests: Sequence[str], limits: Limits) -> Report:
    """Run code, then tests, in a process of their own; blocks until it has ended or was ended.

    Raises OSError where the process could not be shut in: nothing of the code was run then.
    """
    job = {**asdict(limits), "code": code, "tests": list(tests)}
    with tempfile.TemporaryDirectory(prefix="evo-code-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603 - our own script, by this very Python
            [sys.executable, "-I", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd=folder,
            start_new_session=True,
        )
        try:
            output, late = _watched(process, json.dumps(job).encode(), limits.wall_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
            process.wait()
    return _read(output, late, len(tests), limits)


@lru_cache
def require(isolation: Isolation) -> None:
    """Raise ConfigError where this machine cannot isolate code so."""
    try:
        report = run_tests("import decimal, socket", ["assert decimal"], Limits(isolation=isolation))
    except OSError as error:
        raise ConfigError(
            f"scorer code: expected a machine that can isolate code ({isolation}), but {error}; allow unprivileged "
            "user namespaces, and let Python lie where every user may read it where this runs as root; or, for code "
            "you would run yourself, isolation: limits"
        ) from error
    if report != Report(("",)):
        raise ConfigError(f"scorer code: expected a sandbox in which code runs, got {report}; try isolation: limits")


def _watched(process: subprocess.Popen[bytes], job: bytes, wall_s: float) -> tuple[bytes, bool]:
    """Return what the process wrote until it ended, and whether it was late."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(job)
        process.stdin.close()
    output, until, source = b"", time.monotonic() + wall_s, process.stdout.fileno()
    while len(output) < OUTPUT_BYTES and (left_s := until - time.monotonic()) > 0:
        ready, _, _ = select.select([source], [], [], min(GLANCE_S, left_s))
        if ready:
            chunk = os.read(source, OUTPUT_BYTES)
            output += chunk
            if not chunk:
                return output, False
        elif _has_ended(process.pid):
            return output, False  # whoever still holds the pipe has nothing to say
    return output, True


def _has_ended(number: int) -> bool:
    try:
        return os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # where this process ignores the end of its children nobody is left to ask
        return True


def _read(output: bytes, late: bool, count: int, limits: Limits) -> Report:
    lines = list(_lines(output))
    if not any("ready" in line for line in lines):  # from there on the code itself may have written a line
        refused = next((line["refused"] for line in lines if "refused" in line), "")
        raise OSError(f"the sandbox was refused: {refused}" if refused else "the sandbox did not come up in time")
    broken = next((str(line["broken"]) for line in lines if "broken" in line), "")
    errors: list[str] = []
    for line in lines:
        if line.get("test") == len(errors) < count:
            errors.append(str(line.get("error", "")))
    whole = bool(broken) or len(errors) == count
    number = next((line["signal"] for line in lines if "signal" in line), 0)
    return Report(tuple(errors), broken, "" if whole else _end(late, number, limits))


def _lines(output: bytes) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(line)
            if isinstance(told, dict):
                yield told


def _end(late: bool, number: Any, limits: Limits) -> str:
    if late:
        return f"it took longer than {limits.wall_s:g} s"
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"it took more than {limits.cpu_s} s of CPU time, or was killed"
    return f"its process ended (signal {number})" if number else "its process ended"
