"""A run killed at any moment goes on where it was: nothing acknowledged is lost, at most what was in flight is paid
again."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command import EXAMPLES, evo, only_run, running, wait_for
from faulty import births

import evo as library
from evo.journal import read_table

pytestmark = pytest.mark.real
CONCURRENCY = 16
SENDER = '''
import asyncio, os
from fitness.fake import FakeLlm

class Counting(FakeLlm):
    """Appends the key of every request it is sent to a file."""

    async def complete(self, request):
        descriptor = os.open(os.environ["SENT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, (request.key("") + "\\n").encode())
        os.close(descriptor)
        await asyncio.sleep(0.02)
        return await super().complete(request)
'''


def config(folder: Path, executor: str, calls: int = 3000) -> Path:
    (folder / "counting.py").write_text(SENDER)
    file = folder / "toy.yaml"
    text = (EXAMPLES / "toy.yaml").read_text().replace("toy.jsonl", str(EXAMPLES / "toy.jsonl"))
    text = text.replace("model: fake/toy", 'model: "counting:Counting"').replace("calls: 20000", f"calls: {calls}")
    file.write_text(f"{text}\nexecutor: {executor}\nconcurrency: {CONCURRENCY}\ncache: false\n")
    return file


def calls_logged(storage: Path) -> int:
    runs = list(storage.glob("*/run.json"))
    return read_table(runs[0].parent, "calls", ["key"]).num_rows if runs else 0


def kill_and_resume(folder: Path, executor: str, calls: int, moments: list[int]) -> None:
    file, sent = config(folder, executor, calls), folder / "sent"
    os.environ["SENT"], os.environ["PYTHONPATH"] = str(sent), str(folder)
    kills = 0
    for moment in moments:
        arguments = ["resume", only_run(folder / "runs")] if kills else ["run", file]
        with running(*arguments, "--plain", cwd=folder) as process:
            wait_for(lambda moment=moment: calls_logged(folder / "runs") >= moment or process.poll() is not None)
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            acknowledged = set(read_table(only_run(folder / "runs"), "calls")["key"].to_pylist())
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        time.sleep(1.0)  # whatever the driver had started ends with it
        logged = read_table(only_run(folder / "runs"), "calls")["key"].to_pylist()
        assert acknowledged <= set(logged)
    evo("resume", only_run(folder / "runs"), "--plain", cwd=folder)
    keys = read_table(only_run(folder / "runs"), "calls")["key"].to_pylist()
    assert len(keys) == len(set(keys)), "a call was logged twice"
    again = sum(Counter(sent.read_text().split()).values()) - len(keys)
    assert again <= kills * CONCURRENCY
    run = library.open_run(only_run(folder / "runs"))
    ids = run.individuals()["id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert set(run.edges()["parent"].to_pylist()) <= set(ids)
    assert run.status == "done"


def test_inline_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENT", "")
    monkeypatch.setenv("PYTHONPATH", "")
    moments = sorted(int(m) for m in np.random.default_rng(7).integers(20, 2200, size=4))
    kill_and_resume(tmp_path, "inline", 3000, moments)


def test_ray_killed_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENT", "")
    monkeypatch.setenv("PYTHONPATH", "")
    kill_and_resume(tmp_path, "ray", 1500, [700])


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENT", str(tmp_path / "sent"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running("run", config(tmp_path, "inline"), "--plain", cwd=tmp_path) as process:
        wait_for(lambda: calls_logged(tmp_path / "runs") > 300)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"evo resume {only_run(tmp_path / 'runs').relative_to(tmp_path)}" in output
    sent = (tmp_path / "sent").read_text().split()
    assert len(sent) == calls_logged(tmp_path / "runs"), "a call that was sent is not in the log"


def test_a_run_that_another_process_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENT", str(tmp_path / "sent"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running("run", config(tmp_path, "inline"), "--set", "budget.calls=100000", "--plain", cwd=tmp_path):
        wait_for(lambda: calls_logged(tmp_path / "runs") > 50)
        started = time.monotonic()
        evo("resume", only_run(tmp_path / "runs"), "--plain", cwd=tmp_path, code=1)
        assert time.monotonic() - started < 30


def test_in_lockstep_a_killed_run_ends_with_the_lineage_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (EXAMPLES / "toy.yaml").read_text().replace("toy.jsonl", str(EXAMPLES / "toy.jsonl"))
    text = text.replace("calls: 20000", "births: 36").replace("method: evoprompt-ga", "method: tide")
    text = text.replace("model: fake/toy", "model: {name: fake/toy, options: {latency_ms: 10}}")
    lineages = []
    for kills in (0, 3):
        folder = tmp_path / str(kills)
        folder.mkdir()
        file = folder / "toy.yaml"
        file.write_text(f"{text}\nlockstep: true\nexecutor: inline\nmigration: {{every: 4}}\ncache: false\n")
        arguments: list[str | Path] = ["run", file]
        for moment in (200, 500, 800)[:kills]:
            with running(*arguments, "--plain", cwd=folder) as process:
                wait_for(lambda moment=moment, folder=folder: calls_logged(folder / "runs") >= moment)
                assert process.poll() is None
                process.kill()
                process.wait()
            arguments = ["resume", only_run(folder / "runs")]
        evo(*arguments, "--plain", cwd=folder)
        lineages.append(library.open_run(only_run(folder / "runs")))
    whole, killed = lineages
    assert births(killed) == births(whole)
    assert whole.migrations().num_rows > 0
    moves = ["from_island", "to_island", "individual", "copy", "accepted", "reason", "step"]
    order = [("to_island", "ascending"), ("step", "ascending"), ("individual", "ascending")]
    assert killed.migrations().select(moves).sort_by(order) == whole.migrations().select(moves).sort_by(order)
