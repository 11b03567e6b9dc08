"""Rows from files (JSON Lines, CSV, Parquet) or from memory, tolerant of single bad rows.

A row that cannot be read is counted and named, never fatal, unless nothing usable remains.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evo.errors import ConfigError
from evo.records import records

Read = Iterator[tuple[int, dict[str, Any] | str]]
"""Line or row number from 1, with the row or, as text, the reason it is unusable."""

FLAWS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Usable rows in file order, the line (or row) number of each, and what was wrong with the others."""

    name: str
    rows: tuple[dict[str, Any], ...]
    places: tuple[int, ...]
    flaws: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column any row has, in order of appearance."""
        return tuple(dict.fromkeys(key for row in self.rows for key in row))


def read_rows(source: Any, folder: Path = Path()) -> Rows:
    """Return the rows of a file (path relative to ``folder``) or of an object in memory.

    Objects: an iterable of mappings, a pyarrow Table, a pandas or polars DataFrame. Raises ConfigError when the file
    is missing, of an unknown kind, empty, or holds no usable row.
    """
    if isinstance(source, str | Path):
        path = folder / Path(source).expanduser()
        return _collect(path.name, _reader(path)(path))
    return _collect("rows in memory", _from_memory(source))


def summary(flaws: tuple[str, ...], total: int, what: str) -> str:
    """Return one sentence that counts the flaws and quotes the first few; empty without flaws."""
    if not flaws:
        return ""
    more = len(flaws) - FLAWS_SHOWN
    tail = f"; and {more} more" if more > 0 else ""
    return f"{what}: left out {len(flaws)} of {total} rows: {'; '.join(flaws[:FLAWS_SHOWN])}{tail}"


def as_text(value: Any) -> str:
    """Return a cell as text: missing (None, NaN) as nothing, lists and objects as JSON."""
    if isinstance(value, str):
        return value if value.isascii() else _encodable(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON may escape one, no provider accepts one
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _collect(name: str, read: Read) -> Rows:
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    flaws: list[str] = []
    for place, row in read:
        if isinstance(row, str):
            flaws.append(f"row {place}: {row}")
        else:
            rows.append(row)
            places.append(place)
    if not rows:
        found = summary(tuple(flaws), len(flaws), name) or f"{name} is empty"
        raise ConfigError(f"expected rows, but {found}; pass data with at least one usable row, in UTF-8")
    return Rows(name, tuple(rows), tuple(places), tuple(flaws))


def _reader(path: Path) -> Callable[[Path], Read]:
    if not path.is_file():
        raise ConfigError(_missing(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"expected a data file ending in {', '.join(READERS)}, got {path.name!r}; convert it or rename it"
        )
    return reader


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"expected a data file, but {str(path)!r} is a folder; name a file in it"
    if not path.parent.is_dir():
        return f"no data file {str(path)!r}: its folder does not exist; check the path"
    names = sorted(entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in READERS)
    if not names:
        return f"no data file {str(path)!r}, nor any other in that folder; check the path"
    near = difflib.get_close_matches(path.name, names, n=2)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"data files there: {', '.join(names[:5])}"
    return f"no data file {str(path)!r}; {hint}"


def _read_jsonl(path: Path) -> Read:
    with _opened(path) as lines:
        for place, line in enumerate(lines, 1):
            if line.strip():
                yield place, _json_object(line.removeprefix(b"\xef\xbb\xbf") if place == 1 else line)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}; check its permissions") from error


def _json_object(line: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"broken JSON ({error})"
    return value if isinstance(value, dict) else f"expected a JSON object, got {type(value).__name__}"


def _read_csv(path: Path) -> Read:
    with _opened(path) as file:
        lines = (line.decode("utf-8", "surrogateescape") for line in file)
        first = next(lines, "").removeprefix("\ufeff")
        reader = csv.reader(itertools.chain([first], lines), delimiter=_delimiter(path, first), strict=True)
        header = _csv_header(next(_csv_records(reader), (1, []))[1], path)
        for place, cells in _csv_records(reader):
            if isinstance(cells, str):
                yield place, cells
            elif cells:
                yield place, _csv_row(header, cells)


def _delimiter(path: Path, header: str) -> str:
    marks = "\t" if path.suffix.lower() == ".tsv" else ",\t;"
    return next((mark for mark in marks if mark in header), ",")


def _csv_records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    while True:
        place = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, f"broken CSV up to line {reader.line_num} ({error})"
        else:
            yield place, cells


def _csv_header(cells: list[str] | str, path: Path) -> list[str]:
    if isinstance(cells, str) or _undecoded(cells):
        raise ConfigError(f"expected a header line in {path.name}, got {cells!r}; save it as CSV in UTF-8")
    twice = sorted({name for name in cells if cells.count(name) > 1})
    if twice:
        raise ConfigError(f"expected distinct columns in {path.name}, got {twice} more than once; rename one")
    return cells


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(header):
        return f"expected {len(header)} cells, got {len(cells)}"
    return "not UTF-8" if _undecoded(cells) else dict(zip(header, cells, strict=True))


def _undecoded(cells: list[str]) -> bool:
    return any("\udc80" <= letter <= "\udcff" for cell in cells if not cell.isascii() for letter in cell)


def _read_parquet(path: Path) -> Read:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"expected a Parquet file, but {path.name} is none ({error}); write it again") from error
    return _from_memory(table)


def _from_memory(source: Any) -> Read:
    return ((place, _plain(row)) for place, row in enumerate(records(source), 1))


def _plain(row: Any) -> dict[str, Any] | str:
    if not isinstance(row, Mapping):
        return f"expected a mapping of columns, got {type(row).__name__}"
    return {str(key): value for key, value in row.items()}


READERS: Mapping[str, Callable[[Path], Read]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
