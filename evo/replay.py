"""Frozen data back from the log: individuals with what is known of them, answers of models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces, read_table
from evo.model import NO_PROMPT, Completion, Evaluation, Individual, Outcome, Prompt
from evo.schema import EVIDENCE

SPLITS = ("dev", "train")
Seen = tuple[str, Outcome]
"""An outcome, and the split its row is in."""


@dataclass(frozen=True, slots=True)
class Found:
    """Evidence: outcomes on dev and on train rows."""

    dev: Evaluation
    train: Evaluation


def read_individuals(
    folder: Path, *, island: int | None = None, numbers: Sequence[int] | None = None
) -> Iterator[Individual]:
    """Yield individuals with their prompts, parents and all their evidence, in the order they were written."""
    known = None if numbers is None else pa.array([n for n in numbers if 0 <= n < 2**63], pa.int64())
    table = read_table(folder, "individuals", only=None if known is None else ("id", known))
    if island is not None:
        table = table.filter(pc.equal(table["island"], island))
    wanted = table["id"].combine_chunks()
    texts = texts_of(folder, table["prompt"].combine_chunks())
    parents = parents_in(read_table(folder, "edges", ["child", "parent", "role"], only=("child", wanted)))
    seen: dict[int, list[Seen]] = {}
    for piece in read_pieces(folder, "evaluations", only=("individual", wanted)):
        gather(seen, piece, "individual")
    for row in table.to_pylist():
        found = found_in(seen.get(row["id"], ()))
        yield individual_of(row, texts, parents, found)


def individual_of(
    row: Mapping[str, Any], texts: Mapping[str, Prompt], parents: Mapping[int, Sequence[tuple[int, str]]], found: Found
) -> Individual:
    """Return an individual from its row in ``individuals`` and what belongs to it."""
    return Individual(
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


def individuals_now(
    folder: Path, columns: Sequence[str] | None = None, *, only: tuple[str, pa.Array] | None = None
) -> pa.Table:
    """Return the table of individuals with their evidence as it is known now, not as it was at their birth.

    ``columns`` must hold ``id``; ``only`` is as in `read_table`.
    """
    table = read_table(folder, "individuals", columns, only=only)
    updates = read_table(folder, "measurements", ["individual", *EVIDENCE])
    if not updates.num_rows:
        return table
    backwards = updates["individual"].to_numpy()[::-1]
    individuals, latest = np.unique(backwards, return_index=True)  # the first from the end counts
    found = pc.index_in(table["id"], value_set=pa.array(individuals))
    places = pa.array(len(backwards) - 1 - latest).take(found)
    known = pc.is_valid(places)
    for name in sorted(set(EVIDENCE).intersection(table.column_names)):
        merged = pc.if_else(known, updates[name].take(places), table[name])
        table = table.set_column(table.column_names.index(name), table.schema.field(name), merged)
    return table


def found_in(seen: Iterable[Seen]) -> Found:
    """Return outcomes as evidence."""
    seen = list(seen)
    dev, train = (Evaluation.of(outcome for split, outcome in seen if split == wanted) for wanted in SPLITS)
    return Found(dev, train)


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
        spread=row["spread"],
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
        embedding=tuple(row["embedding"]),
    )


def texts_of(folder: Path, hashes: pa.Array) -> dict[str, Prompt]:
    """Return prompts by their hash."""
    return texts_in(read_table(folder, "prompts", ["hash", "parts"], only=("hash", hashes)))


def texts_in(prompts: pa.Table) -> dict[str, Prompt]:
    """Return the prompts of rows of ``prompts`` by their hash."""
    return {
        row["hash"]: Prompt(tuple((name, text) for name, text in json.loads(row["parts"])))
        for row in prompts.to_pylist()
    }


def parents_in(edges: pa.Table) -> dict[int, list[tuple[int, str]]]:
    """Return the parents in rows of ``edges`` by child."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row in edges.to_pylist():
        found.setdefault(row["child"], []).append((row["parent"], row["role"]))
    return found


def gather(seen: dict[int, list[Seen]], evaluations: pa.Table, key: str) -> None:
    """Add the dev and train outcomes of rows of ``evaluations`` to those seen, by one of their columns."""
    for row in evaluations.filter(pc.is_in(evaluations["split"].cast(pa.string()), pa.array(SPLITS))).to_pylist():
        seen.setdefault(row[key], []).append((row["split"], outcome_of(row)))
