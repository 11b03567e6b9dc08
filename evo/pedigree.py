"""Some individuals of a run and the links among them: a graph to draw, or to hand to other tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evo.ancestry import Ancestry, Places
from evo.drawings import Link, Node, dot, mermaid
from evo.errors import EvoError
from evo.model import OK
from evo.replay import individuals_now
from evo.simplify import Simplified
from evo.texts import Texts

if TYPE_CHECKING:
    import networkx as nx

GRAPH_LIMIT = 50_000
"""Most individuals turned into a networkx graph: beyond it one needs gigabytes and minutes."""
DOT_LIMIT = 3_000
"""Most individuals in a DOT text: Graphviz takes minutes for more, and nobody sees anything in them."""
MERMAID_LIMIT = 200
"""Most individuals in a Mermaid text: it refuses texts of 50,000 characters, and graphs of 500 links."""
SEVERAL = -1
"""The role of a link that stands for several births."""
_SCHEMA = pa.schema([("parent", pa.int64()), ("child", pa.int64()), ("role", pa.string()), ("steps", pa.int64())])
_ABOUT = ["id", "island", "generation", "operator", "status", "fitness"]


@dataclass(frozen=True, slots=True)
class Pedigree:
    """Individuals, oldest first, and links from parents to children, by the place of both in ``numbers``.

    Shapes: ``numbers`` (individuals,); ``parent``, ``child``, ``role`` and ``steps`` (links,). ``role`` is the place in
    ``roles``; a link of several ``steps`` stands for as many births, and has the role `SEVERAL`.
    """

    folder: Path
    numbers: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int64]
    child: npt.NDArray[np.int64]
    role: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    roles: tuple[str, ...]
    focus: int | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def links(self) -> pa.Table:
        """Return a row for each link: parent, child, role, steps. The role is empty where steps are more than one."""
        roles = pa.array([*self.roles, ""]).take(pa.array(self.role % (len(self.roles) + 1)))
        columns = [self.numbers[self.parent], self.numbers[self.child], roles, self.steps]
        return pa.table(columns, schema=_SCHEMA)

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """Return the graph; edges run from parent to child and carry role and steps.

        Nodes carry operator, generation, island, fitness (None where there is none) and text.

        Raises:
            EvoError: there are more than `GRAPH_LIMIT` individuals.
        """
        import networkx as nx

        self._refuse_above(GRAPH_LIMIT, "a networkx graph")
        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        for node in self._nodes():
            about = {"operator": node.operator, "generation": node.generation, "island": node.island}
            graph.add_node(node.number, **about, fitness=node.fitness, text=node.text)
        graph.add_edges_from((one.parent, one.child, {"role": one.role, "steps": one.steps}) for one in self._links())
        return graph

    def to_dot(self) -> str:
        """Return the graph as text for Graphviz. Raises EvoError for more than `DOT_LIMIT` individuals."""
        self._refuse_above(DOT_LIMIT, "a DOT text")
        return dot(self._nodes(), self._links(), self.focus)

    def to_mermaid(self) -> str:
        """Return the graph as text for Mermaid. Raises EvoError for more than `MERMAID_LIMIT` individuals."""
        self._refuse_above(MERMAID_LIMIT, "a Mermaid text")
        return mermaid(self._nodes(), self._links(), self.focus)

    def _nodes(self) -> list[Node]:
        table = individuals_now(self.folder, _ABOUT, only=("id", pa.array(self.numbers)))
        known = {row["id"]: row for row in table.to_pylist()}
        texts = Texts(self.folder, self.numbers)
        return [_node(known[number], texts.prompt(number).text) for number in self.numbers.tolist()]

    def _links(self) -> list[Link]:
        return [Link(**row) for row in self.links().to_pylist()]

    def _refuse_above(self, limit: int, what: str) -> None:
        if len(self) > limit:
            raise EvoError(
                f"this lineage has {len(self)} individuals, {what} takes {limit}; "
                "work on `ancestors` and `links()`, or draw it simplified: `simplified(tree=True)`, `--tree`"
            )


def whole(folder: Path, ancestry: Ancestry, places: Places, focus: int) -> Pedigree:
    """Return some individuals, by their rising places, with every edge among them."""
    rows = ancestry.up.rows(places)
    child, parent = ancestry.child[rows], ancestry.up.to[rows]
    within = np.isin(parent, places)
    younger, older = (np.searchsorted(places, ends[within]) for ends in (child, parent))
    role = ancestry.role[rows][within].astype(np.int64)
    steps = np.ones(len(role), np.int64)
    return Pedigree(folder, ancestry.numbers[places], older, younger, role, steps, ancestry.roles, focus)


def summary(folder: Path, ancestry: Ancestry, small: Simplified, focus: int) -> Pedigree:
    """Return a simplified genealogy with the role of those links that are a single birth."""
    rows = ancestry.up.rows(np.unique(small.child))
    wide = len(ancestry.numbers) + 1
    edges, first = np.unique(ancestry.child[rows].astype(np.int64) * wide + ancestry.up.to[rows], return_index=True)
    role = np.full(len(small.steps), SEVERAL, np.int64)
    single = small.steps == 1
    mine = np.searchsorted(edges, small.child[single].astype(np.int64) * wide + small.parent[single])
    role[single] = ancestry.role[rows][first[mine]]
    child, parent = (np.searchsorted(small.places, ends) for ends in (small.child, small.parent))
    return Pedigree(folder, ancestry.numbers[small.places], parent, child, role, small.steps, ancestry.roles, focus)


def _node(row: Mapping[str, Any], text: str) -> Node:
    fitness = row["fitness"] if row["status"] == OK else None
    return Node(row["id"], row["operator"], row["generation"], row["island"], fitness, text)
