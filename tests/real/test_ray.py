"""Islands and workers as Ray actors: the same result as in one process, on one node and on three."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from command import EXAMPLES, evo, evo_json, only_run, running, wait_for

import evo as library

pytestmark = pytest.mark.real


def run_toy(folder: Path, *changes: str, address: str | None = None) -> library.Run:
    arguments = [part for change in (*changes, "cache=false") for part in ("--set", change)]
    where = ["--address", address] if address else []
    evo("run", EXAMPLES / "toy.yaml", "--set", f"storage={folder}", *arguments, *where, "--plain", cwd=folder)
    return library.open_run(only_run(folder))


def history(run: library.Run) -> list[tuple[object, ...]]:
    rows = run.individuals().sort_by("id").to_pylist()
    return [(r["id"], r["operator"], r["prompt"], r["fitness"], r["n_scored"], r["status"]) for r in rows]


def test_ray_and_inline_walk_the_same_path(tmp_path: Path) -> None:
    same = ("topology=isolated", "method.generations=2", "method.population=6", "budget.births=34")
    folders = [tmp_path / "ray", tmp_path / "inline"]
    for folder in folders:
        folder.mkdir()
    on_ray = run_toy(folders[0], *same, "executor=ray", "concurrency=8")
    inline = run_toy(folders[1], *same, "executor=inline", "concurrency=32")
    assert history(on_ray) == history(inline)
    assert len(history(on_ray)) == 34
    assert on_ray.result is not None
    assert inline.result is not None
    assert on_ray.result["winner"] == inline.result["winner"]
    assert on_ray.result["gain"] == inline.result["gain"]


def begun_by(test: Path) -> list[bytes]:
    """Return the command lines of the processes that inherited a test's mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            if f"EVO_TEST={test}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
    return found


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVO_TEST", str(tmp_path))
    settings = (f"storage={tmp_path}", "method.generations=1", "cache=false")
    arguments = [part for one in settings for part in ("--set", one)]
    with running("run", EXAMPLES / "toy.yaml", "--plain", *arguments, cwd=tmp_path) as run:
        wait_for(lambda: any(b"raylet" in one for one in begun_by(tmp_path)))
        assert run.wait(timeout=120) == 0
    wait_for(lambda: not begun_by(tmp_path), timeout_s=5)


def test_a_cluster_of_three_nodes_that_loses_one(tmp_path: Path) -> None:
    script = tmp_path / "cluster_of_three.py"
    script.write_text(THREE_NODES)
    done = subprocess.run(
        [sys.executable, str(script), str(EXAMPLES / "toy.yaml"), str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    run = library.open_run(only_run(tmp_path / "runs"))
    assert run.status == "done"
    nodes = int(done.stdout.partition("workers on ")[2].split()[0])
    assert nodes == 3, "the workers were not spread"
    assert "worker_lost" in run.events()["kind"].to_pylist()
    document = evo_json("best", run.path, cwd=tmp_path)
    assert document["result"]["winner"]["test"]["n"] == 160


THREE_NODES = '''
"""Starts three Ray nodes here, runs evo on them, takes one away when all are at work, and says how many were."""
import subprocess, sys, time
import ray
from ray.cluster_utils import Cluster

config, storage = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
_, third = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
command = [sys.executable, "-m", "evo", "run", config, "--address", cluster.address, "--plain", "--set",
           f"storage={storage}", "--set", "cache=false", "--set", "budget.calls=6000", "--set",
           "model.options.latency_ms=100"]
process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
from ray._private.state import actors
most = 0
while process.poll() is None:
    alive = [a for a in actors().values() if a["ActorClassName"] == "WorkerActor" and a["State"] == "ALIVE"]
    most = max(most, len({a["Address"]["NodeID"] for a in alive}))
    if most == 3 and third is not None:
        cluster.remove_node(third, allow_graceful=False)
        third = None
    time.sleep(0.3)
print(process.stdout.read())
print(f"workers on {most} nodes")
ray.shutdown()
cluster.shutdown()
sys.exit(process.returncode)
'''
