"""Frozen data back from the log: individuals as they were, and each island's history in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces, read_table
from evo.model import NO_PROMPT, Completion, Evaluation, Individual, Outcome, Prompt, island_of
from evo.schema import EVIDENCE

SPLITS = ("dev", "train")


@dataclass(frozen=True, slots=True)
class Found:
    """What one request for evidence found: outcomes on dev and on train rows."""

    dev: Evaluation
    train: Evaluation


@dataclass(frozen=True, slots=True)
class History:
    """What an island did, in order: (kind, number) pairs, the individuals as they were born, and later evidence.

    A number is that of a birth, or of a request for evidence; ``gathered`` holds what the latter found.
    """

    steps: tuple[tuple[str, int], ...] = ()
    individuals: tuple[Individual, ...] = ()
    gathered: Mapping[int, Found] = field(default_factory=dict)


def history_of(folder: Path, island: int) -> History:
    """Return an island's history; empty when it has not begun."""
    events = read_table(folder, "events", ["island", "kind", "individual"])
    events = events.filter(pc.equal(events["island"], island))
    steps = [(row["kind"], row["individual"]) for row in events.to_pylist() if row["kind"] in ("asked", "told")]
    told = read_table(folder, "measurements", ["step"])["step"].to_pylist()
    mine = [number for number in told if island_of(number) == island]
    outcomes = _outcomes(folder, "step", pa.array(mine, pa.int64())) if mine else {}
    gathered = {number: _found(seen) for number, seen in outcomes.items()}
    nothing = Found(Evaluation(), Evaluation())
    return History(
        tuple(steps),
        tuple(read_individuals(folder, island=island, at_birth=True)),
        {number: gathered.get(number, nothing) for number in mine},
    )


def read_individuals(
    folder: Path, *, island: int | None = None, numbers: Sequence[int] | None = None, at_birth: bool = False
) -> Iterator[Individual]:
    """Yield individuals with their prompts, parents and evidence, in the order they were written.

    ``at_birth`` leaves out the evidence that was gathered later.
    """
    known = None if numbers is None else pa.array([n for n in numbers if 0 <= n < 2**63], pa.int64())
    table = read_table(folder, "individuals", only=None if known is None else ("id", known))
    if island is not None:
        table = table.filter(pc.equal(table["island"], island))
    wanted = table["id"].combine_chunks()
    texts = _texts(folder, table["prompt"].combine_chunks())
    parents, outcomes = _parents(folder, wanted), _outcomes(folder, "individual", wanted)
    for row in table.to_pylist():
        seen = outcomes.get(row["id"], [])
        found = _found([one for one in seen if one.step == row["id"]] if at_birth else seen)
        yield Individual(
            number=row["id"],
            prompt=texts[row["prompt"]] if row["prompt"] != NO_PROMPT.hash else NO_PROMPT,
            operator=row["operator"],
            parents=tuple(parents.get(row["id"], ())),
            generation=row["generation"],
            evaluation=found.dev,
            status=row["status"],
            note=row["note"],
            practice=found.train,
        )


def individuals_now(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table of individuals with their evidence as it is known now, not as it was at their birth."""
    table = read_table(folder, "individuals", columns)
    updates = read_table(folder, "measurements", ["individual", *EVIDENCE])
    if not updates.num_rows:
        return table
    latest = {number: place for place, number in enumerate(updates["individual"].to_pylist())}
    places = pa.array([latest.get(number) for number in table["id"].to_pylist()], pa.int64())
    known = pc.is_valid(places)
    for name in set(EVIDENCE).intersection(table.column_names):
        merged = pc.if_else(known, updates[name].take(places), table[name])
        table = table.set_column(table.column_names.index(name), table.schema.field(name), merged)
    return table


def _found(seen: Sequence[_Seen]) -> Found:
    by_split = {split: Evaluation.of(one.outcome for one in seen if one.split == split) for split in SPLITS}
    return Found(by_split["dev"], by_split["train"])


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """Return an outcome from its row in ``evaluations``."""
    return Outcome(
        example=row["example"],
        score=row["score"],
        answer=row["answer"],
        reason=row["reason"],
        parsed=row["parsed"],
        error=row["error"],
        tokens=row["tokens"],
        cost_usd=row["cost_usd"],
        latency_s=row["latency_s"],
        call=row["call"],
        reply=row["reply"],
    )


def completion_of(row: Mapping[str, Any]) -> Completion:
    """Return a model's answer from its row in ``calls``."""
    return Completion(
        text=row["text"],
        prompt_tokens=row["prompt_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
        latency_s=row["latency_s"],
        logprobs=tuple(row["logprobs"]),
        lengths=tuple(row["lengths"]),
    )


def _texts(folder: Path, hashes: pa.Array) -> dict[str, Prompt]:
    table = read_table(folder, "prompts", ["hash", "parts"], only=("hash", hashes))
    return {
        row["hash"]: Prompt(tuple((name, text) for name, text in json.loads(row["parts"]))) for row in table.to_pylist()
    }


def _parents(folder: Path, wanted: pa.Array) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    for row in read_table(folder, "edges", ["child", "parent", "role"], only=("child", wanted)).to_pylist():
        found.setdefault(row["child"], []).append((row["parent"], row["role"]))
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """An outcome, the step that asked for it, and the split its row is in."""

    step: int
    split: str
    outcome: Outcome


def _outcomes(folder: Path, key: str, wanted: pa.Array) -> dict[int, list[_Seen]]:
    found: dict[int, list[_Seen]] = {}
    for piece in read_pieces(folder, "evaluations", only=(key, wanted)):
        for row in piece.filter(pc.is_in(piece["split"].cast(pa.string()), pa.array(SPLITS))).to_pylist():
            found.setdefault(row[key], []).append(_Seen(row["step"], row["split"], outcome_of(row)))
    return found
