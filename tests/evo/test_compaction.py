from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from records import born

import evo.compaction as module
from evo import EvoError, Run
from evo.compaction import compact
from evo.folder import RunFolder
from evo.journal import Journal, read_pieces, read_table, read_together
from evo.parts import covered_parts, parts_of
from evo.schema import TABLES, edge_rows, event_row, individual_row, prompt_row
from evo.settings import RunSettings


def written(storage: Path, births: int = 60, *, each: int = 2) -> Path:
    """Return a run's folder with a part for every ``each`` births; edges are missing from the first."""
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(storage)})
    path = RunFolder.create(settings, base=Path(), title="t", fingerprint="f").path
    add(path, 0, births, each=each)
    return path


def add(path: Path, start: int, stop: int, *, each: int = 2) -> None:
    for first in range(start, stop, each):
        journal = Journal(path)
        for number in range(first, min(first + each, stop)):
            one = born(number, "", [], *([(number - 1, f"role {number % 7}")] if number >= each else []))
            rows = {"individuals": [individual_row(one)], "edges": edge_rows(one), "prompts": [prompt_row(one.prompt)]}
            journal.append({**rows, "events": [event_row(0, "told", number)]})
        journal.close()


def everything(path: Path) -> dict[str, list]:
    return {name: read_table(path, name).to_pylist() for name in TABLES}


def files(path: Path, table: str) -> list[str]:
    return sorted(file.name for file in (path / table).iterdir())


def test_the_same_rows_in_the_same_order_in_fewer_parts(tmp_path):
    path = written(tmp_path)
    before = everything(path)
    done = Run(path).compact()
    assert (done.before, done.after) == (119, 4), "individuals, prompts, events; edges begin with the second part"
    assert files(path, "individuals") == files(path, "edges") == ["part-000000-000029.parquet"]
    assert everything(path) == before
    assert Run(path).compact() == module.Compacted(4, 4)
    add(path, 60, 70)
    assert [row["id"] for row in read_table(path, "individuals").to_pylist()] == list(range(70))
    after = everything(path)
    assert Run(path).compact().after == 4
    assert everything(path) == after
    assert read_table(path, "edges").schema.equals(TABLES["edges"], check_metadata=True)


def test_what_was_written_together_is_read_together_part_by_part(tmp_path):
    path = written(tmp_path)
    compact(path, part_bytes=20_000)
    assert 3 < len(files(path, "individuals")) < 20
    columns = {"individuals": ["id"], "edges": ["child"], "events": ["individual"], "calls": ["key"]}
    born_in, child_in, told_in = (
        [piece[name][column].to_pylist() for piece in read_together(path, columns)]
        for name, column in (("individuals", "id"), ("edges", "child"), ("events", "individual"))
    )
    assert len(born_in) == len(files(path, "individuals"))
    assert born_in == told_in
    assert [[number for number in some if number >= 2] for some in born_in] == child_in


def test_a_few_rows_are_found_in_large_parts_as_in_small_ones(tmp_path, monkeypatch):
    path = written(tmp_path)
    wanted = ("child", pa.array([3, 31, 59, 1000]))
    before = read_table(path, "edges", only=wanted).to_pylist()
    monkeypatch.setattr("evo.parts._GROUP", 8)
    compact(path)
    assert read_table(path, "edges", only=wanted).to_pylist() == before
    assert [row["child"] for row in before] == [3, 31, 59]
    assert read_table(path, "edges", ["child"], only=("child", pa.array([-1]))).num_rows == 0


def test_a_part_stands_in_for_others_before_they_are_removed(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = everything(path)
    monkeypatch.setattr(module, "_clear", lambda table: None)
    compact(path)
    assert len(covered_parts(path / "edges")) == 29
    assert [(part.first, part.last) for part in parts_of(path / "edges")] == [(0, 29)]
    assert everything(path) == before
    monkeypatch.undo()
    compact(path)
    assert files(path, "edges") == ["part-000000-000029.parquet"]
    assert everything(path) == before


def test_one_who_reads_meanwhile_sees_every_row_once(tmp_path):
    path = written(tmp_path)
    pieces = read_pieces(path, "individuals", ["id"])
    seen = [next(pieces) for _ in range(7)]
    compact(path)
    seen += pieces
    assert pa.concat_tables(seen)["id"].to_pylist() == list(range(60))
    wanted = ("id", pa.array([1, 50]))
    add(path, 60, 80)
    chosen: Iterator[pa.Table] = read_pieces(path, "individuals", ["id"], only=wanted)
    found = next(chosen)["id"].to_pylist()
    compact(path)
    assert found + [n for piece in chosen for n in piece["id"].to_pylist()] == [1, 50]


def test_readers_in_other_threads_never_miss_or_double_a_row(tmp_path):
    path = written(tmp_path, 400, each=4)
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                ids = read_table(path, "individuals", ["id"])["id"].to_pylist()
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is asked about
                wrong.append(error)
            else:
                if ids != list(range(400)):
                    wrong.append(ids)

    reader = threading.Thread(target=read)
    reader.start()
    for size in (3_000, 12_000, 50_000, 10**9):
        compact(path, part_bytes=size)
    done.set()
    reader.join()
    assert not wrong
    assert len(files(path, "individuals")) == 1


def test_a_run_that_is_being_written_is_left_alone(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setattr("evo.folder.HOLD_S", 0.0)
    held = RunFolder.open(path).hold()
    with pytest.raises(EvoError, match="is being written by process"):
        Run(path).compact()
    held.release()
    assert len(files(path, "individuals")) == 30
    assert Run(path).compact().after == 4


def test_a_journal_left_by_a_crash_is_sealed_first(tmp_path):
    path = written(tmp_path)
    before = everything(path)
    (path / "journal-000030.jsonl").write_text('{"edges":[{"child":60,"parent":1,"role":"x","place":0}]}\n{"edg')
    assert Run(path).compact().after == 4
    assert everything(path)["edges"] == [*before["edges"], {"child": 60, "parent": 1, "role": "x", "place": 0}]
    assert not list(path.glob("journal-*"))


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from evo.compaction import compact

random.seed(int(sys.argv[2]))
for trial in range(8):
    child = os.fork()
    if not child:
        compact(Path(sys.argv[1]), part_bytes=random.choice([4_000, 20_000, 10**9]))
        os._exit(0)
    time.sleep(random.random() * 0.08)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path, seed):
    path = written(tmp_path)
    before = everything(path)
    ran = subprocess.run([sys.executable, "-c", KILLER, str(path), str(seed)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert everything(path) == before
    assert compact(path).after == 4
    assert everything(path) == before
    assert files(path, "individuals") == ["part-000000-000029.parquet"]
