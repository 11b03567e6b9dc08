"""Ray nodes as a user starts them by hand: a `ray start` each, with a folder and ports of its own.

Whoever uses them sets RAY_AUTH_MODE and RAY_AUTH_TOKEN: `ray start` listens at all of a machine's addresses.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from command import wait_for

WORKER_PORTS = 100
PATIENCE_S = 60
TRIES = 3


@dataclass
class Nodes:
    """The nodes of one cluster, the head first; ``folder`` holds a folder for each."""

    folder: Path
    port: int
    dashboard: int | None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the cluster is joined."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Path:
        """Start one more node with one core; return its folder. On a busy machine a raylet may give up: then again."""
        number = len(self.started)
        for attempt in range(TRIES):
            place = self.folder / f"node{number}.{attempt}"
            log = Path(f"{place}.log")
            node = self._launch(number, place, log)
            self.started[number:] = [node]
            wait_for(partial(is_up_or_dead, node, log), 2 * PATIENCE_S)
            if node.poll() is None:
                return place
            self.kill(number)
        raise AssertionError(log.read_text()[-3000:])

    def _launch(self, number: int, place: Path, log: Path) -> subprocess.Popen[str]:
        first = 30000 + number * WORKER_PORTS
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += ["--num-cpus=1", "--object-store-memory=80000000", f"--temp-dir={place}", "--disable-usage-stats"]
        command += [f"--min-worker-port={first}", f"--max-worker-port={first + WORKER_PORTS - 1}"]
        agents = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
        command += [f"--{agent}-port={free_port()}" for agent in agents]
        command += [f"--address={self.address}"] if number else self._head()
        with open(log, "w") as file:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
                env={**os.environ, "RAY_raylet_start_wait_time_s": str(PATIENCE_S)},
            )

    def _head(self) -> list[str]:
        shown = self.dashboard is not None
        has_client = find_spec("grpc") is not None  # without it Ray starts no server for clients, and takes no port
        return [
            "--head",
            f"--port={self.port}",
            *([f"--ray-client-server-port={free_port()}"] if has_client else []),
            f"--include-dashboard={shown}",
            *([f"--dashboard-port={self.dashboard}", "--dashboard-host=127.0.0.1"] if shown else []),
        ]

    def kill(self, number: int) -> None:
        """Take a node away at once: what it has started ends with it."""
        with suppress(ProcessLookupError):
            os.killpg(self.started[number].pid, signal.SIGKILL)
        self.started[number].wait()

    def left(self) -> list[str]:
        """Return the processes that still know this cluster's folder."""
        found = subprocess.run(["pgrep", "-f", str(self.folder)], capture_output=True, text=True, check=False)
        return found.stdout.split()


@contextmanager
def nodes(*, dashboard: bool = False) -> Iterator[Nodes]:
    """Lend a cluster of no nodes yet; end every process of it, and check that none is left."""
    folder = Path(tempfile.mkdtemp(prefix="evo"))  # a short path: Ray puts sockets there
    cluster = Nodes(folder, free_port(), free_port() if dashboard else None)
    try:
        yield cluster
    finally:
        for number in range(len(cluster.started)):
            cluster.kill(number)
        wait_for(lambda: not cluster.left(), 30)
        shutil.rmtree(folder, ignore_errors=True)


def is_up_or_dead(node: subprocess.Popen[str], log: Path) -> bool:
    """Return whether a node has started, or has given up."""
    return "Ray runtime started" in log.read_text() or node.poll() is not None


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
