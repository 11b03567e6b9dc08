"""Where an individual came from and what became of it: questions to the log, answered without reading all of it."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.ancestry import NOBODY, Ancestry, Places
from evo.errors import EvoError
from evo.journal import read_pieces
from evo.model import ISLAND_BITS, OK, Individual
from evo.origins import Kin, PartOrigin, trace
from evo.pedigree import Pedigree, summary, whole
from evo.randomness import child_rng
from evo.replay import individuals_now, read_individuals
from evo.schema import LIVING
from evo.simplify import simplify
from evo.statistics import PairedDifference, paired_difference
from evo.texts import Texts

if TYPE_CHECKING:
    import networkx as nx

RECENT = 50
"""Births of an island that goes on whose parents count as alive: the log holds births, and no deaths."""


@dataclass(frozen=True, slots=True)
class Step:
    """A birth on a line of descent, and what it changed.

    ``gain`` is the child's score minus the parent's over all dev and train rows both have one for by now; None where
    they share none. The search chose by these scores, and looked at many: a gain on the winner's line is optimistic.
    """

    child: Individual
    parent: Individual
    role: str
    gain: PairedDifference | None
    changes: tuple[tuple[int, float], ...] = field(repr=False)
    """(example, difference) for the rows whose score is another, by example."""

    @property
    def won(self) -> tuple[int, ...]:
        """Examples on which the child scored higher."""
        return tuple(example for example, difference in self.changes if difference > 0)

    @property
    def lost(self) -> tuple[int, ...]:
        """Examples on which the child scored lower."""
        return tuple(example for example, difference in self.changes if difference < 0)


class Lineage:
    """An individual, its ancestors and its descendants, as the log had them when this was made.

    Raises EvoError when the log does not hold the individual.
    """

    def __init__(self, folder: Path, ancestry: Ancestry, number: int) -> None:
        self._folder, self._ancestry, self.number = folder, ancestry, number
        self._place = self._found(number)

    @property
    def ancestors(self) -> list[int]:
        """Numbers of all ancestors, sorted."""
        return list(map(int, self._ancestry.ancestors(self.number)))

    @property
    def descendants(self) -> list[int]:
        """Numbers of all descendants, sorted."""
        return list(map(int, self._ancestry.descendants(self.number)))

    def individuals(self) -> list[Individual]:
        """Return the individual and its ancestors with all that is known of them, oldest generation first."""
        numbers = [*self.ancestors, self.number]
        return sorted(read_individuals(self._folder, numbers=numbers), key=lambda i: (i.generation, i.number))

    def line(self) -> list[Individual]:
        """Return the line of descent: from the first ancestor to the individual, by the fittest parent each time."""
        numbers = self.line_numbers()
        known = {one.number: one for one in read_individuals(self._folder, numbers=numbers)}
        return [known[number] for number in numbers]

    def line_numbers(self) -> list[int]:
        """Return the numbers of `line`, whose individuals are then not read: a thousand steps take 20 ms."""
        links, numbers, fitness = self._ancestry.up, self._ancestry.numbers, self._fitness()
        place = self._place[0]
        line = [place]
        while (parents := links.to[links.first[place] : links.first[place + 1]]).size:
            place = min(parents.tolist(), key=lambda p: (-fitness[p], numbers[p]))
            line.append(place)
        return list(map(int, numbers[line[::-1]]))

    def common_ancestor(self, other: Numbered | SupportsIndex) -> int | None:
        """Return the youngest individual that this one and another both are or descend from; None if there is none.

        Raises EvoError when the log does not hold the other.
        """
        number = number_of(other)
        self._found(number)
        return self._ancestry.common_ancestor(self.number, number)

    def why(self) -> tuple[Step, ...]:
        """Return the births of the line of descent, oldest first, each with what it gained on which examples.

        Every interval stands at 95 % for itself: of twenty steps without any effect one would seem to have some.
        """
        line = self.line()
        return tuple(step_between(parent, child) for parent, child in pairwise(line))

    def origin(self) -> tuple[PartOrigin, ...]:
        """Return where each phrase of its prompt comes from, part by part: which ancestor, by which operator.

        `evo.origins` says how credit is given. Reads the texts of all ancestors; aligns those that had some words.
        """
        places = self._ancestry.up.closure(self._place)
        texts = Texts(self._folder, self._ancestry.numbers[places])
        return trace(self.number, Kin(texts.prompt, texts.operator, self._parents, self._age))

    def pedigree(self) -> Pedigree:
        """Return the graph of the individual and its ancestors, every parent with its role."""
        places = self._ancestry.up.closure(self._place)
        return whole(self._folder, self._ancestry, places, self.number)

    def simplified(self, *, alive: bool = True, tree: bool = False, living: Sequence[int] | None = None) -> Pedigree:
        """Return the genealogy of this individual and of those alive, without extinct lines and without mere steps.

        Individuals between one parent and one child become a link of several ``steps`` (`evo.simplify`).

        Args:
            alive: Whether those alive are shown, too; else this individual's ancestry alone.
            tree: Follow only the parent each is a variant of (role ``base``, else the first). A long run with much
                crossover stays large without it.
            living: Who is alive; None for whom `alive_in` finds.
        """
        ancestry = self._ancestry
        samples = self._place
        if alive:
            others = alive_in(self._folder, ancestry) if living is None else ancestry.known(living)
            samples = np.union1d(samples, others).astype(np.int32)
        small = simplify(ancestry.base if tree else ancestry.up, samples)
        return summary(self._folder, ancestry, small, self.number)

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """Return `Pedigree.to_networkx` of the individual and its ancestors."""
        return self.pedigree().to_networkx()

    def to_dot(self) -> str:
        """Return `Pedigree.to_dot` of the individual and its ancestors."""
        return self.pedigree().to_dot()

    def to_mermaid(self) -> str:
        """Return `Pedigree.to_mermaid` of the individual and its ancestors."""
        return self.pedigree().to_mermaid()

    def __repr__(self) -> str:
        return f"Lineage({self.number}, {len(self.ancestors)} ancestors, {len(self.descendants)} descendants)"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows (`evo.view.notebook`)."""
        from evo.view.notebook import lineage_bundle

        return lineage_bundle(self._folder, self._ancestry, self.number)

    def _found(self, number: int) -> Places:
        place = self._ancestry.known([number] if 0 <= number < 2**63 else [])
        if not place.size:
            raise EvoError(f"no individual {number} in {self._folder}; `evo best -k 20` and `individuals()` name some")
        return place

    def _fitness(self) -> npt.NDArray[np.float64]:
        """Return dev fitness by place, -1 for those who have none or did not stay in the race."""
        table = individuals_now(self._folder, ["id", "status", "fitness"])
        table = table.filter(pc.and_(pc.equal(table["status"], OK), pc.is_valid(table["fitness"])))
        places = self._ancestry.places(table["id"].to_numpy())
        fitness = np.full(len(self._ancestry.numbers), -1.0)
        fitness[places[places != NOBODY]] = table["fitness"].to_numpy()[places != NOBODY]
        return fitness

    def _parents(self, number: int) -> list[int]:
        """Return an individual's parents, the base first, each once."""
        ancestry = self._ancestry
        place = ancestry.places([number])
        base = ancestry.base.to[ancestry.base.rows(place)].tolist()
        others = ancestry.up.to[ancestry.up.rows(place)].tolist()
        return ancestry.numbers[list(dict.fromkeys([*base, *others]))].tolist() if others else []

    def _age(self, number: int) -> int:
        return int(self._ancestry.places([number])[0])


class Numbered(Protocol):
    """Whatever has an individual's number."""

    @property
    def number(self) -> int:
        """Its number."""
        ...


def number_of(individual: Numbered | SupportsIndex) -> int:
    """Return an individual's number, or the number it is: of Python, numpy or Arrow. Raises EvoError for all else."""
    found: Any = getattr(individual, "number", individual)
    found = found.as_py() if isinstance(found, pa.Scalar) else found
    try:
        return operator.index(found)
    except TypeError:
        raise EvoError(f"expected an individual or its number, got {individual!r:.80}; `best.number` is one") from None


def alive_in(folder: Path, ancestry: Ancestry) -> Places:
    """Return who is alive: the populations of islands that have come to rest, as the log has them.

    Of an island that goes on or was killed those are the parents of its last `RECENT` births: deaths are not logged.
    """
    islands = ancestry.numbers >> ISLAND_BITS
    rest = _populations(folder)
    found = [np.empty(0, np.int32)]
    for island in np.unique(islands).tolist():
        recent = np.flatnonzero(islands == island)[-RECENT:].astype(np.int32)
        found.append(ancestry.known(rest[island]) if island in rest else ancestry.up.around(recent))
    return np.unique(np.concatenate(found))


def _populations(folder: Path) -> dict[int, list[int]]:
    """Return the populations of islands that have come to rest, and have done nothing since."""
    told: dict[int, tuple[int, list[int]]] = {}
    asked: dict[int, int] = {}
    read = 0
    for piece in read_pieces(folder, "events", ["island", "kind", "detail"]):
        kind, islands = piece["kind"].cast(pa.string()), piece["island"].to_numpy()
        for place in np.flatnonzero(pc.equal(kind, LIVING)).tolist():
            told[int(islands[place])] = read + place, json.loads(piece["detail"][place].as_py())
        places = np.flatnonzero(pc.equal(kind, "asked"))
        asked |= dict(zip(islands[places].tolist(), (read + places).tolist(), strict=True))
        read += len(piece)
    return {island: numbers for island, (place, numbers) in told.items() if asked.get(island, -1) < place}


def step_between(parent: Individual, child: Individual) -> Step:
    """Return a birth as a step from one of its parents."""
    before, after = ({**one.practice.scores, **one.evaluation.scores} for one in (parent, child))
    shared = sorted(before.keys() & after.keys())
    gain = paired_difference(after, before, child_rng(0, "why")) if shared else None
    changes = tuple((row, after[row] - before[row]) for row in shared if after[row] != before[row])
    role = next(role for number, role in child.parents if number == parent.number)
    return Step(child, parent, role, gain, changes)
