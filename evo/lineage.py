"""Who descends from whom: ancestry over the log's edges, every parent with its role.

Kept as flat arrays sorted by child and by parent, so that a million individuals take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evo.errors import EvoError
from evo.journal import read_table
from evo.model import Individual
from evo.replay import read_individuals

if TYPE_CHECKING:
    import networkx as nx

Numbers = npt.NDArray[np.int64]
GRAPH_LIMIT = 50_000
"""Most individuals turned into a networkx graph: beyond it one needs gigabytes and minutes."""


class Ancestry:
    """The edges of a run, indexed both ways. Built once; answers in milliseconds."""

    def __init__(self, folder: Path) -> None:
        edges = read_table(folder, "edges", ["child", "parent"])
        self._child: Numbers = edges["child"].to_numpy()
        self._parent: Numbers = edges["parent"].to_numpy()
        self._by_child = np.argsort(self._child, kind="stable")
        self._by_parent = np.argsort(self._parent, kind="stable")

    def parents(self, numbers: Sequence[int] | Numbers) -> Numbers:
        """Return every parent of these individuals, each once, sorted."""
        return _neighbours(self._child, self._parent, self._by_child, np.asarray(numbers, np.int64))

    def children(self, numbers: Sequence[int] | Numbers) -> Numbers:
        """Return every child of these individuals, each once, sorted."""
        return _neighbours(self._parent, self._child, self._by_parent, np.asarray(numbers, np.int64))

    def ancestors(self, number: int) -> Numbers:
        """Return all ancestors of an individual, itself left out, sorted."""
        return _closure(number, self.parents)

    def descendants(self, number: int) -> Numbers:
        """Return all descendants of an individual, itself left out, sorted."""
        return _closure(number, self.children)


class Lineage:
    """An individual and all its ancestors."""

    def __init__(self, folder: Path, ancestry: Ancestry, number: int) -> None:
        self._folder, self._ancestry, self.number = folder, ancestry, number

    @property
    def ancestors(self) -> list[int]:
        """Numbers of all ancestors."""
        return [int(n) for n in self._ancestry.ancestors(self.number)]

    @property
    def descendants(self) -> list[int]:
        """Numbers of all descendants."""
        return [int(n) for n in self._ancestry.descendants(self.number)]

    def individuals(self) -> list[Individual]:
        """Return the individual and its ancestors, oldest generation first."""
        numbers = [*self.ancestors, self.number]
        return sorted(read_individuals(self._folder, numbers=numbers), key=lambda i: (i.generation, i.number))

    def line(self) -> list[Individual]:
        """Return the line of descent: from the first ancestor to the individual, by the fittest parent each time."""
        known = {individual.number: individual for individual in self.individuals()}
        line = [known[self.number]]
        while parents := [known[number] for number, _ in line[-1].parents if number in known]:
            line.append(max(parents, key=lambda p: (p.ok, p.fitness if p.ok else 0.0, -p.number)))
        return line[::-1]

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """Return the graph of the individual and its ancestors; edges run from parent to child and carry a role.

        Nodes carry operator, generation, island, fitness and text.

        Raises:
            EvoError: the lineage is too large for networkx.
        """
        import networkx as nx

        individuals = self.individuals()
        if len(individuals) > GRAPH_LIMIT:
            raise EvoError(
                f"this lineage has {len(individuals)} individuals, a networkx graph takes {GRAPH_LIMIT}; "
                "work on `ancestors` or on the edges table instead"
            )
        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        for one in individuals:
            fitness = one.fitness if one.ok else None
            about = {"operator": one.operator, "generation": one.generation, "island": one.island, "fitness": fitness}
            graph.add_node(one.number, **about, text=one.prompt.text)
        for one in individuals:
            graph.add_edges_from((parent, one.number, {"role": role}) for parent, role in one.parents)
        return graph


def _neighbours(keys: Numbers, values: Numbers, order: Numbers, wanted: Numbers) -> Numbers:
    ordered = keys[order]
    starts, ends = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
    places = [np.arange(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
    return np.unique(values[order[np.concatenate(places)]]) if places else np.empty(0, np.int64)


def _closure(number: int, step: Callable[[Numbers], Numbers]) -> Numbers:
    seen: Numbers = np.array([number], np.int64)
    frontier = seen
    while frontier.size:
        frontier = np.setdiff1d(step(frontier), seen, assume_unique=True)
        seen = np.union1d(seen, frontier)
    return np.setdiff1d(seen, [number])
