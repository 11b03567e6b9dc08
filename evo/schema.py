"""The log's tables as Arrow schemas, and frozen data as their rows.

One row type, one place: what is written here is what `evo.replay` reads back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import pyarrow as pa

from evo.budget import Usage
from evo.model import INSTRUCTION, Evaluation, Individual, Outcome, Prompt, sequence_of
from evo.ports import Evidence
from evo.receipts import Receipt

SCHEMA_VERSION = 6

_NOTHING = Usage()
_WORD = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", tz="UTC")


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(columns), metadata={"prompt_archipelago.schema": str(SCHEMA_VERSION)})


_EVIDENCE: tuple[tuple[str, pa.DataType], ...] = (
    ("fitness", pa.float64()),
    ("n_scored", pa.int32()),
    ("n_missing", pa.int32()),
    ("n_unparsed", pa.int32()),
    ("tokens", pa.int64()),
    ("cost_usd", pa.float64()),
)
EVIDENCE = tuple(name for name, _ in _EVIDENCE)
"""Columns that say what is known of an individual: at birth in ``individuals``, later in ``measurements``."""

TABLES: dict[str, pa.Schema] = {
    "individuals": _schema(
        ("id", pa.int64()),
        ("island", pa.int32()),
        ("sequence", pa.int64()),
        ("generation", pa.int32()),
        ("operator", _WORD),
        ("prompt", pa.string()),
        *_EVIDENCE,
        ("status", _WORD),
        ("note", pa.string()),
        ("born_at", _TIME),
    ),
    "measurements": _schema(
        ("step", pa.int64()),
        ("individual", pa.int64()),
        *_EVIDENCE,
        ("measured_at", _TIME),
    ),
    "prompts": _schema(("hash", pa.string()), ("text", pa.large_string()), ("parts", pa.large_string())),
    "edges": _schema(("child", pa.int64()), ("parent", pa.int64()), ("role", _WORD), ("place", pa.int16())),
    "evaluations": _schema(
        ("individual", pa.int64()),
        ("step", pa.int64()),
        ("example", pa.int32()),
        ("split", _WORD),
        ("score", pa.float64()),
        ("answer", pa.string()),
        ("reason", pa.string()),
        ("parsed", pa.bool_()),
        ("error", pa.string()),
        ("tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("latency_s", pa.float64()),
        ("call", pa.string()),
        ("reply", pa.large_string()),
        ("spread", pa.float64()),
    ),
    "calls": _schema(
        ("key", pa.string()),
        ("model", _WORD),
        ("purpose", _WORD),
        ("individual", pa.int64()),
        ("started_at", _TIME),
        ("latency_s", pa.float64()),
        ("prompt_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("lost_tokens", pa.int32()),
        ("lost_usd", pa.float64()),
        ("attempts", pa.int32()),
        ("recalled", pa.bool_()),
        ("error", pa.string()),
        ("text", pa.large_string()),
        ("logprobs", pa.list_(pa.float64())),
        ("lengths", pa.list_(pa.int32())),
        ("embedding", pa.list_(pa.float64())),
    ),
    "migrations": _schema(
        ("from_island", pa.int32()),
        ("to_island", pa.int32()),
        ("individual", pa.int64()),
        ("copy", pa.int64()),
        ("accepted", pa.bool_()),
        ("reason", pa.string()),
        ("step", pa.int64()),
        ("received_at", _TIME),
    ),
    "events": _schema(
        ("island", pa.int32()),
        ("kind", _WORD),
        ("individual", pa.int64()),
        ("detail", pa.string()),
        ("attempt", pa.int32()),
        ("at", _TIME),
    ),
}

EXTINCT = "extinct"
"""The event of an island that has nobody left to breed from; its detail says why."""
LIVING = "living"
"""The event of an island that comes to rest: its detail is JSON, the numbers of its population."""
CLOCK = "clock"
"""The event whose detail says how many seconds an attempt at the run has taken so far."""
STARTED, RACE, TEST, STOPPED = "started", "race", "test", "stopped"
"""Events of the whole run: an attempt at it begins, its search is over, its final race is over, it ends."""
PROCESS = "process"
"""The event of a process that goes home, of a run with a profile; its detail is JSON, see `evo.processes`."""
LOST_WORKER, LOST_ISLAND = "worker_lost", "island_lost"
"""Events of processes that were lost; another was started in their place."""
ROOT_ISLAND = -1
"""The island of events that concern the whole run."""


def now_us() -> int:
    """Return the wall clock in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def individual_row(individual: Individual) -> dict[str, Any]:
    """Return an individual's row."""
    return {
        "id": individual.number,
        "island": individual.island,
        "sequence": sequence_of(individual.number),
        "generation": individual.generation,
        "operator": individual.operator,
        "prompt": individual.prompt.hash,
        **_evidence(individual.evaluation),
        "status": individual.status,
        "note": individual.note,
        "born_at": now_us(),
    }


def measurement_row(step: int, individual: Individual) -> dict[str, Any]:
    """Return the row of evidence gathered after birth: what is known of the individual from then on."""
    return {
        "step": step,
        "individual": individual.number,
        **_evidence(individual.evaluation),
        "measured_at": now_us(),
    }


def _evidence(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "fitness": evaluation.mean if evaluation.count else None,
        "n_scored": evaluation.count,
        "n_missing": len(evaluation.missing),
        "n_unparsed": evaluation.unparsed,
        "tokens": evaluation.tokens,
        "cost_usd": evaluation.cost_usd,
    }


def prompt_row(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt's row."""
    return {"hash": prompt.hash, "text": prompt.text, "parts": json.dumps(prompt.parts)}


def edge_rows(individual: Individual) -> list[dict[str, Any]]:
    """Return a row for each parent, with its role and place."""
    return [
        {"child": individual.number, "parent": parent, "role": role, "place": place}
        for place, (parent, role) in enumerate(individual.parents)
    ]


FINAL_STEP = -1
"""The step of what is found in the final race: of no island, and no part of an island's past."""


def evaluation_rows(
    number: int, outcomes: Iterable[Outcome], split: str, step: int | None = None
) -> list[dict[str, Any]]:
    """Return a row for each outcome; ``step`` is what asked for them: a birth's own number, or that of evidence."""
    return [
        {
            "individual": number,
            "step": number if step is None else step,
            "example": o.example,
            "split": split,
            "score": o.score,
            "answer": o.answer,
            "reason": o.reason,
            "parsed": o.parsed,
            "error": o.error,
            "tokens": o.tokens,
            "cost_usd": o.cost_usd,
            "latency_s": o.latency_s,
            "call": o.call,
            "reply": o.reply,
            "spread": o.spread,
        }
        for o in outcomes
    ]


def call_row(receipt: Receipt, lost: Usage = _NOTHING, *, recalled: bool = False) -> dict[str, Any]:
    """Return a model call's row; ``recalled``: answered from an earlier run's log, not sent.

    ``lost`` is what its failed attempts took, without which the others are the answer's own.
    """
    answer = receipt.completion
    return {
        "key": receipt.key,
        "model": receipt.model,
        "purpose": receipt.purpose,
        "individual": receipt.individual,
        "started_at": int(receipt.started_at * 1e6),
        "latency_s": answer.latency_s if answer else None,
        "prompt_tokens": answer.prompt_tokens if answer else None,
        "output_tokens": answer.output_tokens if answer else None,
        "cost_usd": answer.cost_usd if answer else None,
        "lost_tokens": lost.tokens,
        "lost_usd": lost.usd,
        "attempts": receipt.attempts,
        "recalled": recalled,
        "error": receipt.error,
        "text": answer.text if answer else None,
        "logprobs": list(answer.logprobs) if answer else [],
        "lengths": list(answer.lengths) if answer else [],
        "embedding": list(answer.embedding) if answer else [],
    }


def event_row(island: int, kind: str, individual: int | None = None, detail: str = "") -> dict[str, Any]:
    """Return an event's row; the journal adds which attempt at the run it belongs to."""
    return {"island": island, "kind": kind, "individual": individual, "detail": detail, "at": now_us()}


def describe(operator: Any, part: str = INSTRUCTION) -> str:
    """Return an operator's arguments as JSON, and the part it works on where that is not the instruction.

    Fields left out of its ``repr`` (data rows, say) are not recorded.
    """
    where = {} if part == INSTRUCTION else {"part": part}
    return json.dumps({**where, **_arguments(operator)}, default=str, ensure_ascii=False)


def _arguments(operator: Any) -> dict[str, Any]:
    """Return the arguments of an operator, and of operators among them."""
    if not is_dataclass(operator):
        return {}
    found = {f.name: getattr(operator, f.name) for f in fields(operator) if f.repr}
    return {name: _arguments(value) if is_dataclass(value) else value for name, value in found.items()}


def describe_evidence(evidence: Evidence) -> str:
    """Return as JSON who is given more evidence, and on which examples."""
    return json.dumps({"individual": evidence.individual.number, "examples": evidence.examples})
