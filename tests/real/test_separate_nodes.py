"""Nodes that are started apart and know nothing of the task: what they need is sent, some join late, one leaves."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import EXAMPLES, evo, evo_json, only_run, running, wait_for
from nodes import nodes

import evo as library
from evo.journal import read_table

SCORER = '''
def spelled_out(reply, example):
    """Score like `choice`, and say from which file this was loaded."""
    return float(example.target in reply.lower()), __file__
'''


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process but this test's join its clusters."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Return a folder with a task and a scorer of its own, where no process is started."""
    folder = tmp_path / "task"
    folder.mkdir()
    shutil.copy(EXAMPLES / "toy.jsonl", folder)
    (folder / "scoring.py").write_text(SCORER)
    text = (EXAMPLES / "toy.yaml").read_text().replace("scorer: choice", "scorer: scoring:spelled_out")
    (folder / "toy.yaml").write_text(text)
    return folder


def loaded_from(run: Path, places: list[Path]) -> set[Path]:
    """Return the nodes on which rows were scored by a scorer that was sent to them."""
    files = read_table(run, "evaluations", ["reason"])["reason"].unique().to_pylist()
    return {place for place in places for file in files if file and file.startswith(f"{place}/")}


@pytest.mark.real
def test_three_nodes_started_apart_one_joins_late_and_one_leaves(tmp_path: Path, task: Path) -> None:
    elsewhere, storage = tmp_path / "elsewhere", tmp_path / "runs"
    elsewhere.mkdir()
    settings = (f"storage={storage}", "cache=false", "budget.calls=1000000", "model.options.latency_ms=300")
    changes = [part for change in (*settings, "concurrency=40") for part in ("--set", change)]
    with nodes() as cluster:
        places = [cluster.start(), cluster.start()]
        arguments = ("run", task / "toy.yaml", "--address", cluster.address, "--plain", *changes)
        with running(*arguments, cwd=elsewhere) as process:

            def are_used(count: int) -> bool:
                assert process.poll() is None, process.communicate()[0]
                return len(list(storage.glob("*/run.json"))) == 1 and (
                    len(loaded_from(only_run(storage), places)) == count
                )

            wait_for(lambda: are_used(2), 120, every_s=0.5)
            places.append(cluster.start())
            wait_for(lambda: are_used(3), 120, every_s=0.5)
            cluster.kill(1)
            run = library.open_run(only_run(storage))
            wait_for(lambda: "worker_lost" in run.events()["kind"].to_pylist(), 120, every_s=0.5)
            before = run.calls().num_rows
            wait_for(lambda: run.calls().num_rows > before + 500, 120, every_s=0.5)  # it goes on
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[0]
        assert process.returncode == 130, said[-3000:]
        last = library.open_run(run.path).spent.calls + 1500
        evo("resume", run.path, "--address", cluster.address, "--set", f"budget.calls={last}", cwd=elsewhere)
    run = library.open_run(run.path)
    assert run.status == "done"
    assert "worker_lost" in run.events()["kind"].to_pylist()
    assert evo_json("best", run.path, cwd=tmp_path)["result"]["winner"]["test"]["n"] == 160
    assert run.spent.calls <= last
    answered = [row["key"] for row in run.calls().to_pylist() if row["text"] is not None]
    assert len(answered) == len(set(answered)), "a call was paid twice"


@pytest.mark.cluster
def test_a_submitted_job_runs_on_the_cluster_with_what_its_folder_holds(tmp_path: Path, task: Path) -> None:
    storage = tmp_path / "runs"
    with nodes(dashboard=True) as cluster:
        place = cluster.start()
        address = f"http://127.0.0.1:{cluster.dashboard}"
        command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", address]
        command += ["--working-dir", str(task), "--", sys.executable, "-m", "evo", "run", "toy.yaml"]
        command += ["--address", "auto", "--plain", "--set", f"storage={storage}", "--set", "budget.calls=1500"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as process:
            try:
                said = process.communicate(timeout=240)[0]
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, said[-4000:]
        assert "best prompt" in said
        run = library.open_run(only_run(storage))
        assert run.status == "done"
        assert loaded_from(run.path, [place]) == {place}
