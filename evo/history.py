"""What an island did, in order, read from the log part by part: a long run takes no more memory than a short one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_table, read_together
from evo.model import MIGRATION, Individual, Prompt
from evo.replay import Found, Seen, found_in, gather, individual_of, parents_in, texts_in, texts_of
from evo.schema import TABLES

ASKED, TOLD, MET = "asked", "told", "met"
Past = tuple[str, int, Individual | Found | None]
"""``asked``, a step's number, None; or ``told``, its number, and the individual as it was born, or evidence found.

In lockstep also ``met``, how many births had been told when migrants had come, None."""
_COLUMNS: dict[str, list[str]] = {
    "events": ["island", "kind", "individual"],
    "individuals": TABLES["individuals"].names,
    "measurements": ["step"],
    "prompts": ["hash", "parts"],
    "edges": ["child", "parent", "role"],
    "evaluations": TABLES["evaluations"].names,
}


def history_of(folder: Path, island: int) -> Iterator[Past]:
    """Yield what an island did; nothing when it has not begun. Raises EvoError when a file is damaged."""
    return (past for _, past in histories_of(folder, [island]))


def histories_of(folder: Path, islands: Collection[int]) -> Iterator[tuple[int, Past]]:
    """Yield each island with what it did, each one's in order, in one reading of the log. Raises EvoError likewise."""
    wanted = pa.array(sorted(islands), pa.int32())
    foreign = _texts_of_migrants(folder, wanted)
    for pieces in read_together(folder, _COLUMNS):
        events = pieces["events"]
        kind = events["kind"].cast(pa.string())
        step = pc.is_in(kind, pa.array([ASKED, TOLD, MET]))
        steps = events.filter(pc.and_(pc.is_in(events["island"], wanted), step)).to_pylist()
        told = _told(pieces, [row["individual"] for row in steps if row["kind"] == TOLD], foreign)
        for row in steps:
            number = row["individual"]
            yield row["island"], (row["kind"], number, told[number] if row["kind"] == TOLD else None)


def _told(
    pieces: Mapping[str, pa.Table], numbers: list[int], foreign: Mapping[str, Prompt]
) -> dict[int, Individual | Found]:
    """Return what steps led to: all of it was written in the transaction that says that they were told."""
    wanted = pa.array(numbers, pa.int64())
    born = _only(pieces["individuals"], "id", wanted)
    texts = {**foreign, **texts_in(_only(pieces["prompts"], "hash", born["prompt"].combine_chunks()))}
    parents = parents_in(_only(pieces["edges"], "child", wanted))
    seen: dict[int, list[Seen]] = {}
    gather(seen, _only(pieces["evaluations"], "step", wanted), "step")
    found: dict[int, Individual | Found] = {
        number: found_in(seen.get(number, ()))
        for number in _only(pieces["measurements"], "step", wanted)["step"].to_pylist()
    }
    for row in born.to_pylist():
        found[row["id"]] = individual_of(row, texts, parents, found_in(seen.get(row["id"], ())))
    return found


def _texts_of_migrants(folder: Path, islands: pa.Array) -> dict[str, Prompt]:
    """Return the prompts of some islands' migrants, which were written long before, where they were born."""
    born = read_table(folder, "individuals", ["island", "operator", "prompt"])
    migrated = pc.and_(pc.is_in(born["island"], islands), pc.equal(born["operator"], MIGRATION))
    return texts_of(folder, born.filter(migrated)["prompt"].combine_chunks())


def _only(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table[column], values))
