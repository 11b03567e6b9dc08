"""How much better each birth is than its parent, over a whole run at once, as flat arrays.

A birth is compared with one parent, the one of role ``base``, else the first that has a score, over all dev and train
rows both have a score for by now; test rows take no part. These are the rows the search went by: where they chose the
parent for its scores a gain is rather too low; where the operator had read the parent's mistakes on them, too high.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces, read_table
from evo.model import DROPPED, FAILED, NO_PROMPT
from evo.replay import SPLITS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BASE = "base"
"""Role of the parent a child is a variant of."""
NOBODY = -1
_DIGITS = 12
"""Decimals of a gain: what sums differ by beyond them is rounding, and no improvement."""


@dataclass(frozen=True, slots=True)
class Births:
    """All births of a run in the order of the log; a birth is known by its place in it, or is `NOBODY`."""

    numbers: Ints
    order: Ints
    """Places by rising number."""
    names: tuple[str, ...]
    """Operators."""
    operator: Ints
    """Place in ``names``."""
    prompt: Ints
    """The same for the same prompt, all parts counted."""
    valid: Flags
    """Whether it has a prompt."""
    failed: Flags
    dropped: Flags

    @classmethod
    def read(cls, folder: Path) -> Births:
        """Return the births logged so far. Raises EvoError when a file is damaged."""
        table = read_table(folder, "individuals", ["id", "operator", "prompt", "status"])
        words = (table[name].cast(pa.string()).combine_chunks() for name in ("operator", "prompt"))
        operator, prompt = (word.dictionary_encode() for word in words)
        numbers = table["id"].to_numpy()
        return cls(
            numbers=numbers,
            order=np.argsort(numbers, kind="stable"),
            names=tuple(operator.dictionary.to_pylist()),
            operator=operator.indices.to_numpy().astype(np.int64),
            prompt=prompt.indices.to_numpy().astype(np.int64),
            valid=pc.not_equal(table["prompt"], NO_PROMPT.hash).to_numpy(),
            failed=pc.equal(table["status"], FAILED).to_numpy(),
            dropped=pc.equal(table["status"], DROPPED).to_numpy(),
        )

    def places(self, numbers: pa.ChunkedArray) -> Ints:
        """Return the place of each number; `NOBODY` for those of no birth logged so far, and for null."""
        return _found(self.numbers, pc.fill_null(numbers, NOBODY).to_numpy(), self.order)


@dataclass(frozen=True, slots=True)
class Scores:
    """Every score on dev and train rows; of several of one birth on one row the last counts, as in `Evaluation`."""

    keys: Ints
    """``birth * width + example``, rising."""
    score: Floats
    width: int
    scored: Flags
    """Whether a birth has a score."""
    test_calls: pa.Array
    """Keys of the calls behind test rows."""

    @classmethod
    def read(cls, folder: Path, births: Births) -> Scores:
        """Return the scores of these births. Raises EvoError when a file is damaged."""
        none = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
        found, tested = [none], [pa.array([], pa.string())]
        for piece in read_pieces(folder, "evaluations", ["individual", "example", "split", "score", "call"]):
            split = piece["split"].cast(pa.string())
            tested += piece["call"].filter(pc.equal(split, "test")).chunks
            piece = piece.filter(pc.is_in(split, pa.array(SPLITS)))
            birth = births.places(piece["individual"])
            mine = birth != NOBODY
            found.append((birth[mine], piece["example"].to_numpy()[mine], piece["score"].to_numpy()[mine]))
        birth, example, score = (np.concatenate(column) for column in zip(*found, strict=True))
        width = 1 + int(example.max(initial=0))
        keys = birth * width + example
        order = np.argsort(keys, kind="stable")
        keys, score = keys[order], score[order]
        kept = ~np.isnan(score)
        kept[:-1] &= keys[1:] != keys[:-1]
        keys, score = keys[kept], score[kept]
        scored = np.bincount(keys // width, minlength=len(births.numbers)) > 0
        return cls(keys, score, width, scored, pa.concat_arrays(tested))


def compared_with(folder: Path, births: Births, scored: Flags) -> Ints:
    """Return the parent each birth is compared with. Raises EvoError when a file is damaged."""
    edges = read_table(folder, "edges", ["child", "parent", "role", "place"])
    child, parent = births.places(edges["child"]), births.places(edges["parent"])
    known, base = (child != NOBODY) & (parent != NOBODY), pc.equal(edges["role"], BASE).to_numpy()
    has_base = np.zeros(len(scored), np.bool_)
    has_base[child[known & base]] = True
    able = known & np.where(has_base[child], base, scored[parent])
    order = np.lexsort((edges["place"].to_numpy()[able], child[able]))
    children, first = np.unique(child[able][order], return_index=True)
    compared = np.full(len(scored), NOBODY, np.int64)
    compared[children] = parent[able][order][first]
    return compared


def paired_gains(scores: Scores, parents: Ints) -> Floats:
    """Return each birth's mean difference to its parent over the rows they share; NaN where they share none."""
    birth, example = np.divmod(scores.keys, scores.width)
    child = np.flatnonzero(parents[birth] != NOBODY)
    parent = _found(scores.keys, parents[birth[child]] * scores.width + example[child])
    child, parent = child[parent != NOBODY], parent[parent != NOBODY]
    count = len(parents)
    total = np.bincount(birth[child], scores.score[child] - scores.score[parent], minlength=count)
    shared = np.bincount(birth[child], minlength=count)
    gains: Floats = np.full(count, np.nan)
    np.divide(total, shared, out=gains, where=shared > 0)
    return gains.round(_DIGITS)


def _found(keys: Ints, wanted: Ints, order: Ints | None = None) -> Ints:
    """Return the place in ``keys`` of each wanted one, else `NOBODY`; ``order`` sorts the keys where they are not."""
    if not keys.size:
        return np.full(len(wanted), NOBODY, np.int64)
    places = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
    places = places if order is None else order[places]
    return np.where(keys[places] == wanted, places, NOBODY)
