import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.randomness import child_rng
from evo.settings import SplitSettings
from fitness.datasets import as_text, read_rows
from fitness.splits import normalised, separate, split_rows, stratified_order

ROWS = [{"text": "a", "label": "x"}, {"text": "b, c\nd", "label": "ÿ"}]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", jsonl(ROWS)),
        ("a.NDJSON", jsonl(ROWS).replace("\n", "\r\n\r\n")),
        ("a.csv", 'text,label\r\na,x\r\n"b, c\nd",ÿ\r\n'),
        ("semicolon.csv", 'text;label\na;x\n"b, c\nd";ÿ\n'),
        ("a.tsv", 'text\tlabel\na\tx\n"b, c\nd"\tÿ'),
    ],
)
def test_text_files_give_their_rows(tmp_path, name, content, bom):
    written(tmp_path, name, bom + content.encode())
    read = read_rows(name, tmp_path)
    assert list(read.rows) == ROWS
    assert read.columns == ("text", "label")
    assert read.flaws == ()


def test_parquet_gives_its_rows(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert list(read_rows("a.parquet", tmp_path).rows) == ROWS


@pytest.mark.parametrize(
    "source",
    [ROWS, tuple(ROWS), iter(ROWS), pa.Table.from_pylist(ROWS), pd.DataFrame(ROWS)],
    ids=["list", "tuple", "iterator", "arrow", "pandas"],
)
def test_objects_in_memory_give_their_rows(source):
    assert list(read_rows(source).rows) == ROWS


def test_a_frame_with_numbered_columns_has_text_names():
    assert read_rows(pd.DataFrame([["a", "b"]])).columns == ("0", "1")


def test_absolute_paths_ignore_the_folder(tmp_path):
    path = written(tmp_path, "a.jsonl", jsonl(ROWS))
    assert len(read_rows(path, Path("/nowhere")).rows) == 2


def test_bad_json_lines_are_named_and_the_rest_is_kept(tmp_path):
    lines = [b'{"text": "a"}', b"{oops", b"[1]", b'{"text": "\xff"}', b"[" * 100_000, b"", b'{"text": "b"}']
    written(tmp_path, "a.jsonl", b"\n".join(lines))
    read = read_rows("a.jsonl", tmp_path)
    assert [row["text"] for row in read.rows] == ["a", "b"]
    assert read.places == (1, 7)
    assert [flaw[:24] for flaw in read.flaws[:3]] == [
        "row 2: broken JSON (Expe",
        "row 3: expected a JSON o",
        "row 4: not UTF-8",
    ]
    assert read.flaws[3].startswith("row 5: broken JSON")


def test_ragged_undecodable_and_misquoted_csv_lines_are_named(tmp_path):
    written(tmp_path, "a.csv", b'text,label\na,x\nb\nc,y,z\n\xff,x\n"d"d,x\ne,y\n')
    read = read_rows("a.csv", tmp_path)
    assert [row["text"] for row in read.rows] == ["a", "e"]
    assert [flaw.partition(" (")[0] for flaw in read.flaws] == [
        "row 3: expected 2 cells, got 1",
        "row 4: expected 2 cells, got 3",
        "row 5: not UTF-8",
        "row 6: broken CSV up to line 6",
    ]


def test_a_quote_that_never_closes_says_from_where_on(tmp_path):
    written(tmp_path, "a.csv", 'text,label\na,x\n"b,y\nc,z\n')
    assert read_rows("a.csv", tmp_path).flaws == ("row 3: broken CSV up to line 4 (unexpected end of data)",)


def test_items_that_are_no_mappings_are_named():
    assert read_rows([{"a": 1}, "b", 3]).flaws == (
        "row 2: expected a mapping of columns, got str",
        "row 3: expected a mapping of columns, got int",
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl is empty"),
        ("a.csv", b"text,label\n", "a.csv is empty"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.jsonl", b"{oops\n{again\n", "left out 2 of 2 rows: row 1: broken JSON"),
        ("a.jsonl", '{"a": 1}\n'.encode("utf-16"), "in UTF-8"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "in UTF-8"),
        ("a.csv", b"a,a\n1,2\n", "rename one"),
        ("a.parquet", b"no parquet", "expected a Parquet file"),
        ("a.xlsx", b"x", r"expected a data file ending in .jsonl, .ndjson, .csv, .tsv, .parquet, got 'a.xlsx'"),
    ],
)
def test_files_without_usable_rows_are_refused_with_the_reason(tmp_path, name, content, message):
    written(tmp_path, name, content)
    with pytest.raises(ConfigError, match=message):
        read_rows(name, tmp_path)


def test_a_missing_file_names_near_ones(tmp_path):
    written(tmp_path, "tickets.jsonl", jsonl(ROWS))
    with pytest.raises(ConfigError, match=r"did you mean 'tickets\.jsonl'\?"):
        read_rows("tikets.jsonl", tmp_path)
    with pytest.raises(ConfigError, match=r"data files there: tickets\.jsonl"):
        read_rows("zzz.csv", tmp_path)
    with pytest.raises(ConfigError, match="its folder does not exist"):
        read_rows("no/where.csv", tmp_path)
    with pytest.raises(ConfigError, match="is a folder"):
        read_rows(".", tmp_path)


@pytest.mark.parametrize("source", [{"text": ["a"]}, 3, object()])
def test_objects_of_another_kind_are_refused(source):
    with pytest.raises(ConfigError, match="a list of dicts, a DataFrame"):
        read_rows(source)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (3, "3"),
        (2.5, "2.5"),
        (True, "True"),
        (["ä", 1], '["ä", 1]'),
        ("\ud83d\ude00", "😀"),
        ("a\ud800", "a\ufffd"),
    ],
)
def test_cells_as_text(value, text):
    assert as_text(value) == text
    as_text(value).encode()


# --- splits ----------------------------------------------------------------------------------------------------------

SHARES = SplitSettings(train=0.1, dev=0.5, test=0.4)


def dealt(n: int, seed: int = 0):
    targets = ["rare" if row % 10 == 0 else "common" for row in range(n)]
    return split_rows([f"input {row}" for row in range(n)], targets, SHARES, seed), targets


def test_shares_are_kept_and_no_row_is_lost():
    splits, _ = dealt(200)
    assert [len(rows) for rows in (splits.train, splits.dev, splits.test)] == [20, 100, 80]
    assert sorted((*splits.train, *splits.dev, *splits.test)) == list(range(200))


def test_splits_are_stratified_and_seeded():
    splits, targets = dealt(200)
    assert [sum(targets[row] == "rare" for row in rows) for rows in (splits.train, splits.dev, splits.test)] == [
        2,
        10,
        8,
    ]
    assert dealt(200)[0] == splits
    assert dealt(200, seed=1)[0] != splits


def test_two_rows_all_for_dev():
    assert split_rows(["a", "b"], ["x", "y"], SplitSettings(train=0, dev=1, test=0), 0).dev == (0, 1)


def test_repeats_are_dropped_and_contradictions_kept_out():
    inputs = ["Good day", "good  DAY", "ｇｏｏｄ day", "bad", "Bad", "fine", "other"]  # noqa: RUF001
    targets = ["x", "x", "x", "x", "y", "x", "y"]
    splits = split_rows(inputs, targets, SHARES, 0)
    assert sorted((*splits.train, *splits.dev, *splits.test)) == [0, 5, 6]
    assert (splits.duplicates, splits.conflicts) == (2, 2)
    assert splits.notes == (
        "left out 2 rows that repeat another row's input and target",
        "left out 2 rows whose input also comes with another target",
    )


def test_given_splits_lose_what_a_later_split_holds_but_test_loses_nothing():
    inputs = ["a", "b", "c", "d", "B", "C", "e", "c", "E"]
    splits = separate(inputs, {"train": range(4), "dev": range(4, 7), "test": range(7, 9)})
    assert (splits.train, splits.dev, splits.test) == ((0, 3), (4,), (7, 8))
    assert splits.leaks == (2, 2)
    assert len(splits.notes) == 2


@given(st.lists(st.sampled_from("abcd"), max_size=80), st.integers(0, 5))
def test_every_prefix_of_a_stratified_order_has_about_the_shares_of_the_whole(targets, seed):
    order = stratified_order(targets, child_rng(seed, "t"))
    assert sorted(order) == list(range(len(targets)))
    whole, seen = Counter(targets), Counter()
    for place, row in enumerate(order, 1):
        seen[targets[row]] += 1
        for target, count in whole.items():
            assert abs(seen[target] - count * place / len(targets)) <= len(whole)


def test_distinct_targets_are_plainly_shuffled():
    order = stratified_order([str(row) for row in range(50)], child_rng(0, "t"))
    assert list(order) != sorted(order)


@pytest.mark.parametrize(("a", "b"), [("Straße", "STRASSE"), (" a\tb ", "A  B"), ("ﬁne", "fine")])
def test_inputs_that_count_as_the_same(a, b):
    assert normalised(a) == normalised(b)
