"""Who used a budget: the models under test, those that write prompts, and those that judge."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.budget import Usage
from evo.journal import read_pieces

_COLUMNS = ["purpose", "attempts", "prompt_tokens", "output_tokens", "lost_tokens", "cost_usd", "lost_usd", "recalled"]


def spending(folder: Path) -> dict[str, Usage]:
    """Return what was used by purpose (``task``, ``operator``, ``judge`` ...), every attempt counted.

    ``usd`` is None where what a call cost is unknown. Recalled answers are calls and tokens of the budget, and cost
    nothing.
    """
    found: dict[str, Usage] = {}
    for piece in read_pieces(folder, "calls", _COLUMNS):
        for purpose in pc.unique(piece["purpose"]).to_pylist():
            own = piece.filter(pc.equal(piece["purpose"], purpose))
            found[purpose] = found.get(purpose, Usage()) + _used(own)
    return found


def _used(calls: pa.Table) -> Usage:
    paid = calls.filter(pc.and_not(pc.is_valid(calls["prompt_tokens"]), calls["recalled"]))
    # To numpy: an unknown cost becomes NaN, which a sum keeps.
    usd = float(np.sum(paid["cost_usd"].to_numpy()) + np.sum(calls["lost_usd"].to_numpy()))
    tokens = sum(pc.sum(calls[name]).as_py() or 0 for name in ("prompt_tokens", "output_tokens", "lost_tokens"))
    return Usage(pc.sum(calls["attempts"]).as_py() or 0, tokens, None if math.isnan(usd) else usd)
