"""How a run went: fitness by island over births and calls, what prompts cost and are worth, what failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces
from evo.model import FAILED, MIGRATION
from evo.progress import calls_until
from evo.view.shorten import shortened
from evo.view.snapshot import Snapshot

MEDIAN_OF = 20
"""Scored births of an island whose median is drawn."""
POINTS = 240
"""Most points of one line."""
DOTS = 2_000
"""Most prompts drawn in a picture of cost and quality, its front among them."""
KINDS = 12
"""Most kinds of failure named."""


def course(snapshot: Snapshot) -> dict[str, Any]:
    """Return best and median dev fitness of each island: points of (births, calls, best, median), and arrivals."""
    calls = calls_until(snapshot.folder, snapshot.births["born_at"])
    islands = snapshot.births["island"].to_numpy()
    migrants = np.array(snapshot.births["operator"].to_pylist()) == MIGRATION
    lines = [_line(snapshot, island, np.flatnonzero(islands == island), calls, migrants) for island in snapshot.islands]
    return {"islands": lines, "calls": int(calls[-1]) if len(calls) else 0, "median_of": MEDIAN_OF}


def quality(snapshot: Snapshot) -> dict[str, Any]:
    """Return tokens a dev row and dev fitness of prompts with enough evidence, and those nobody beats in both.

    Each point: tokens for prompt and reply of one dev row, fitness, number. Cheapest first along the front.
    """
    places = np.flatnonzero(snapshot.ranked)
    rows = snapshot.births["n_scored"].to_numpy()[places]
    cost, fitness = snapshot.births["tokens"].to_numpy()[places] / rows, snapshot.fitness[places]
    order = np.lexsort((-fitness, cost))
    places, cost, fitness = places[order], cost[order], fitness[order]
    front = fitness > np.concatenate([[-1.0], np.maximum.accumulate(fitness)[:-1]])
    shown = np.union1d(np.linspace(0, len(places) - 1, DOTS).astype(np.int64), np.flatnonzero(front))
    shown = shown if len(places) > DOTS else np.arange(len(places))
    numbers = snapshot.numbers[places].tolist()
    points = list(zip(cost.round(1).tolist(), fitness.tolist(), numbers, strict=True))
    return {
        "total": len(points),
        "points": [points[place] for place in shown],
        "front": [points[place] for place in np.flatnonzero(front)],
    }


def failures(snapshot: Snapshot) -> dict[str, Any]:
    """Return how often what failed: births, model calls, rows without a score; numbers in notes made alike."""
    births = snapshot.births.filter(pc.equal(snapshot.births["status"].cast(pa.string()), FAILED))
    calls = (
        error for piece in read_pieces(snapshot.folder, "calls", ["error"]) for error in piece["error"].to_pylist()
    )
    rows = (
        one for piece in read_pieces(snapshot.folder, "evaluations", ["error"]) for one in piece["error"].to_pylist()
    )
    scored, unparsed = (pc.sum(snapshot.births[name]).as_py() or 0 for name in ("n_scored", "n_unparsed"))
    return {
        "births": _kinds(births["note"].to_pylist()),
        "calls": _kinds(calls),
        "rows": _kinds(rows),
        "unparsed": unparsed,
        "scored": scored,
    }


def _line(
    snapshot: Snapshot,
    island: int,
    born: npt.NDArray[np.signedinteger[Any]],
    calls: npt.NDArray[np.int64],
    migrants: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    fitness = np.where(snapshot.ok[born], snapshot.fitness[born], np.nan)
    best = np.fmax.accumulate(fitness) if len(fitness) else fitness
    median = _running_median(fitness)
    keep = np.unique(np.linspace(0, len(born) - 1, POINTS).astype(np.int64))
    keep = np.union1d(keep, np.flatnonzero(np.diff(best, prepend=np.nan) > 0)[-POINTS:])
    points = [[int(place) + 1, int(calls[born[place]]), _number(best[place]), _number(median[place])] for place in keep]
    arrivals = np.flatnonzero(migrants[born])[:POINTS]
    return {
        "island": island,
        "method": _method(snapshot, island),
        "births": len(born),
        "points": points,
        "arrivals": [[int(place) + 1, int(calls[born[place]])] for place in arrivals],
    }


def _running_median(fitness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median of the last scored values up to each place, NaN before the first."""
    median, scored = np.full(len(fitness), np.nan), np.flatnonzero(~np.isnan(fitness))
    if scored.size:
        values = np.concatenate([np.full(MEDIAN_OF - 1, np.nan), fitness[scored]])
        windows = np.lib.stride_tricks.sliding_window_view(values, MEDIAN_OF)
        last = np.searchsorted(scored, np.arange(len(fitness)), side="right") - 1
        median[scored[0] :] = np.nanmedian(windows, axis=1)[last[scored[0] :]]
    return median


def _method(snapshot: Snapshot, island: int) -> str:
    islands = snapshot.settings.archipelago
    place = islands[island] if 0 <= island < len(islands) else None
    return place.method.name if place and place.method else snapshot.settings.method.name


def _kinds(notes: Iterable[str | None]) -> list[dict[str, Any]]:
    counts = Counter(re.sub(r"\d+(\.\d+)?", "#", shortened(note, 300)) for note in notes if note)
    return [{"what": what, "count": count} for what, count in counts.most_common(KINDS)]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
