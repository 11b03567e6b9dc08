"""Who may send migrants to whom, as a directed networkx graph over island numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evo.errors import ConfigError

if TYPE_CHECKING:
    import networkx as nx

NAMES = ("ring", "torus", "star", "complete", "random", "isolated")
RANDOM_DEGREE = 2
"""Islands each island receives from in a random topology."""


def topology(name: str, islands: int, rng: np.random.Generator) -> nx.DiGraph[int]:
    """Return the graph; an edge u -> v lets v take migrants from u.

    Args:
        name: ring (one way), torus (grid as square as the number allows, four neighbours), star (island 0 in the
            middle, both ways), complete, random (two sources each, one of them along a cycle through all: nobody is
            cut off), isolated.
        islands: How many, 1 or more.
        rng: Used by ``random`` alone.

    Raises:
        ConfigError: an unknown name.
    """
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(islands))
    graph.add_edges_from((u, v) for u, v in _edges(name, islands, rng) if u != v)
    return graph


def _edges(name: str, islands: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    everyone = range(islands)
    if name == "isolated":
        return []
    if name == "ring":
        return [(i, (i + 1) % islands) for i in everyone]
    if name == "star":
        return [(0, i) for i in everyone] + [(i, 0) for i in everyone]
    if name == "complete":
        return [(u, v) for u in everyone for v in everyone]
    if name == "torus":
        return _torus(islands)
    if name == "random":
        return _random(islands, rng)
    raise ConfigError(f"unknown topology {name!r}; expected one of {', '.join(NAMES)}")


def _torus(islands: int) -> list[tuple[int, int]]:
    rows = max(d for d in range(1, math.isqrt(islands) + 1) if islands % d == 0)
    columns = islands // rows
    edges = []
    for i in range(islands):
        row, column = divmod(i, columns)
        right = row * columns + (column + 1) % columns
        below = (row + 1) % rows * columns + column
        edges += [(i, right), (right, i), (i, below), (below, i)]
    return edges


def _random(islands: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    cycle = [int(i) for i in rng.permutation(islands)]
    edges = list(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    for source, island in list(edges):
        others = [i for i in range(islands) if i not in (source, island)]
        chosen = rng.choice(others, size=min(RANDOM_DEGREE - 1, len(others)), replace=False)
        edges += [(int(other), island) for other in chosen]
    return edges
