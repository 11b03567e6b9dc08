"""Frozen data back from the log: individuals as they were, and each island's history in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces, read_table
from evo.model import NO_PROMPT, Completion, Evaluation, Individual, Outcome, Prompt

Rows = Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True)
class History:
    """What an island did, in order: (kind, individual number) pairs, and the individuals it was told of."""

    steps: tuple[tuple[str, int], ...] = ()
    individuals: tuple[Individual, ...] = ()


def history_of(folder: Path, island: int) -> History:
    """Return an island's history; empty when it has not begun."""
    events = read_table(folder, "events", ["island", "kind", "individual"])
    events = events.filter(pc.equal(events["island"], island))
    steps = [(row["kind"], row["individual"]) for row in events.to_pylist() if row["kind"] in ("asked", "told")]
    return History(tuple(steps), tuple(read_individuals(folder, island=island)))


def read_individuals(
    folder: Path, *, island: int | None = None, numbers: Sequence[int] | None = None, split: str = "dev"
) -> Iterator[Individual]:
    """Yield individuals with their prompts, parents and evidence, in the order they were written."""
    known = None if numbers is None else pa.array([n for n in numbers if 0 <= n < 2**63], pa.int64())
    table = read_table(folder, "individuals", only=None if known is None else ("id", known))
    if island is not None:
        table = table.filter(pc.equal(table["island"], island))
    wanted = table["id"].combine_chunks()
    texts = _texts(folder, table["prompt"].combine_chunks())
    parents, outcomes = _parents(folder, wanted), _outcomes(folder, wanted, split)
    for row in table.to_pylist():
        yield Individual(
            number=row["id"],
            prompt=texts[row["prompt"]] if row["prompt"] != NO_PROMPT.hash else NO_PROMPT,
            operator=row["operator"],
            parents=tuple(parents.get(row["id"], ())),
            generation=row["generation"],
            evaluation=Evaluation.of(outcomes.get(row["id"], ())),
            status=row["status"],
            note=row["note"],
        )


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


def _outcomes(folder: Path, wanted: pa.Array, split: str) -> dict[int, list[Outcome]]:
    found: dict[int, list[Outcome]] = {}
    for piece in read_pieces(folder, "evaluations", only=("individual", wanted)):
        for row in piece.to_pylist():
            if row["split"] == split:
                found.setdefault(row["individual"], []).append(outcome_of(row))
    return found
