"""The front of a run: prompts that no other of the run beats in quality and, say, length at once.

Whoever lives and has a score takes part, however little evidence there is: quality is the lower end of the interval of
the dev score, so that few rows count for little by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.errors import ConfigError
from evo.journal import read_pieces
from evo.objectives import (
    COST,
    LATENCY,
    OBJECTIVES,
    QUALITY,
    TOKENS,
    checked_objectives,
    knee,
    nondominated,
    prompt_tokens,
)
from evo.replay import individuals_now, texts_of
from evo.statistics import sure_fitnesses
from evo.verdict import ranking

Floats = npt.NDArray[np.float64]

DEFAULT = (QUALITY, TOKENS)
FRONT = pa.schema(
    [
        ("individual", pa.int64()),
        ("dev", pa.float64()),
        ("dev_rows", pa.int32()),
        ("prompt_tokens", pa.int64()),
        ("row_tokens", pa.float64()),
        ("row_cost_usd", pa.float64()),
        ("row_latency_s", pa.float64()),
        ("knee", pa.bool_()),
        ("text", pa.large_string()),
    ]
)


def front(folder: Path, objectives: Sequence[str] = DEFAULT) -> pa.Table:
    """Return a row for each prompt of the front; see `evo.run.Run.front`. Raises ConfigError for wrong objectives."""
    objectives = sorted(checked_objectives(objectives, "a front"), key=OBJECTIVES.index)  # quality first
    candidates = ranking(folder, enough=0.0)
    if not candidates:
        return FRONT.empty_table()
    table = _measured(folder, candidates)
    columns = {
        QUALITY: sure_fitnesses(table["dev"].to_numpy(), table["dev_rows"].to_numpy()),
        TOKENS: -table["prompt_tokens"].to_numpy(),
        COST: -table["row_cost_usd"].to_numpy(zero_copy_only=False),
        LATENCY: -table["row_latency_s"].to_numpy(zero_copy_only=False),
    }
    values = np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in objectives])
    if np.isnan(values).any():
        raise ConfigError("a front by cost needs what every scored row cost, and one is unknown; set model.price")
    places = nondominated(values)
    bend = knee(values[places])
    found = table.take(pa.array(places))
    return found.append_column("knee", pa.array([n == bend for n in range(len(places))])).select(FRONT.names)


def _measured(folder: Path, candidates: Sequence[int]) -> pa.Table:
    """Return the candidates, in their order, with what they are and what a row takes under them."""
    numbers = pa.array(candidates, pa.int64())
    table = individuals_now(folder, ["id", "prompt", "fitness", "n_scored"], only=("id", numbers))
    table = table.take(pc.index_in(numbers, value_set=table["id"].combine_chunks()))
    prompts = texts_of(folder, table["prompt"].combine_chunks())
    shown = [prompts[key] for key in table["prompt"].to_pylist()]
    rows = _row_means(folder, numbers)
    return pa.table(
        {
            "individual": numbers,
            "dev": table["fitness"],
            "dev_rows": table["n_scored"],
            "prompt_tokens": pa.array([prompt_tokens(prompt) for prompt in shown], pa.int64()),
            **{name: pa.array(values, from_pandas=True) for name, values in rows.items()},
            "text": pa.array([prompt.text for prompt in shown], pa.large_string()),
        }
    )


def _row_means(folder: Path, numbers: pa.Array) -> dict[str, Floats]:
    """Return what a dev row with a score took on average under each individual; NaN where a price is unknown."""
    columns = ("tokens", "cost_usd", "latency_s")
    counts, sums = np.zeros(len(numbers)), {name: np.zeros(len(numbers)) for name in columns}
    names = ["individual", "split", "score", *columns]
    for piece in read_pieces(folder, "evaluations", names, only=("individual", numbers)):
        scored_dev = pc.and_(pc.equal(piece["split"].cast(pa.string()), "dev"), pc.is_valid(piece["score"]))
        piece = piece.filter(scored_dev)  # a call that failed is neither free nor fast
        place = pc.index_in(piece["individual"], value_set=numbers).to_numpy()
        counts += np.bincount(place, minlength=len(numbers))
        for name in columns:
            amounts = piece[name].cast(pa.float64()).to_numpy()
            sums[name] += np.bincount(place, amounts, minlength=len(numbers))
    return {f"row_{name}": total / np.maximum(1, counts) for name, total in sums.items()}
