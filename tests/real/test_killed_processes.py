"""Ray's processes killed with signal 9: workers and islands are replaced, the log's writer ends a run resumably."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from command import EXAMPLES, evo, only_run, running, wait_for
from faulty import CLEAN, births, books

import evo as library
from evo.journal import read_table

pytestmark = pytest.mark.real


def config(folder: Path, executor: str, latency_ms: int) -> Path:
    """Write the toy example, of one lineage whatever happens, into a folder."""
    file = folder / "toy.yaml"
    text = (EXAMPLES / "toy.yaml").read_text().replace("toy.jsonl", str(EXAMPLES / "toy.jsonl"))
    text = text.replace("model: fake/toy", f"model: {{name: fake/toy, options: {{latency_ms: {latency_ms}}}}}")
    text = text.replace("calls: 20000", "births: 24")
    file.write_text("\n".join([text, "topology: isolated", f"executor: {executor}", "cache: false", "final_race: 1"]))
    return file


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> library.Run:
    folder = tmp_path_factory.mktemp("undisturbed")
    evo("run", config(folder, "inline", 0), "--plain", cwd=folder)
    return library.open_run(only_run(folder / "runs"))


def pids(name: str, root: int) -> set[int]:
    """Return the processes a process has started, and those have, whose title or command line holds a name."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=False).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    family, before = {root}, set[int]()
    while family != before:
        before = set(family)
        family |= {int(pid) for pid, parent, *_ in rows if int(parent) in family}
    return {int(pid) for pid, _, *arguments in rows if int(pid) in family and name in "".join(arguments).split(" ")[0]}


def calls(storage: Path) -> int:
    runs = list(storage.glob("*/run.json"))
    return read_table(runs[0].parent, "calls", ["key"]).num_rows if runs else 0


def kill(name: str, root: int) -> None:
    """Kill one of a run's processes."""
    os.kill(min(wait_for(lambda: pids(name, root))), signal.SIGKILL)


def test_islands_and_workers_that_are_killed_are_replaced(tmp_path: Path, undisturbed: library.Run) -> None:
    with running("run", config(tmp_path, "ray", 30), "--plain", cwd=tmp_path) as process:
        for moment, name in ((300, "ray::IslandHost"), (700, "ray::WorkerActor"), (1300, "ray::WorkerActor")):
            wait_for(lambda moment=moment: calls(tmp_path / "runs") >= moment or process.poll() is not None)
            assert process.poll() is None, process.communicate()[0]
            kill(name, process.pid)
        output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    run = library.open_run(only_run(tmp_path / "runs"))
    assert books(run) == CLEAN
    assert births(run) == births(undisturbed)
    assert run.result is not None
    failures = run.result["failures"]
    assert (failures["workers_lost"], failures["attempts"]) == (2, 1)
    assert failures["islands_lost"] >= 1, "each start of one counts, and Ray takes a while to have a host again"
    assert failures["rows_missing"] == 0


def test_a_log_writer_that_is_killed_ends_a_run_that_goes_on(tmp_path: Path, undisturbed: library.Run) -> None:
    with running("run", config(tmp_path, "ray", 30), "--plain", cwd=tmp_path) as process:
        wait_for(lambda: calls(tmp_path / "runs") >= 300 or process.poll() is not None)
        kill("ray::BrokerActor", process.pid)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    path = only_run(tmp_path / "runs")
    acknowledged = set(read_table(path, "calls")["key"].to_pylist())
    evo("resume", path, "--plain", "--set", "executor=inline", cwd=tmp_path)  # the log is the same
    run = library.open_run(path)
    assert acknowledged <= set(run.calls()["key"].to_pylist())
    assert books(run) == CLEAN
    assert births(run) == births(undisturbed)
    assert run.result is not None
    assert run.result["failures"]["attempts"] == 2
