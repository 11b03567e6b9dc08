"""Runs whose storage is an S3-compatible store, here moto's server: the machine is lost, another one goes on."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import EXAMPLES, evo, evo_json, only_run, running, wait_for
from faulty import CLEAN, births, books
from pyarrow import fs

import evo as library
from evo.journal import read_table
from evo.remote import find_run

pytestmark = pytest.mark.real
SECRET = "the-secret-of-this-test"


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with serving() as uri:
        yield uri


@contextmanager
def serving() -> Iterator[str]:
    """Serve a bucket on this machine; yield its URI."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        endpoint = f"127.0.0.1:{port}"
        wait_for(lambda: _listens(port))
        made = fs.S3FileSystem(
            endpoint_override=endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
        )
        made.create_dir("archipelago")
        yield f"s3://archipelago/runs?endpoint_override={endpoint}&scheme=http&region=us-east-1"
    server.kill()
    server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def config(folder: Path, storage: str, latency_ms: int) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(EXAMPLES / "toy.jsonl", folder)
    text = (EXAMPLES / "toy.yaml").read_text().replace("calls: 20000", "births: 20")
    text = text.replace("model: fake/toy", f"model: {{name: fake/toy, options: {{latency_ms: {latency_ms}}}}}")
    file = folder / "toy.yaml"
    file.write_text(
        f"{text}\ntopology: isolated\nexecutor: inline\ncache: false\nconcurrency: 8\nstorage: '{storage}'\n"
    )
    return file


def in_copy(uri: str) -> int:
    """Return how many calls the copy in the store holds."""
    return read_table(library.open_run(uri).path, "calls", ["key"]).num_rows


def test_a_machine_that_is_lost_and_another_that_goes_on(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "plain"
    evo("run", config(plain, "runs", 0), "--plain", cwd=plain)
    undisturbed = library.open_run(only_run(plain / "runs"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here, there = tmp_path / "here", tmp_path / "there"
    with running("run", config(here, store, 100), "--plain", cwd=here) as process:
        wait_for(lambda: has_copy(store) and in_copy(store) > 500, every_s=1.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    logged = set(read_table(only_run(here / "runs"), "calls")["key"].to_pylist())
    shutil.rmtree(here)
    uploaded = set(library.open_run(store).calls()["key"].to_pylist())
    assert uploaded <= logged
    assert evo_json("show", store, cwd=tmp_path)["status"] == "unfinished"
    there.mkdir()
    evo("resume", store, "--plain", "--set", "concurrency=64", cwd=there)
    run = library.open_run(store)
    assert books(run) == CLEAN
    assert births(run) == births(undisturbed)
    assert uploaded <= set(run.calls()["key"].to_pylist())
    assert json.dumps(evo_json("best", store, cwd=tmp_path)["result"]) == json.dumps(
        library.open_run(only_run(there / "runs")).result
    )
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


def test_what_is_stopped_is_uploaded_whole_and_a_second_writer_is_refused(tmp_path: Path, store: str) -> None:
    uri, here, there = store.replace("/runs?", "/stopped?"), tmp_path / "here", tmp_path / "there"
    there.mkdir()
    with running("run", config(here, uri, 50), "--plain", cwd=here) as process:
        wait_for(lambda: has_copy(uri), every_s=1.0)
        refused = subprocess.run(
            [sys.executable, "-m", "evo", "resume", uri, "--plain"],
            cwd=there,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "is being written by process" in refused.stderr
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert in_copy(uri) == read_table(only_run(here / "runs"), "calls", ["key"]).num_rows > 0


def has_copy(uri: str) -> bool:
    try:
        return find_run(uri).manifest() is not None
    except library.ConfigError:
        return False
