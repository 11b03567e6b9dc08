from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import evo.folder as module
from evo import open_run
from evo.errors import ConfigError, EvoError
from evo.folder import Hold, RunFolder, write_json
from evo.schema import TABLES
from evo.settings import RunSettings

HOLDER = """
import sys
from pathlib import Path
from evo.folder import Hold
held = Hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path) -> RunSettings:
    return RunSettings.model_validate({"task": {"data": "x.jsonl"}, "storage": str(tmp_path / "runs"), "seed": 7})


def make(settings: RunSettings, title: str = "Ticket") -> RunFolder:
    return RunFolder.create(settings, base=Path("."), title=title, fingerprint="f" * 8)


@pytest.fixture
def holder(tmp_path):
    started = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=-1, stdout=-1, text=True)
    assert started.stdout.readline() == "held\n"
    yield started
    started.kill()
    started.communicate()


def test_a_new_folder_says_all_that_resuming_needs(settings):
    folder = make(settings, "Ticket / Röuting!")
    assert re.fullmatch(r"\d{8}-\d{6}-ticket-r-uting", folder.path.name)
    assert {path.name for path in folder.path.iterdir()} == {"run.json", *TABLES}
    manifest = folder.manifest
    assert manifest["schema"] == 6
    assert manifest["fingerprint"] == "f" * 8
    assert Path(manifest["base"]).is_absolute()
    assert manifest["versions"]["python"]
    assert RunFolder.open(folder.path).settings == settings
    assert folder.result is None


@pytest.mark.parametrize("title", ["", "???", "../../etc", "x" * 300, "-"])
def test_any_title_makes_a_name_inside_the_storage(settings, title):
    path = make(settings, title).path
    assert path.parent == Path(settings.storage)
    assert len(path.name) < 80


def test_runs_begun_in_the_same_second_have_their_own_folders(settings):
    assert len({make(settings).path for _ in range(5)}) == 5


def test_a_storage_that_cannot_be_written_is_one_message(settings, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match=r"storage .*runs.*cannot be written: .*; name another one"):
        make(settings)


def test_a_storage_folder_stands_for_its_latest_run(settings):
    runs = sorted(make(settings).path for _ in range(2))
    assert RunFolder.open(runs[0].parent).path == open_run(runs[0].parent).path == runs[1]


def test_what_is_no_run_names_the_latest_near_it(settings, tmp_path):
    runs = sorted(make(settings).path for _ in range(2))
    with pytest.raises(
        ConfigError, match=rf"is no run: expected .* the latest run near it is {re.escape(str(runs[1]))}"
    ):
        RunFolder.open(runs[0].parent / "typo")
    with pytest.raises(ConfigError, match=r"is no run: expected a folder with run.json, or one of such folders$"):
        RunFolder.open(tmp_path / "nowhere" / "at all")


def test_a_run_of_another_schema_is_refused(settings):
    folder = make(settings)
    write_json(folder.path / "run.json", {**folder.manifest, "schema": 99})
    with pytest.raises(EvoError, match="schema 99, this version reads 6"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize("name", ["run.json", "result.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\ufffd"])
def test_a_damaged_file_is_a_message_not_a_crash(settings, name, content):
    folder = make(settings)
    (folder.path / name).write_text(content)
    if name == "result.json" and content == "{}":
        return
    with pytest.raises(EvoError, match=name.replace(".", r"\.")):
        _ = folder.manifest if name == "run.json" else folder.result


def test_changed_settings_and_the_result_are_read_back(settings):
    folder = make(settings)
    more = settings.model_copy(update={"seed": 8})
    folder.change(more)
    assert RunFolder.open(folder.path).settings == more
    write_json(folder.path / "result.json", {"status": "done", "text": "ä"})
    assert folder.result == {"status": "done", "text": "ä"}


def test_a_path_is_kept_and_rows_in_memory_are_not_written_into_the_settings(settings, tmp_path):
    data = {"train": [{"input": "a"}], "dev": tmp_path / "dev.jsonl", "test": "test.csv"}
    kept = make(RunSettings.model_validate({"task": {"data": data}, "storage": settings.storage})).settings.task.data
    assert (kept.train, kept.dev, kept.test) == (None, str(tmp_path / "dev.jsonl"), "test.csv")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_another_process_is_kept_out_and_named(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 0.05)
    with pytest.raises(EvoError, match=rf"is being written by process {holder.pid} .*; stop that run first, or read"):
        Hold(tmp_path / "lock")


def test_a_process_killed_while_holding_lets_go(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 5.0)
    os.kill(holder.pid, signal.SIGKILL)
    mine = Hold(tmp_path / "lock")
    assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()} on ")
    mine.release()


def test_a_hold_keeps_out_this_process_too_and_can_be_taken_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 0.05)
    first = Hold(tmp_path / "lock")
    with pytest.raises(EvoError):
        Hold(tmp_path / "lock")
    first.release()
    Hold(tmp_path / "lock").release()


def test_a_folder_that_cannot_be_written_is_a_message(settings, tmp_path):
    folder = RunFolder.create(settings, base=tmp_path, title="t", fingerprint="f")
    (folder.path / "lock").mkdir()
    with pytest.raises(EvoError, match=r"cannot be written: .*; mend that, or copy the run elsewhere"):
        folder.hold()
