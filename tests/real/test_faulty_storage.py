"""A disk that is full, files that are cut short or cannot be written: a run ends with a message, and goes on later."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import EXAMPLES, evo, only_run, running, wait_for
from faulty import CLEAN, births, books

import evo as library
from evo.journal import open_journals, read_table

pytestmark = pytest.mark.real


def config(folder: Path, *more: str) -> Path:
    """Write the toy example, of one lineage whatever happens, into a folder."""
    file = folder / "toy.yaml"
    text = (EXAMPLES / "toy.yaml").read_text().replace("toy.jsonl", str(EXAMPLES / "toy.jsonl"))
    text = text.replace("calls: 20000", "births: 40")
    file.write_text("\n".join([text, "topology: isolated", "executor: inline", "cache: false", *more]))
    return file


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> library.Run:
    folder = tmp_path_factory.mktemp("undisturbed")
    evo("run", config(folder), "--plain", cwd=folder)
    return library.open_run(only_run(folder / "runs"))


def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(tmp_path: Path, undisturbed: library.Run) -> None:
    file = config(tmp_path)
    limited = f"ulimit -f 300; exec {sys.executable} -m evo run {file} --plain"  # KiB of any one file
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "resume" in done.stderr
    run = only_run(tmp_path / "runs")
    acknowledged = set(read_table(run, "calls")["key"].to_pylist())
    evo("resume", run, "--plain", cwd=tmp_path)
    after = library.open_run(run)
    assert acknowledged <= set(after.calls()["key"].to_pylist())
    assert books(after) == CLEAN
    assert births(after) == births(undisturbed)


def killed_run(folder: Path) -> Path:
    """Return a run that was killed in the middle, with parts and a journal."""
    slow = "model: {name: fake/toy, options: {latency_ms: 20}}"
    file = config(folder)
    file.write_text(file.read_text().replace("model: fake/toy", slow))
    with running("run", file, "--plain", cwd=folder) as process:
        wait_for(lambda: list((folder / "runs").glob("*/individuals/part-*.parquet")))
        process.send_signal(signal.SIGKILL)
        process.wait()
    return only_run(folder / "runs")


def test_cut_off_files_are_refused_or_repaired_and_nothing_is_lost(tmp_path: Path, undisturbed: library.Run) -> None:
    run = killed_run(tmp_path)
    journal = open_journals(run)[-1]
    with open(journal, "ab") as file:
        file.write(b'{"calls": [{"key": "cut off')  # as by a power cut
    part = max((run / "individuals").glob("part-*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    for command in (["show", run], ["resume", run, "--plain"]):
        done = subprocess.run(
            [sys.executable, "-m", "evo", *map(str, command)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"{part} is damaged" in done.stderr
        assert "Traceback" not in done.stderr
    part.write_bytes(whole)
    evo("resume", run, "--plain", cwd=tmp_path)
    after = library.open_run(run)
    assert books(after) == CLEAN
    assert births(after) == births(undisturbed)
