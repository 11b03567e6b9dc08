"""Where the best came from and who is left: its line of descent, migration among islands, the living and their kin."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from evo.journal import read_table
from evo.lineage import RECENT, Step, step_between
from evo.model import Individual, Prompt
from evo.replay import read_individuals
from evo.view.shorten import shortened
from evo.view.snapshot import Snapshot
from evo.words import diff

STEPS = 40
"""Most births of a line of descent that are shown, the last ones."""
LEAVES = 60
"""Most of the living in a phylogeny, the fittest."""
TRACED = 20_000
"""Most characters of a prompt whose phrases are traced to where they come from."""
ROWS = 12
"""Most rows named of those a birth won or lost."""


def descent(snapshot: Snapshot) -> dict[str, Any]:
    """Return the births on the best one's line, oldest first, with what each changed and gained."""
    numbers = snapshot.line[-STEPS:]
    known = {one.number: one for one in read_individuals(snapshot.folder, numbers=numbers)}
    line = [known[number] for number in numbers]
    steps = [_first(one) for one in line[:1]]
    steps += [_step(step_between(parent, child)) for parent, child in pairwise(line)]
    return {"total": len(snapshot.line), "steps": steps, "origin": _origin(snapshot, line)}


def migration(snapshot: Snapshot) -> dict[str, Any]:
    """Return how many migrated from where to where, were accepted, and have descendants among the living."""
    found = read_table(snapshot.folder, "migrations", ["from_island", "to_island", "copy", "accepted"]).to_pylist()
    sent = Counter((row["from_island"], row["to_island"]) for row in found)
    taken = Counter((row["from_island"], row["to_island"]) for row in found if row["accepted"])
    living = np.zeros(len(snapshot.numbers), np.bool_)
    living[snapshot.living] = True
    flows = []
    for way in sorted(sent):
        copies = [row["copy"] for row in found if row["accepted"] and (row["from_island"], row["to_island"]) == way]
        places = snapshot.ancestry.known([copy for copy in copies if copy is not None])
        left = int(living[snapshot.ancestry.down.closure(places)].sum())
        flows.append({"from": way[0], "to": way[1], "sent": sent[way], "accepted": taken[way], "living": left})
    return {"islands": snapshot.islands, "flows": flows, "living": int(living.sum()), "recent": RECENT}


def phylogeny(snapshot: Snapshot) -> dict[str, Any] | None:
    """Return the fittest of the living with their ancestry along base parents, mere steps left out.

    Nodes: number, step, fitness, whether alive. Links: places of child and parent among them, births between.
    """
    if snapshot.lineage is None:
        return None
    living = snapshot.living
    rank = np.empty(len(snapshot.numbers), np.int64)
    rank[snapshot.by_rank] = np.arange(len(rank))
    fittest = living[np.argsort(rank[living], kind="stable")][:LEAVES]
    numbers = snapshot.numbers[fittest].tolist()
    small = snapshot.lineage.simplified(living=numbers, tree=True)
    places = snapshot.ancestry.places(small.numbers)
    alive = np.isin(places, fittest)
    fitness = [None if np.isnan(value) else float(value) for value in snapshot.fitness[places]]
    nodes = zip(small.numbers.tolist(), places.tolist(), fitness, alive.tolist(), strict=True)
    links = zip(small.child.tolist(), small.parent.tolist(), small.steps.tolist(), strict=True)
    return {"living": len(living), "shown": len(fittest), "nodes": list(nodes), "links": list(links)}


def _first(one: Individual) -> dict[str, Any]:
    return {**_about(one), "parent": None, "role": "", "gain": None, "won": [], "lost": [], "diff": _diff(None, one)}


def _step(step: Step) -> dict[str, Any]:
    gain = None if step.gain is None else {**asdict(step.gain), "significant": step.gain.significant}
    return {
        **_about(step.child),
        "parent": step.parent.number,
        "role": step.role,
        "gain": gain,
        "won": [len(step.won), *step.won[:ROWS]],
        "lost": [len(step.lost), *step.lost[:ROWS]],
        "diff": _diff(step.parent, step.child),
    }


def _about(one: Individual) -> dict[str, Any]:
    return {
        "id": one.number,
        "operator": one.operator,
        "fitness": one.fitness if one.evaluation.count else None,
        "n_scored": one.evaluation.count,
    }


def _diff(before: Individual | None, after: Individual) -> list[dict[str, Any]]:
    old, new = (_short(one.prompt) if one else Prompt(()) for one in (before, after))
    return [
        {"part": one.part, "gene": one.gene, "changes": [[change.kind, change.text] for change in one.changes]}
        for one in diff(new if before is None else old, new)
    ]


def _short(prompt: Prompt) -> Prompt:
    return Prompt(tuple((name, shortened(text)) for name, text in prompt.parts))


def _origin(snapshot: Snapshot, line: list[Individual]) -> list[dict[str, Any]]:
    """Return which ancestor brought each phrase of the best; nothing for a prompt too long to trace."""
    if snapshot.lineage is None or line[-1].prompt.length > TRACED:
        return []
    return [asdict(part) for part in snapshot.lineage.origin()]
