"""Who descends from whom, over a whole run, as flat arrays; never an object for each individual.

An individual is known by its place in the log, where parents come before their children; so places grow with age, as
times do in the tables of tskit (Kelleher et al. 2016). Neighbours are compressed sparse rows, 4 bytes an edge each way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evo.gains import BASE
from evo.journal import read_together
from evo.model import ISLAND_BITS
from evo.schema import TABLES

Numbers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
NOBODY = -1
_SLICE = 65_536
_COLUMNS = {"individuals": ["id"], "edges": ["child", "parent", "role"]}


@dataclass(frozen=True, slots=True)
class Links:
    """The neighbours of each place: those of place p are ``to[first[p] : first[p + 1]]``."""

    first: npt.NDArray[np.int64]
    to: Places

    @classmethod
    def of(cls, where: Places, to: Places, count: int) -> Links:
        """Return the links of ``count`` places; neighbours keep their order."""
        if np.any(where[1:] < where[:-1]):
            order = np.argsort(where, kind="stable")
            where, to = where[order], to[order]
        return cls(np.concatenate([[0], np.cumsum(np.bincount(where, minlength=count))]), to)

    @property
    def count(self) -> int:
        """How many places there are."""
        return len(self.first) - 1

    def rows(self, places: Places) -> npt.NDArray[np.int64]:
        """Return where the neighbours of these places stand in ``to``, place by place."""
        starts = self.first[places]
        counts = self.first[places + 1] - starts
        ends = counts.cumsum()
        found: npt.NDArray[np.int64] = (starts - ends + counts).repeat(counts)
        found += np.arange(len(found))
        return found

    def around(self, places: Places) -> Places:
        """Return the neighbours of these places, each once, sorted."""
        return np.unique(self.to[self.rows(places)])

    def closure(self, places: Places) -> Places:
        """Return these places and all that can be reached from them, sorted. Takes a step for each generation."""
        seen = np.zeros(self.count, np.bool_)
        seen[places] = True
        frontier = places
        while frontier.size:
            found = self.to[self.rows(frontier)]
            found = np.sort(found[~seen[found]])
            new = np.ones(len(found), np.bool_)  # `np.unique` does the same, and takes twice as long for a few
            np.not_equal(found[1:], found[:-1], out=new[1:])
            frontier = found[new]
            seen[frontier] = True
        return np.flatnonzero(seen).astype(np.int32)


class Ancestry:
    """The births and edges of a run as they were when it was made. Answers in milliseconds.

    Edges to parents that the log does not hold are left out. For a million individuals: about half a second to make,
    40 bytes each to keep.
    """

    def __init__(self, folder: Path) -> None:
        pieces = list(read_together(folder, _COLUMNS))
        births = [piece.pop("individuals")["id"].to_numpy() for piece in pieces]
        self.numbers: Numbers = np.concatenate([np.empty(0, np.int64), *births])
        self._place_of = _Index(self.numbers)
        edges = _joined([piece["edges"] for piece in pieces])
        roles = edges["role"].combine_chunks()
        self.roles = tuple(roles.dictionary.to_pylist())
        role: npt.NDArray[np.int16] = roles.indices.to_numpy().astype(np.int16)
        child, parent = (self._places_in(edges[name]) for name in ("child", "parent"))
        order = _order(child, parent)
        if order is not None:
            child, parent, role = child[order], parent[order], role[order]
        self.child: Places = child
        """The child's place for each edge, rising; edges of one child in the order its parents were named."""
        self.role = role
        """For each edge the place of its role in ``roles``."""
        self.up = Links.of(child, parent, len(self.numbers))
        """Parents."""

    @cached_property
    def down(self) -> Links:
        """Children, indexed at the first use."""
        return Links.of(self.up.to, self.child, len(self.numbers))

    @cached_property
    def base(self) -> Links:
        """The one parent each is a variant of: of role ``base``, else the first named. A forest."""
        is_base = np.array([role == BASE for role in self.roles], np.bool_)[self.role]
        order = np.lexsort((~is_base, self.child))
        children, first = np.unique(self.child[order], return_index=True)
        return Links.of(children, self.up.to[order][first], len(self.numbers))

    def places(self, numbers: Sequence[int] | Numbers) -> Places:
        """Return the place of each number in ``numbers``; `NOBODY` for those the log does not hold."""
        return self._place_of.find(np.asarray(numbers, np.int64))

    def _places_in(self, column: pa.ChunkedArray) -> Places:
        # Slice by slice: what finding takes on the way then stays in a processor's cache.
        slices = (chunk[start : start + _SLICE] for chunk in column.chunks for start in range(0, len(chunk), _SLICE))
        return np.concatenate([np.empty(0, np.int32), *(self.places(numbers.to_numpy()) for numbers in slices)])

    def known(self, numbers: Sequence[int] | Numbers) -> Places:
        """Return the places of those numbers that the log holds."""
        places = self.places(numbers)
        known: Places = places[places != NOBODY]
        return known

    def parents(self, numbers: Sequence[int] | Numbers) -> Numbers:
        """Return every parent of these individuals, each once, sorted."""
        return np.sort(self.numbers[self.up.around(self.known(numbers))])

    def children(self, numbers: Sequence[int] | Numbers) -> Numbers:
        """Return every child of these individuals, each once, sorted."""
        return np.sort(self.numbers[self.down.around(self.known(numbers))])

    def ancestors(self, number: int) -> Numbers:
        """Return all ancestors of an individual, itself left out, sorted."""
        return self._reached(self.up, number)

    def descendants(self, number: int) -> Numbers:
        """Return all descendants of an individual, itself left out, sorted."""
        return self._reached(self.down, number)

    def common_ancestor(self, one: int, other: int) -> int | None:
        """Return the youngest individual that both are or descend from; None where there is none."""
        first, second = (self.up.closure(self.known([number])) for number in (one, other))
        shared = np.intersect1d(first, second, assume_unique=True)
        return int(self.numbers[shared[-1]]) if shared.size else None

    def _reached(self, links: Links, number: int) -> Numbers:
        reached: Numbers = np.sort(self.numbers[links.closure(self.known([number]))])
        others: Numbers = reached[reached != number]
        return others


class _Index:
    """The place of each number: by arithmetic where islands count without large gaps, else by bisection."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        island, sequence = _split(numbers)
        self._dense = False
        if numbers.size and island.min() >= 0 and island.max() < max(1000, numbers.size):
            sizes = np.zeros(island.max() + 1, np.int64)
            np.maximum.at(sizes, island, sequence + 1)
            self._dense = bool(sizes.sum() <= 2 * numbers.size + 1000)
        if not self._dense:
            self._order = np.argsort(numbers, kind="stable").astype(np.int32)
            return
        firsts = np.arange(len(sizes)) << ISLAND_BITS
        self._ends = np.append(firsts + sizes, np.iinfo(np.int64).min)
        """For each island what its numbers are below; the last stands for every island there is not."""
        self._shifts = np.append(np.cumsum(sizes) - sizes - firsts, 0)
        self._table = np.full(sizes.sum(), NOBODY, np.int32)
        self._table[numbers + self._shifts[island]] = np.arange(numbers.size, dtype=np.int32)

    def find(self, wanted: Numbers) -> Places:
        """Return the place of each, or `NOBODY`."""
        if not self._numbers.size:
            return np.full(wanted.shape, NOBODY, np.int32)
        if not self._dense:
            near = self._order[
                np.searchsorted(self._numbers, wanted, sorter=self._order).clip(max=len(self._order) - 1)
            ]
            return np.where(self._numbers[near] == wanted, near, NOBODY).astype(np.int32)
        island = np.minimum((wanted >> ISLAND_BITS).view(np.uint64), len(self._ends) - 1)  # negative ones are huge
        inside = wanted < self._ends[island]
        found: Places = self._table[np.where(inside, wanted + self._shifts[island], 0)]
        return found if inside.all() else np.where(inside, found, NOBODY).astype(np.int32)


def _split(numbers: Numbers) -> tuple[Numbers, Numbers]:
    return numbers >> ISLAND_BITS, numbers & ((1 << ISLAND_BITS) - 1)


def _order(child: Places, parent: Places) -> npt.NDArray[np.int64] | None:
    """Return the edges whose ends are both known, by child; None where that is all of them as they are."""
    known = (child != NOBODY) & (parent != NOBODY)
    if known.all() and not np.any(child[1:] < child[:-1]):
        return None
    order = np.flatnonzero(known)
    return order[np.argsort(child[order], kind="stable")]


def _joined(pieces: Sequence[pa.Table]) -> pa.Table:
    """Return the edges as one table whose roles share one dictionary."""
    schema = pa.schema([TABLES["edges"].field(name) for name in _COLUMNS["edges"]])
    return pa.concat_tables([schema.empty_table(), *pieces]).unify_dictionaries()
