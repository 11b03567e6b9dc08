"""The lineage graph of a report: who is shown, their links, their texts, and the calls that made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.ancestry import Places
from evo.journal import read_pieces
from evo.pedigree import whole
from evo.replay import texts_of
from evo.view.shorten import Room, shortened
from evo.view.snapshot import Snapshot

NODES = 3_000
"""Most individuals in a report: its page then takes some 3 MB, and is fluid with twice as many."""
TEXTS = 4_000_000
"""Characters of prompts in a report; of the least fit beyond them only the beginning is kept."""
REPLY = 1_500
"""Most characters of one operator call."""
NOTE = 600
"""Most characters of what is said of a birth or a call that failed."""
_CALLS = ["individual", "purpose", "model", "prompt_tokens", "output_tokens", "attempts", "error", "text"]


def chosen(snapshot: Snapshot, limit: int = NODES) -> Places:
    """Return who is shown, by importance: the best, its line, its other ancestors, youngest first, then the fittest."""
    line = snapshot.ancestry.places(snapshot.line[::-1])
    ancestors = snapshot.ancestry.up.closure(line[:1])
    order = np.concatenate([line, ancestors[::-1], snapshot.by_rank])
    _, first = np.unique(order, return_index=True)
    places: Places = order[np.sort(first)][:limit]
    return places


def graph(snapshot: Snapshot, places: Places, texts: int = TEXTS) -> dict[str, Any]:
    """Return the individuals at these places, most important first, as columns, and the links among them.

    ``texts`` is how many characters of prompts are kept; of the operators' calls half as many.
    Nodes and links go by the place in the columns; an individual's step is its place in the whole log.
    """
    table = snapshot.births.take(places)
    parents = np.diff(snapshot.ancestry.up.first)[places]
    links, roles = _links(snapshot, places)
    prompts, which = _prompts(snapshot, table, Room(texts))
    operators = table["operator"].cast(pa.string()).combine_chunks().dictionary_encode()
    return {
        "total": len(snapshot.numbers),
        "best": 0 if snapshot.best is not None else None,
        "step": places.tolist(),
        "parents": parents.tolist(),
        **{name: table[name].to_pylist() for name in ("id", "island", "generation", "status")},
        "note": [shortened(note or "", NOTE) for note in table["note"].to_pylist()],
        **{name: table[name].to_pylist() for name in ("n_scored", "n_missing", "n_unparsed", "tokens", "cost_usd")},
        "fitness": table["fitness"].to_pylist(),
        "operators": operators.dictionary.to_pylist(),
        "operator": operators.indices.to_pylist(),
        "prompts": prompts,
        "prompt": which,
        "roles": roles,
        "links": links,
        "calls": _calls(snapshot, table["id"].combine_chunks(), Room(texts // 2)),
    }


def _links(snapshot: Snapshot, places: Places) -> tuple[list[list[int]], list[str]]:
    """Return child, parent and role of each link among the chosen, and what the roles are called."""
    rising = np.argsort(places)
    among = whole(snapshot.folder, snapshot.ancestry, places[rising], -1)
    child, parent = rising[among.child], rising[among.parent]
    return [child.tolist(), parent.tolist(), among.role.tolist()], list(among.roles)


def _prompts(snapshot: Snapshot, table: pa.Table, room: Room) -> tuple[list[list[list[str]]], list[int]]:
    """Return the parts of each prompt once, and which of them each row has: -1 where a birth has none."""
    known = texts_of(snapshot.folder, table["prompt"].combine_chunks())
    order = {
        key: place for place, key in enumerate(dict.fromkeys(k for k in table["prompt"].to_pylist() if k in known))
    }
    prompts = [[[name, room.fit(text)] for name, text in known[key].parts] for key in order]
    return prompts, [order.get(key, -1) for key in table["prompt"].to_pylist()]


def _calls(snapshot: Snapshot, numbers: pa.Array, room: Room) -> list[list[Any]]:
    """Return the operators' calls for these births, those of the most important first, with what the models said.

    Each: place of the birth, purpose, model, prompt tokens, output tokens, attempts, error, text.
    """
    found: list[list[Any]] = []
    for piece in read_pieces(snapshot.folder, "calls", _CALLS, only=("individual", numbers)):
        own = piece.filter(pc.not_equal(piece["purpose"].cast(pa.string()), "task"))
        births = pc.index_in(own["individual"], value_set=numbers).to_pylist()
        rows: Iterable[dict[str, Any]] = own.drop_columns(["individual"]).to_pylist()
        found += ([birth, *row.values()] for birth, row in zip(births, rows, strict=True))
    found.sort(key=lambda call: call[0])
    return [[*call[:-2], shortened(call[-2] or "", NOTE), room.fit(call[-1] or "", REPLY)] for call in found]
