"""A run's figures at its node's metrics endpoint, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import EXAMPLES, evo_json, only_run

WATCHED = """
import _thread, sys, threading, time, urllib.request
import evo, ray

def look():
    while not ray.is_initialized():
        time.sleep(0.2)
    node, text = ray.nodes()[0], ""
    while "ray_evo_best_fitness" not in text:
        time.sleep(1)
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        try:
            text = urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            continue
    print(text)
    _thread.interrupt_main()

threading.Thread(target=look, daemon=True).start()
try:
    evo.evolve(sys.argv[1], storage=sys.argv[2], cache=False, concurrency=8, islands=2, budget={"calls": 9000},
               model={"name": "fake/toy", "options": {"latency_ms": 200}})
except evo.Interrupted:
    print("stopped")
"""


def shown(text: str, name: str) -> list[tuple[str, float]]:
    """Return tags and value of each series of a metric."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(f"{name}{{"))
    return [(tags, float(value)) for tags, _, value in lines]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ray's agent take its time on a busy machine."""
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")


@pytest.mark.cluster
def test_prometheus_can_read_a_run_on_this_machine(tmp_path: Path) -> None:
    script, storage = tmp_path / "watched.py", tmp_path / "runs"
    script.write_text(WATCHED)
    command = [sys.executable, str(script), str(EXAMPLES / "toy.yaml"), str(storage)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("stopped\n")
    run = f'run="{only_run(storage).name}"'
    found = {
        name: shown(done.stdout, f"ray_evo_{name}")
        for name in ("calls_total", "tokens_total", "births_total", "best_fitness", "calls_in_flight")
    }
    assert all(run in tags for series in found.values() for tags, _ in series)
    assert any('purpose="task"' in tags and value > 0 for tags, value in found["calls_total"])
    assert {kind for kind in ("prompt", "output") for tags, _ in found["tokens_total"] if f'kind="{kind}"' in tags} == {
        "prompt",
        "output",
    }
    assert all(0 <= value <= 1 for _, value in found["best_fitness"])
    assert found["births_total"]
    assert 0 <= found["calls_in_flight"][0][1] <= 8


@pytest.mark.real
def test_a_profile_counts_the_processes_on_ray(tmp_path: Path) -> None:
    done = evo_json(
        "run", EXAMPLES / "toy.yaml", "--profile", "--set", f"storage={tmp_path}", "--set", "method.generations=1",
        "--set", "cache=false", "--set", "workers=2", cwd=tmp_path,
    )  # fmt: skip
    assert done["status"] == "done"
    profile = evo_json("show", tmp_path, "--profile", cwd=tmp_path)
    assert {one["role"]: one["processes"] for one in profile["processes"]} == {
        "driver": 1,
        "islands": 2,
        "log": 1,
        "worker": 2,
    }
    assert profile["models_s"] > 0
    assert profile["cpu_ms_a_call"] > 0
