"""Many small parts of a log made into few large ones: the same rows in the same order, read several times faster.

Safe against `kill -9` at any moment, and our own readers may go on meanwhile: each table's new part is written whole,
then stands in for the old ones by its name (`evo.parts`), then these are removed. A program that reads the files by
itself sees rows twice between the last two; compacting again finishes what was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evo.folder import RunFolder
from evo.journal import open_journals, seal
from evo.parts import covered_parts, parts_of, size_of, spans_of, sync_folder, write_compacted
from evo.schema import TABLES

PART_BYTES = 128 * 2**20
"""Most bytes, before compression, of all tables' rows that share a range: they are in memory at once when resuming."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """How many parts there were, and how many there are."""

    before: int
    after: int


def compact(folder: Path, *, part_bytes: int = PART_BYTES) -> Compacted:
    """Compact a run's log. Takes about a second for each 100 MB of parts.

    Raises EvoError while another process writes the run, or when a file is damaged; nothing is lost then.
    """
    held = RunFolder.open(folder).hold()
    try:
        for left in open_journals(folder):
            seal(folder, left)
        before = sum(len(list((folder / name).glob("part-*"))) for name in TABLES)
        for name in TABLES:
            _clear(folder / name)
        for first, last in _ranges(folder, part_bytes):
            for name in TABLES:
                _merge(folder / name, first, last)
        return Compacted(before, sum(len(parts_of(folder / name)) for name in TABLES))
    finally:
        held.release()


def _merge(table: Path, first: int, last: int) -> None:
    parts = [part for part in parts_of(table) if first <= part.first and part.last <= last]
    if len(parts) > 1:
        write_compacted(parts, first, last, TABLES[table.name])
        _clear(table)


def _ranges(folder: Path, most: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers to bring together, the same for all tables: so what was written together is read together."""
    parts = [part for name in TABLES for part in parts_of(folder / name)]
    start, taken, end = 0, 0, -1
    for first, last in spans_of(parts):
        size = sum(size_of(part) for part in parts if first <= part.first <= last)
        if taken and taken + size > most:
            yield start, end
            taken = 0
        start, taken, end = (start if taken else first), taken + size, last
    if taken:
        yield start, end


def _clear(table: Path) -> None:
    """Remove parts that another stands in for, and drafts that were never finished."""
    gone = [part.path for part in covered_parts(table)] + list(table.glob(".part-*.tmp"))
    for path in gone:
        path.unlink()
    if gone:
        sync_folder(table)
