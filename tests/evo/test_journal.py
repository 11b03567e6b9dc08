from __future__ import annotations

import errno
import json
import math
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evo.journal as module
from evo.errors import EvoError
from evo.journal import Journal, next_number, open_journals, read_journal, read_pieces, read_table, seal
from evo.model import Completion
from evo.receipts import Receipt
from evo.schema import TABLES, call_row, event_row


def edge(child: int, parent: int = 0) -> dict[str, object]:
    return {"child": child, "parent": parent, "role": "base", "place": 0}


def event(number: int) -> dict[str, object]:
    return event_row(0, "told", number)


def children(folder) -> list[int]:
    return read_table(folder, "edges", ["child"])["child"].to_pylist()


def parts(folder, table: str) -> list[str]:
    return sorted(path.name for path in (folder / table).glob("part-*"))


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path)
    yield opened
    if not opened._stop_sync.is_set():
        opened.close()


def torn_from(journal: Journal, folder):
    """Return a copy of an unsealed folder, as a killed process leaves it."""
    left = folder.with_name(folder.name + "-left")
    shutil.copytree(folder, left)
    return left


def test_rows_are_read_in_order_before_and_after_sealing(tmp_path, journal):
    for number in range(5):
        journal.append({"edges": [edge(number)], "events": [event(number)]})
    assert children(tmp_path) == [0, 1, 2, 3, 4]
    assert parts(tmp_path, "edges") == []
    journal.close()
    assert children(tmp_path) == [0, 1, 2, 3, 4]
    assert open_journals(tmp_path) == []
    assert read_table(tmp_path, "events").schema == TABLES["events"]


def test_an_empty_folder_has_empty_tables_and_an_unknown_table_is_refused(tmp_path):
    assert all(read_table(tmp_path, name).num_rows == 0 for name in TABLES)
    with pytest.raises(KeyError):
        read_table(tmp_path, "individual")


def test_only_wanted_columns_are_read(tmp_path, journal):
    journal.append({"edges": [edge(1)]})
    assert read_table(tmp_path, "edges", ["role", "child"]).column_names == ["role", "child"]
    journal.close()
    assert read_table(tmp_path, "edges", ["role", "child"]).to_pylist() == [{"role": "base", "child": 1}]


def test_events_say_which_attempt_they_belong_to(tmp_path):
    for attempt in (0, 1):
        journal = Journal(tmp_path, attempt=attempt)
        journal.append({"events": [event(attempt)]})
        journal.close()
    assert read_table(tmp_path, "events")["attempt"].to_pylist() == [0, 1]


def test_a_torn_last_line_is_no_transaction_and_the_next_run_goes_on(tmp_path, journal):
    journal.append({"edges": [edge(1)]})
    left = torn_from(journal, tmp_path)
    (open_file,) = open_journals(left)
    with open(open_file, "ab") as file:
        file.write(json.dumps({"edges": [edge(2), edge(3)]}).encode()[:-7])
    assert children(left) == [1]
    again = Journal(left)
    again.append({"edges": [edge(4)]})
    assert children(left) == [1, 4]
    again.close()
    assert children(left) == [1, 4]


def test_a_crash_between_two_parts_of_a_journal_loses_and_doubles_nothing(tmp_path, journal):
    for number in range(3):
        journal.append({"edges": [edge(number)], "events": [event(number)]})
    left = torn_from(journal, tmp_path)
    (file,) = open_journals(left)
    again = torn_from(journal, left)  # sealed here, to take one finished part over
    seal(again, open_journals(again)[0])
    (left / "edges").mkdir()
    shutil.copy(again / "edges" / "part-000000.parquet", left / "edges")
    (left / "events").mkdir()
    (left / "events" / ".part-000000.parquet.tmp").write_bytes(b"PAR1 half a draft")
    for _ in range(2):
        assert children(left) == [0, 1, 2]
        assert read_table(left, "events")["individual"].to_pylist() == [0, 1, 2]
        if file.exists():
            seal(left, file)
    assert not open_journals(left)
    assert next_number(left) == 1


def test_two_unsealed_journals_are_read_oldest_first_and_sealed_by_the_next_run(tmp_path):
    for number in range(2):
        (tmp_path / f"journal-{number:06d}.jsonl").write_text(json.dumps({"edges": [edge(number)]}) + "\n")
    assert children(tmp_path) == [0, 1]
    Journal(tmp_path).close()
    assert children(tmp_path) == [0, 1]
    assert parts(tmp_path, "edges") == ["part-000000.parquet", "part-000001.parquet"]


def test_a_reader_racing_the_sealer_sees_every_row_once(tmp_path):
    journal = Journal(tmp_path, seal_rows=7)
    written, done, seen = 0, threading.Event(), []

    def read() -> None:
        while not done.is_set():
            before = written
            numbers = children(tmp_path)
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= before
            seen.append(len(numbers))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            started = time.monotonic()
            while written < 300 or (len(set(seen)) <= 5 and time.monotonic() - started < 20):
                journal.append({"edges": [edge(written)], "events": [event(written)]})
                written += 1
                if written % 10 == 0:
                    time.sleep(0.004)
        finally:
            done.set()
        reader.result()
    journal.close()
    assert len(set(seen)) > 5, "the reader saw no progress: the race was none"
    assert children(tmp_path) == list(range(written))


class FullDisk:
    """A file that takes ``room`` bytes more and then refuses, as a full disk does: first short, then ENOSPC."""

    def __init__(self, file, room: int) -> None:
        self._file, self._room = file, room

    def write(self, line: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(line[: self._room])
        self._room -= taken
        return taken

    def __getattr__(self, name: str):
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(tmp_path, journal, room):
    journal.append({"edges": [edge(1)]})
    whole = journal._file
    journal._file = FullDisk(whole, room)
    with pytest.raises(OSError, match="No space"):
        journal.append({"edges": [edge(2)], "events": [event(2)]})
    assert children(tmp_path) == [1]
    journal._file = whole
    journal.append({"edges": [edge(3)]})
    journal.close()
    assert children(tmp_path) == [1, 3]
    assert read_table(tmp_path, "events").num_rows == 0


def test_rows_whose_sealing_failed_stay_readable_and_are_sealed_by_the_next_run(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_part", refuse)
    journal = Journal(tmp_path, seal_rows=2)
    for number in range(6):
        journal.append({"edges": [edge(number)]})  # what is written is acknowledged, sealed or not
        time.sleep(0.005)
    with pytest.raises(OSError, match="No space"):
        journal.close()
    assert children(tmp_path) == list(range(6))
    monkeypatch.undo()
    Journal(tmp_path).close()
    assert children(tmp_path) == list(range(6))
    assert not open_journals(tmp_path)


@pytest.mark.parametrize("text", ["\ud800 alone", "\x00\u2028\u2029\r\n", "\u202e\x1b[2J", "😀" * 3])
def test_any_text_a_model_may_give_is_kept_readable(tmp_path, journal, text):
    journal.append({"prompts": [{"hash": "h", "text": text, "parts": json.dumps([["instruction", text]])}]})
    (open_row,) = read_table(tmp_path, "prompts").to_pylist()
    journal.close()
    (sealed_row,) = read_table(tmp_path, "prompts").to_pylist()
    assert open_row == sealed_row
    assert sealed_row["text"].replace("�", "?") == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan, -0.25])
def test_a_likelihood_that_is_no_finite_number_is_kept(tmp_path, journal, value):
    call = call_row(Receipt("k", "m", "task", 1, 0.0, Completion("yes", 3, 1, 0.0, 0.5, (value, -1.0), (1, 2))))
    journal.append({"calls": [call]})
    (open_row,) = read_table(tmp_path, "calls").to_pylist()
    journal.close()
    (sealed_row,) = read_table(tmp_path, "calls").to_pylist()
    for row in (open_row, sealed_row):
        assert row["logprobs"] == pytest.approx([value, -1.0], nan_ok=True)
        assert row["lengths"] == [1, 2]


def test_whole_numbers_and_fractions_are_taken_for_one_another(tmp_path, journal):
    row = {"child": 1.0, "parent": 0, "role": "base", "place": 0}
    score = {"individual": 1, "example": 0, "split": "dev", "score": 1, "tokens": 29.0, "cost_usd": 0}
    journal.append({"edges": [row], "evaluations": [score]})
    assert children(tmp_path) == [1]
    journal.close()
    assert children(tmp_path) == [1]
    assert read_table(tmp_path, "evaluations", ["score", "tokens"]).to_pylist() == [{"score": 1.0, "tokens": 29}]


def test_a_damaged_line_is_named(tmp_path, journal):
    journal.append({"edges": [edge(1)]})
    left = torn_from(journal, tmp_path)
    (file,) = open_journals(left)
    file.write_bytes(file.read_bytes() + b'{"edges": [}\n' + file.read_bytes())
    with pytest.raises(EvoError, match=r"journal-000000.jsonl:2 is damaged: .*; put back the file the run wrote"):
        children(left)


def test_a_row_of_no_table_is_refused_and_lost_to_nobody(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"edges": [edge(1)], "edgy": [edge(2)]})
    with pytest.raises(KeyError, match="edgy"):
        journal.close()
    assert len(open_journals(tmp_path)) == 1


def test_parts_are_plain_parquet_for_duckdb_and_pandas_while_the_run_goes_on(tmp_path):
    journal = Journal(tmp_path, seal_rows=10)
    for number in range(35):
        journal.append({"edges": [edge(number)]})
    while len(parts(tmp_path, "edges")) < 3:
        time.sleep(0.005)
    rows = duckdb.sql(f"select child, role from read_parquet('{tmp_path}/edges/*.parquet') order by child").fetchall()
    assert rows == [(number, "base") for number in range(30)]
    assert pd.read_parquet(tmp_path / "edges")["child"].sort_values().to_list() == list(range(30))
    assert pq.read_schema(tmp_path / "edges" / "part-000000.parquet").metadata[b"prompt_archipelago.schema"] == b"6"
    journal.close()


def test_every_table_takes_its_nulls_and_keeps_its_types(tmp_path, journal):
    for name, schema in TABLES.items():
        journal.append({name: [dict.fromkeys(schema.names)]})
    journal.close()
    for name, schema in TABLES.items():
        table = read_table(tmp_path, name)
        assert table.schema == schema
        assert table.num_rows == 1


def test_an_old_journal_is_sealed_at_the_next_row(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"edges": [edge(0)]})
    journal._opened -= 60
    journal.append({"edges": [edge(1)]})
    journal.append({"edges": [edge(2)]})
    journal.close()
    assert parts(tmp_path, "edges") == ["part-000000.parquet", "part-000001.parquet"]
    assert children(tmp_path) == [0, 1, 2]


def test_a_line_that_is_finished_while_it_is_read_is_left_for_the_next_reader(tmp_path):
    path = tmp_path / "journal-000000.jsonl"
    path.write_bytes(b'{"events": []}\n{"events"')
    reading = read_journal(path)
    assert next(reading) == {"events": []}
    with open(path, "ab") as file:
        file.write(b': []}\n{"events": []}\n')
    assert list(reading) in ([], [{"events": []}, {"events": []}])
    assert len(list(read_journal(path))) == 3


def test_rows_of_wanted_values_only_are_read_from_parts_and_journal_alike(tmp_path):
    journal = Journal(tmp_path, seal_rows=4)
    for number in range(6):
        journal.append({"edges": [edge(number), edge(number + 10)]})
    wanted = ("child", pa.array([1, 15, 99], pa.int64()))
    assert read_table(tmp_path, "edges", ["child", "role"], only=wanted)["child"].to_pylist() == [1, 15]
    journal.close()
    assert read_table(tmp_path, "edges", only=wanted)["child"].to_pylist() == [1, 15]
    pieces = [piece["child"].to_pylist() for piece in read_pieces(tmp_path, "edges", only=wanted)]
    assert pieces == [[1], [15]], "a part without a wanted row is no piece"
