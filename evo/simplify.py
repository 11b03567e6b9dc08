"""A genealogy made small enough to look at, in the manner of tskit's ``simplify`` (Kelleher et al. 2018).

Lines that lead to none of the samples are dropped, and so are individuals that only pass on: those with one parent and
one child among the rest. Unlike there a prompt has no positions, so an individual of two parents has both, and founders
are kept. Along base parents alone (``Ancestry.base``) at most twice as many remain as there are samples and founders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evo.ancestry import Links, Places

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Simplified:
    """Places that remain, rising, and the links among them.

    ``child`` and ``parent`` are places in the whole run, one link for each pair; ``steps`` is how many births lie
    on the shortest way between them, 1 for a parent.
    """

    places: Places
    child: Places
    parent: Places
    steps: Ints


def simplify(links: Links, samples: Places) -> Simplified:
    """Return the ancestry of some places, simplified; the samples themselves always remain.

    ``links`` lead to parents. Takes time in the number of ancestors, and a few rounds.
    """
    kept = links.closure(samples)
    rows, counts = links.rows(kept), links.first[kept + 1] - links.first[kept]
    child = np.repeat(np.arange(len(kept)), counts)
    parent = np.searchsorted(kept, links.to[rows])
    fixed = np.isin(kept, samples) | (counts == 0)
    child, parent, steps = _collapsed(child, parent, fixed)
    remains = fixed.copy()
    remains[child] = remains[parent] = True
    return Simplified(kept[remains], kept[child], kept[parent], steps)


def _collapsed(child: Ints, parent: Ints, fixed: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """Return the links without those who have one parent and one child, unless ``fixed``."""
    count, steps = len(fixed), np.ones(len(child), np.int64)
    while True:
        order = np.lexsort((steps, parent, child))
        _, first = np.unique(child[order] * count + parent[order], return_index=True)
        child, parent, steps = (column[order][first] for column in (child, parent, steps))
        single = np.bincount(child, minlength=count) == 1
        single &= (np.bincount(parent, minlength=count) == 1) & ~fixed
        if not single.any():
            return child, parent, steps
        over, length = np.arange(count), np.zeros(count, np.int64)
        gone = single[child]
        over[child[gone]], length[child[gone]] = parent[gone], steps[gone]
        while np.any(moving := single[over]):  # each round doubles the way: a line of a thousand takes ten
            length[moving] += length[over[moving]]
            over[moving] = over[over[moving]]
        child, parent, steps = child[~gone], over[parent[~gone]], steps[~gone] + length[parent[~gone]]
