"""What reading the operators of a long run costs: a made-up log in parts as a run seals them, then `Run.operators`.

    python benchmarks/operator_ledger.py --births 100000 --rows 20

Prints CPU seconds, peak memory and the table. Scores are drawn; a child of operator ``op-k``
is by k - 3.5 points better than its parent, within bounds.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import evo
from evo.folder import RunFolder
from evo.journal import SEAL_ROWS
from evo.schema import TABLES
from evo.settings import RunSettings

SEEDS, OPERATORS, PARENTS = 10, 8, 200
"""Seed prompts; operators; how many births back parents are drawn from."""


def main() -> None:
    """Write, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--births", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=20, help="scored rows of a birth, a model call each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as storage:
        settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": storage})
        path = RunFolder.create(settings, base=Path(), title="made up", fingerprint="none").path
        write_run(path, options.births, options.rows, np.random.default_rng(0))
        run, before, cpu = evo.open_run(path), _peak_mb(), time.process_time()
        table = run.operators()
        cpu = time.process_time() - cpu
    print(f"{options.births} births, {options.births * options.rows} scores: {cpu:.1f} s CPU")
    print(f"peak memory {_peak_mb():.0f} MB, {before:.0f} MB before")
    print(table.to_pandas().to_string(float_format="%.4f"))


def write_run(path: Path, births: int, rows: int, rng: np.random.Generator) -> None:
    """Write a run of so many births, each with a parent, an operator call and ``rows`` scored rows."""
    quality = np.full(births, 0.5)
    each = max(1, SEAL_ROWS // (3 + 2 * rows))
    for part, start in enumerate(range(0, births, each)):
        numbers = np.arange(start, min(births, start + each))
        parents = np.maximum(0, numbers - rng.integers(1, PARENTS, len(numbers)))
        made_by = np.where(numbers < SEEDS, -1, rng.integers(0, OPERATORS, len(numbers)))
        for place, number in enumerate(numbers):
            if number >= SEEDS:
                quality[number] = np.clip(quality[parents[place]] + made_by[place] / 100 - 0.035, 0.2, 0.8)
        scores = rng.random((len(numbers), rows)) < quality[numbers, None]
        for name, columns in _tables(numbers, parents, made_by, scores.ravel().astype(float)).items():
            _write(path / name / f"part-{part:06d}.parquet", name, columns)


def _tables(numbers: np.ndarray, parents: np.ndarray, made_by: np.ndarray, scores: np.ndarray) -> dict[str, dict]:
    rows = len(scores) // len(numbers)
    whose, born = np.repeat(numbers, rows), numbers >= SEEDS
    keys = [f"{number:016x}{row:016x}" for number in numbers for row in range(rows)]
    names = ["seed" if code < 0 else f"op-{code}" for code in made_by]
    task = {"key": keys, "purpose": ["task"] * len(keys), "individual": whose, "recalled": [False] * len(keys)}
    own = {name: [name] * len(numbers) for name in ("key", "purpose")} | {"individual": numbers}
    own |= {"purpose": ["operator"] * len(numbers), "recalled": [False] * len(numbers)}
    return {
        "individuals": {
            "id": numbers,
            "operator": names,
            "prompt": [f"{number:032x}" for number in numbers],
            "status": ["ok"] * len(numbers),
        },
        "edges": {
            "child": numbers[born],
            "parent": parents[born],
            "role": ["base"] * int(born.sum()),
            "place": np.zeros(int(born.sum()), np.int8),
        },
        "evaluations": {
            "individual": whose,
            "example": np.tile(np.arange(rows), len(numbers)),
            "split": ["dev"] * len(keys),
            "score": scores,
            "call": keys,
        },
        "calls": {name: np.concatenate([own[name], task[name]]) for name in own}
        | {name: np.ones(len(keys) + len(numbers), np.int32) for name in ("attempts", "prompt_tokens", "output_tokens")}
        | {"cost_usd": np.full(len(keys) + len(numbers), 1e-6)},
    }


def _write(file: Path, table: str, columns: dict) -> None:
    schema, rows = TABLES[table], len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    pq.write_table(pa.table(arrays, schema=schema), file, compression="zstd")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
