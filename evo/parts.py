"""Parquet parts, the sealed rows of the log's tables: their names, reading them, writing one whole or not at all.

A part is named after the journal its rows come from, ``part-000007.parquet``, or after the first and the last of those
it was compacted from, ``part-000000-000057.parquet``. Where there is such a one, parts within its range do not count:
from the moment it has its name it stands in their place, whether or not they are removed yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evo.errors import EvoError

Only = tuple[str, pa.Array]
"""A column and the values wanted in it."""
_ROWS = b"prompt_archipelago.rows"
"""Metadata of a compacted part: how many rows are from which journal, in order."""
_GROUP = 65_536
"""Rows of a compacted part that are read together, where few of them are wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file with a table's rows from the journals of some numbers, ends included."""

    first: int
    last: int
    path: Path


def parts_of(table: Path) -> list[Part]:
    """Return the parts of a table that count, by number."""
    return _counting(table)[0]


def covered_parts(table: Path) -> list[Part]:
    """Return the parts of a table that a compacted one stands in for."""
    return _counting(table)[1]


def _counting(table: Path) -> tuple[list[Part], list[Part]]:
    kept: list[Part] = []
    covered: list[Part] = []
    found = [Part(*numbers_of(path), path) for path in table.glob("part-*.parquet")]
    for part in sorted(found, key=lambda part: (part.first, -part.last)):
        (covered if kept and part.last <= kept[-1].last else kept).append(part)
    return kept, covered


def numbers_of(path: Path) -> tuple[int, int]:
    """Return the first and the last number in a part's or a journal's name. Raises EvoError when there is none."""
    words = path.stem.split("-")
    try:
        return int(words[1]), int(words[-1])
    except (IndexError, ValueError):
        raise EvoError(f"{path} is no part of a run: expected a number in its name; move it elsewhere") from None


def read_part(part: Part, schema: pa.Schema, only: Only | None = None) -> pa.Table:
    """Return a part's rows, in their order. Raises EvoError when it is damaged, FileNotFoundError when it is gone."""
    try:
        # Not `pq.read_table`: looking for data sets doubles the cost of a small file, and a run has hundreds.
        with _opened(part.path) as file:
            if only is None:
                return file.read(schema.names).select(schema.names).cast(schema)
            return _chosen(file, schema, only)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, KeyError, OSError) as error:
        raise EvoError(f"{part.path} is damaged: {error}; put back the file the run wrote") from error


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Yield a file of rows; not by its name, as a name need not be text and pyarrow's reader would have it so."""
    with pa.OSFile(os.fsencode(path)) as raw, pq.ParquetFile(raw) as file:
        yield file


def _chosen(file: pq.ParquetFile, schema: pa.Schema, only: Only) -> pa.Table:
    """Return the rows wanted; of most groups of rows no more than one column is read."""
    column, values = only
    found = [schema.empty_table()]
    for group in range(file.num_row_groups):
        wanted = pc.is_in(file.read_row_group(group, [column])[column], values)
        if pc.any(wanted).as_py():
            rows = file.read_row_group(group, schema.names)
            found.append(rows.select(schema.names).cast(schema).filter(wanted))
    return pa.concat_tables(found)


def read_span(part: Part, first: int, last: int, schema: pa.Schema, only: Only | None) -> pa.Table:
    """Return a part's rows from journals of these numbers. Raises as `read_part`."""
    if first <= part.first and part.last <= last:
        return read_part(part, schema, only)
    counts = rows_by_number(part)
    start = sum(rows for number, rows in counts.items() if number < first)
    rows = read_part(part, schema).slice(start, sum(rows for number, rows in counts.items() if first <= number <= last))
    return rows if only is None else rows.filter(pc.is_in(rows[only[0]], only[1]))


def rows_by_number(part: Part) -> dict[int, int]:
    """Return how many of a part's rows are from which journal, in order."""
    with _opened(part.path) as file:
        told = (file.schema_arrow.metadata or {}).get(_ROWS)
        return (
            {int(number): rows for number, rows in json.loads(told)} if told else {part.first: file.metadata.num_rows}
        )


def size_of(part: Part) -> int:
    """Return the bytes of a part's rows before compression."""
    with _opened(part.path) as file:
        return sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))


def write_part(path: Path, table: pa.Table) -> None:
    """Write a part whole or not at all; it is on disk when this returns."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    with pa.OSFile(os.fsencode(draft), "wb") as raw:
        pq.write_table(table, raw, compression="zstd", row_group_size=_GROUP)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)


def write_compacted(parts: Sequence[Part], first: int, last: int, schema: pa.Schema) -> None:
    """Write one part with the rows of several in their place; they count no longer, and can be removed."""
    rows = pa.concat_tables([read_part(part, schema) for part in parts]).unify_dictionaries()
    counts = [count for part in parts for count in rows_by_number(part).items()]
    rows = rows.replace_schema_metadata({**(schema.metadata or {}), _ROWS: json.dumps(counts)})
    write_part(parts[0].path.with_name(f"part-{first:06d}-{last:06d}.parquet"), rows)


def spans_of(parts: Iterable[Part], numbers: Iterable[int] = ()) -> list[tuple[int, int]]:
    """Return the numbers of parts, and others, as (first, last): what overlaps becomes one span."""
    ends = {(part.first, part.last) for part in parts}
    found: list[tuple[int, int]] = []
    for first, last in sorted(ends.union((number, number) for number in numbers)):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def sync_folder(folder: Path) -> None:
    """Let the names in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
