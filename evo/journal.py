"""The append-only log on disk: a journal of transactions, sealed into Parquet parts; read while it is written.

A transaction is one line of JSON, handed to the operating system before `Journal.append` returns: it survives
`kill -9` of this process; `fsync` follows within a second, so a power cut loses at most that. When the journal is
old or long enough it is rotated, and each table's rows become ``<table>/part-NNNNNN.parquet``, named after the
journal they came from. A reader takes every part, and from a journal those tables that have no part of its number
yet: no row is lost and none is read twice, whenever it looks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from evo.encoding import from_json, to_json
from evo.errors import EvoError
from evo.parts import Only, Part, numbers_of, parts_of, read_span, spans_of, sync_folder, write_part
from evo.schema import CLOCK, ROOT_ISLAND, TABLES, event_row

SEAL_ROWS = 5000
SEAL_S = 10.0
SYNC_S = 1.0
CLOCK_S = 5.0
"""How often at most the time an attempt has taken is logged: a killed one counts to within this."""


class Journal:
    """The one writer of a run's tables. Not thread-safe: call it from one thread (sealing has its own)."""

    def __init__(self, folder: Path, *, attempt: int = 0, seal_rows: int = SEAL_ROWS, seal_s: float = SEAL_S) -> None:
        self.folder = folder
        self.attempt = attempt
        self.took_s = 0.0
        self._seal_rows, self._seal_s = seal_rows, seal_s
        self._started = time.monotonic()
        self._clocked = 0.0
        self._sealer = ThreadPoolExecutor(1, thread_name_prefix="seal")
        self._sealing: list[Future[None]] = []
        self._stop_sync = threading.Event()
        for left in open_journals(folder):
            seal(folder, left)
        self._open(next_number(folder))
        self._syncer = threading.Thread(target=self._sync_regularly, name="fsync", daemon=True)
        self._syncer.start()

    def append(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add rows to tables in one transaction; raises OSError when the disk refuses, with nothing half-written."""
        began = time.perf_counter()
        rows = self._clocked_rows(rows)
        for row in rows.get("events", ()):
            row.setdefault("attempt", self.attempt)  # type: ignore[attr-defined]
        self._write(to_json({table: added for table, added in rows.items() if added}) + b"\n")
        self._rows += sum(map(len, rows.values()))
        if self._rows >= self._seal_rows or time.monotonic() - self._opened >= self._age():
            self._rotate()
        self.took_s += time.perf_counter() - began

    def _clocked_rows(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Sequence[Mapping[str, Any]]]:
        """Return rows with the time so far among them, now and then and with each event of the whole run.

        It is the one clock a budget in seconds may trust: the wall's may jump, and other machines have others.
        """
        events, passed_s = rows.get("events", ()), time.monotonic() - self._started
        if passed_s - self._clocked < CLOCK_S and all(row["island"] != ROOT_ISLAND for row in events):
            return dict(rows)
        self._clocked = passed_s
        return {**rows, "events": [*events, event_row(ROOT_ISLAND, CLOCK, None, f"{passed_s:.3f}")]}

    def _write(self, line: bytes) -> None:
        end = self._file.tell()
        try:
            # A disk about to be full takes a part of the line before it refuses the rest.
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(end)
            raise

    def close(self) -> None:
        """Seal what is open. Raises OSError when a journal could not be sealed; its rows stay readable in it."""
        self._stop_sync.set()
        self._syncer.join()
        self._rotate(reopen=False)
        self._sealer.shutdown(wait=True)
        for sealing in self._sealing:
            sealing.result()

    def _age(self) -> float:
        # Parts grow with the run's age, so that a long run has hundreds of parts, not thousands.
        return max(self._seal_s, (time.monotonic() - self._started) / 50)

    def _open(self, number: int) -> None:
        self._number = number
        path = self.folder / f"journal-{number:06d}.jsonl"
        self._file: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115 - stays open across calls
        self._rows = 0
        self._opened = time.monotonic()

    def _rotate(self, *, reopen: bool = True) -> None:
        full = self._file
        path = self.folder / f"journal-{self._number:06d}.jsonl"
        if reopen:
            self._open(self._number + 1)
        full.close()
        self._sealing = [s for s in self._sealing if not s.done() or s.exception() is not None]
        self._sealing.append(self._sealer.submit(seal, self.folder, path))

    def _sync_regularly(self) -> None:
        while not self._stop_sync.wait(SYNC_S):
            try:
                os.fsync(self._file.fileno())
            except (OSError, ValueError):
                continue  # rotated meanwhile: sealing syncs what it writes


def open_journals(folder: Path) -> list[Path]:
    """Return the journals not yet sealed, oldest first."""
    return sorted(folder.glob("journal-*.jsonl"))


def next_number(folder: Path) -> int:
    """Return the number of the next journal: above every part and journal there is."""
    names = [p.stem for p in folder.glob("*/part-*.parquet")] + [p.stem for p in open_journals(folder)]
    return 1 + max((int(name.rpartition("-")[2]) for name in names), default=-1)


def read_journal(path: Path) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Yield whole transactions; a last line cut off by a crash is no transaction. Raises EvoError when damaged."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # and no further: were the rest of it written meanwhile, it would look like a line of its own
            try:
                yield from_json(line)
            except ValueError as error:
                raise EvoError(f"{path}:{number} is damaged: {error}; put back the file the run wrote") from error


def seal(folder: Path, journal: Path) -> None:
    """Turn a journal into parts, then remove it. Doing it again after a crash in the middle is safe."""
    number, _ = numbers_of(journal)
    for name, table in tables_in(journal, TABLES).items():
        part = folder / name / f"part-{number:06d}.parquet"
        if table.num_rows and not part.exists():
            write_part(part, table)
    journal.unlink()
    sync_folder(folder)


def tables_in(journal: Path, names: Collection[str]) -> dict[str, pa.Table]:
    """Return a journal's rows of some tables. Raises EvoError when it is damaged."""
    written = journal.read_bytes()
    try:
        return _parsed(written[: written.rfind(b"\n") + 1], names)
    except pa.ArrowInvalid:  # Python takes 1.0 for a whole number, and says which line is damaged
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        for transaction in read_journal(journal):
            for table, added in transaction.items():
                rows[table] += added
        return {name: pa.Table.from_pylist(rows[name], schema=TABLES[name]) for name in names}


def _parsed(lines: bytes, names: Collection[str]) -> dict[str, pa.Table]:
    """Return whole transactions as tables, by Arrow's own reader: it lets other threads work, Python's would not."""
    if not lines:
        return {}
    found = pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines)),
        parse_options=pa_json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="error"),
    )
    rows = {name: found[name].combine_chunks().flatten() for name in names}
    return {name: pa.table(rows[name].flatten(), TABLES[name].names).cast(TABLES[name]) for name in names}


def _plain(column: pa.Field) -> pa.Field:
    kind = column.type
    return column.with_type(
        pa.string() if pa.types.is_dictionary(kind) else pa.int64() if pa.types.is_timestamp(kind) else kind
    )


_LINE = pa.schema([(name, pa.list_(pa.struct(list(map(_plain, schema))))) for name, schema in TABLES.items()])
"""A transaction as JSON has it: lists of rows by table, times as whole microseconds."""


def read_table(folder: Path, table: str, columns: Sequence[str] | None = None, *, only: Only | None = None) -> pa.Table:
    """Return a table's rows in the order they were written, of a finished or a running run.

    Args:
        folder: The run's folder.
        table: The table's name.
        columns: Columns to read; all where None.
        only: A column among them and the values wanted in it: other rows are dropped part by part, so that a few
            rows of a long run take little memory.

    Raises:
        KeyError: there is no such table.
        EvoError: a file is damaged.
    """
    pieces = list(read_pieces(folder, table, columns, only=only))
    return pa.concat_tables(pieces).unify_dictionaries() if pieces else _schema_of(table, columns).empty_table()


def read_pieces(
    folder: Path, table: str, columns: Sequence[str] | None = None, *, only: Only | None = None
) -> Iterator[pa.Table]:
    """Yield a table's rows as `read_table` does, part by part: one part is in memory at a time."""
    for pieces in read_together(folder, {table: columns}, only=only):
        if pieces[table].num_rows:
            yield pieces[table]


def read_together(
    folder: Path, tables: Mapping[str, Sequence[str] | None], *, only: Only | None = None
) -> Iterator[dict[str, pa.Table]]:
    """Yield several tables part by part: rows of one transaction come together.

    ``tables`` names the columns wanted of each, None for all; ``only`` is as in `read_table`, for every table. What is
    written after the first part is read is left out.
    """
    schemas = {table: _schema_of(table, columns) for table, columns in tables.items()}
    tails = _tails(folder, tables)  # before the parts: what is sealed meanwhile is read once, from its journal
    latest = max(tails, default=None)
    parts = {table: parts_of(folder / table) for table in tables}
    for first, last in spans_of((part for some in parts.values() for part in some), tails):
        if latest is not None and first > latest:
            return  # of what was begun meanwhile not every table may be there
        span = first, last if latest is None else min(last, latest)
        mine = {number: tail for number, tail in tails.items() if span[0] <= number <= span[1]}
        found: dict[str, pa.Table] = {}
        for name, schema in schemas.items():
            pieces = _sealed(folder / name, parts[name], span, schema, only)
            pieces += _unsealed(parts[name], {n: tail[name] for n, tail in mine.items() if name in tail}, schema, only)
            found[name] = pieces[0] if len(pieces) == 1 else pa.concat_tables([schema.empty_table(), *pieces])
        yield found


def _sealed(
    table: Path, parts: list[Part], span: tuple[int, int], schema: pa.Schema, only: Only | None
) -> list[pa.Table]:
    """Return a table's rows of some numbers that are in parts; ``parts`` is brought up to date where they are gone."""
    while True:
        try:
            within = [part for part in parts if part.first <= span[1] and span[0] <= part.last]
            return [read_span(part, *span, schema, only) for part in within]
        except FileNotFoundError as error:
            before, parts[:] = list(parts), parts_of(table)  # compacted while we read: the rows are in another part now
            if parts == before:
                raise EvoError(f"{table} cannot be read: {error}; put back the file the run wrote") from error


def _unsealed(
    parts: Sequence[Part], tails: Mapping[int, pa.Table], schema: pa.Schema, only: Only | None
) -> Iterator[pa.Table]:
    """Yield a table's rows from journals that no part holds."""
    for number, tail in tails.items():
        if not any(part.first <= number <= part.last for part in parts):
            tail = tail.select(schema.names)
            yield tail if only is None else tail.filter(pc.is_in(tail[only[0]], only[1]))


def _schema_of(table: str, columns: Sequence[str] | None) -> pa.Schema:
    schema = TABLES[table]
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _tails(folder: Path, tables: Collection[str]) -> dict[int, dict[str, pa.Table]]:
    """Return some tables' rows that are in journals, by the journal's number."""
    while True:
        try:
            return {numbers_of(journal)[0]: tables_in(journal, tables) for journal in open_journals(folder)}
        except FileNotFoundError:
            continue  # a journal was sealed while we read: its part is there now


def stamp(folder: Path) -> Hashable:
    """Return what differs as soon as births are added to the log; takes no reading."""
    parts = tuple((part.first, part.last) for part in parts_of(folder / "individuals"))
    try:
        return parts, tuple((journal.name, journal.stat().st_size) for journal in open_journals(folder))
    except FileNotFoundError:
        return stamp(folder)  # sealed between the two looks
