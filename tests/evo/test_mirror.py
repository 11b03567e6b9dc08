"""A run's copy in a store, here a folder behind a URI: whole at every moment, one writer, for all machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bank import answer, receipt

import evo.lease
from evo.config import parse
from evo.errors import ConfigError, EvoError
from evo.folder import RunFolder
from evo.journal import read_table
from evo.lease import Lease
from evo.mirror import Mirror
from evo.remote import MANIFEST, Place, find_run, snapshot_of
from evo.run import Run
from evo.schema import call_row
from evo.store import RunStore


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Go to another machine: another working folder and another cache."""

    def go(name: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))

    monkeypatch.setattr(evo.lease, "SETTLE_S", 0.01)
    monkeypatch.setattr(evo.lease, "WATCH_S", 0.3)
    monkeypatch.setattr(Mirror, "start", lambda mirror: None)  # tests upload when they say so
    go("here")
    return go


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "bucket").as_uri()


@pytest.fixture
def path(machine: object, uri: str, tmp_path: Path) -> Path:
    settings = parse({"task": {"data": "x"}, "model": "m", "storage": uri})
    return RunFolder.create(settings, base=tmp_path, title="t", fingerprint="f").path


@pytest.fixture
def open_store() -> Iterator[Callable[[Path], RunStore]]:
    stores: list[RunStore] = []

    def open_it(path: Path) -> RunStore:
        stores.append(RunStore(path))
        return stores[-1]

    yield open_it
    for store in stores:
        if not store.journal._stop_sync.is_set():
            store.close()


def pay(store: RunStore, *keys: str) -> None:
    store.journal.append({"calls": [call_row(receipt(key, answer(key))) for key in keys]})


def keys(path: Path) -> list[str]:
    return read_table(path, "calls")["key"].to_pylist()


def mirror_of(store: RunStore) -> Mirror:
    assert store.mirror is not None
    return store.mirror


def test_the_copy_has_all_that_was_logged_before_an_upload_and_all_there_is_at_the_end(path, uri, open_store, machine):
    store = open_store(path)
    pay(store, "a", "b")
    mirror_of(store).upload()
    pay(store, "c")
    machine("elsewhere")
    assert keys(Run(uri).path) == ["a", "b"]
    machine("here")
    store.close()
    machine("elsewhere")
    assert keys(Run(uri).path) == ["a", "b", "c"]
    assert not list(Run(uri).path.glob("journal-*")), "what was sealed meanwhile is read once"


def test_a_run_goes_on_on_another_machine_and_its_old_folder_is_refused(path, uri, open_store, machine):
    first = open_store(path)
    pay(first, "a")
    first.close()
    machine("elsewhere")
    fetched = RunFolder.to_write(uri).path
    second = open_store(fetched)
    assert second.cache.get("a") == (answer("a"), True)
    pay(second, "b")
    second.close()
    assert keys(fetched) == ["a", "b"]
    machine("here")
    with pytest.raises(EvoError, match=r"has gone on elsewhere since .* was written; move that folder away"):
        open_store(path)
    with pytest.raises(EvoError, match="has gone on elsewhere"):
        RunFolder.to_write(uri)
    path.rename(path.with_name("moved"))
    assert keys(RunFolder.to_write(uri).path) == ["a", "b"]


def test_a_folder_that_has_more_than_its_copy_goes_on_by_its_uri_too(path, uri, open_store, monkeypatch):
    store = open_store(path)
    pay(store, "a")
    mirror_of(store).upload()
    pay(store, "b")
    monkeypatch.setattr(Mirror, "close", lambda mirror: None)  # as if killed: nothing more is uploaded
    store.close()
    assert RunFolder.to_write(uri).path.resolve() == path.resolve()
    assert keys(path) == ["a", "b"]


def test_two_writers_of_one_copy_are_not_let_in(path, uri, open_store, machine, monkeypatch):
    store = open_store(path)
    mirror_of(store).upload()
    machine("elsewhere")
    monkeypatch.setattr(evo.lease.os, "getpid", lambda: 1)
    fetched = RunFolder.to_write(uri).path
    watched = []

    def beat(seconds: float) -> None:
        watched.append(seconds)
        mirror_of(store)._lease._write()

    monkeypatch.setattr(evo.lease.time, "sleep", beat)
    with pytest.raises(EvoError, match=r"is being written by process \d+ on .*; stop that run first, or read this one"):
        open_store(fetched)
    assert watched


def test_a_lease_of_a_process_that_has_gone_is_taken_and_its_owner_finds_out(path, uri, open_store):
    store = open_store(path)
    mirror_of(store).upload()
    taken = Lease(find_run(uri))  # the owner has not shown itself for as long as one looks
    with pytest.raises(EvoError, match="is being written by process"):
        mirror_of(store).upload()
    mirror_of(store)._keep()
    with pytest.raises(EvoError, match="is being written by process"), store.writing():
        pass
    taken.release()


def test_a_damaged_object_is_named_and_a_missing_one_too(path, uri, tmp_path, open_store):
    store = open_store(path)
    pay(store, "a")
    store.close()
    (part,) = (tmp_path / "bucket").glob("*/calls/part-*.parquet")
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    with pytest.raises(EvoError, match=rf"calls/{part.name} is damaged: it is not what {MANIFEST} says"):
        Run(uri)
    part.unlink()
    with pytest.raises(EvoError, match=r"is not whole: objects its manifest\.json names are missing"):
        Run(uri)
    part.write_bytes(whole)
    assert keys(Run(uri).path) == ["a"]


def test_a_snapshot_between_the_parts_of_one_journal_takes_the_journal(path, open_store):
    store = open_store(path)
    pay(store, "a")
    (journal,) = path.glob("journal-*")
    (path / "calls" / journal.name.replace("journal", "part").replace("jsonl", "parquet")).write_bytes(b"half sealed")
    assert sorted(name for name in snapshot_of(path) if "part-" in name or "journal" in name) == [journal.name]
    (path / "calls" / journal.name.replace("journal", "part").replace("jsonl", "parquet")).unlink()


def test_a_lease_is_renewed_while_an_upload_takes_long(path, tmp_path, open_store, monkeypatch):
    store = open_store(path)
    pay(store, "a")
    (lease,) = (tmp_path / "bucket").glob("*/lease.json")
    monkeypatch.setattr(evo.lease, "RENEW_S", 0.05)
    put, seen = Place.put, []

    def slowly(place: Place, name: str, content: bytes) -> None:
        if name.startswith("journal"):
            before = json.loads(lease.read_text())["beat"]
            time.sleep(0.5)
            seen.append(json.loads(lease.read_text())["beat"] - before)
        put(place, name, content)

    monkeypatch.setattr(Place, "put", slowly)
    mirror_of(store).upload()
    assert seen
    assert all(beats >= 3 for beats in seen)


@pytest.mark.parametrize(
    ("name", "object_name"),
    [
        ("../../outside.txt", "run.json"),
        ("/outside.txt", "run.json"),
        ("data-..", "../outside"),
        ("individuals/../../x.parquet", "run.json"),
        (".bashrc", ".bashrc"),
    ],
)
def test_a_manifest_that_names_other_files_than_a_run_s_is_refused(path, tmp_path, open_store, name, object_name):
    store = open_store(path)
    pay(store, "a")
    store.close()
    (manifest,) = (tmp_path / "bucket").glob(f"*/{MANIFEST}")
    told = json.loads(manifest.read_text())
    told["files"][name] = {"object": object_name, "bytes": 1, "sha256": "0"}
    manifest.write_text(json.dumps(told))
    with pytest.raises(EvoError, match="is no file of a run"):
        Place(manifest.parent.as_uri()).manifest()


def test_what_no_manifest_names_any_more_is_deleted(path, tmp_path, open_store):
    store = open_store(path)
    for key in "abc":
        pay(store, key)
        mirror_of(store).upload()
    store.close()
    (manifest,) = (tmp_path / "bucket").glob(f"*/{MANIFEST}")
    named = {entry["object"] for entry in json.loads(manifest.read_text())["files"].values()}
    there = {str(file.relative_to(manifest.parent)) for file in manifest.parent.rglob("*") if file.is_file()}
    assert there == named | {MANIFEST}


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("s3://key:secret@bucket/runs", "got one with a user or password; the store's credentials come from"),
        ("s3://bucket/runs?secret_key=abc", "got one with a secret, 'secret_key'"),
        ("nosuch://bucket/runs", r"storage 'nosuch://bucket/runs' cannot be used: .*expected such as s3://bucket/path"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused_before_anything_is_written(machine, tmp_path, storage, words):
    settings = parse({"task": {"data": "x"}, "model": "m", "storage": storage})
    with pytest.raises(ConfigError, match=words) as caught:
        RunFolder.create(settings, base=tmp_path, title="t", fingerprint="f")
    assert "abc" not in str(caught.value)
    assert not (tmp_path / "here" / "runs").exists()


def test_a_place_without_a_run_says_what_was_expected(uri):
    with pytest.raises(ConfigError, match=r"is no run: expected a manifest\.json there"):
        Run(uri)
    assert Place(uri).within("a").parent.uri == uri
