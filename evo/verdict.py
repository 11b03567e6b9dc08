"""The end of a run: the winner by dev score, tested once beside the best seed prompt on rows no search has seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evo.betting import anytime_difference
from evo.budget import Usage
from evo.errors import EvoError
from evo.failures import failures_of
from evo.journal import read_pieces, read_table
from evo.model import Individual, island_of
from evo.randomness import child_rng
from evo.replay import individuals_now, read_individuals
from evo.statistics import mean_interval, paired_difference, sure_fitnesses

SEED = "seed"
"""The operator of individuals that are seed prompts."""
ENOUGH = 0.5
"""Share of the most evidence anyone has that it takes to be ranked."""


@dataclass(frozen=True, slots=True)
class Finalists:
    """The winner, and the best of the seed prompts it is compared with; the winner itself where no seed was scored."""

    winner: Individual
    baseline: Individual

    @property
    def distinct(self) -> tuple[Individual, ...]:
        """Both, or the one there is."""
        same = self.winner.prompt == self.baseline.prompt
        return (self.winner,) if same else (self.winner, self.baseline)


def finalists(folder: Path, kin_of: Callable[[int], Collection[int]] | None = None) -> Finalists:
    """Return the finalists of a run. Raises EvoError when nothing has been scored.

    ``kin_of`` tells the islands with an island's task model: both finalists are then scored by the winner's.
    """
    ranked = ranking(folder)
    if not ranked:
        raise EvoError("no prompt was scored, so there is no best one; look at the failed births with `evo show`")
    # Seeds are ranked by themselves: racing may have dropped them early, and copies of them have migrated.
    islands = None if kin_of is None else kin_of(island_of(ranked[0]))
    best_seed = (ranking(folder, 1, operator=SEED, islands=islands) or ranked)[0]
    found = {i.number: i for i in read_individuals(folder, numbers=[ranked[0], best_seed])}
    return Finalists(found[ranked[0]], found[best_seed])


def ranking(
    folder: Path,
    k: int | None = None,
    *,
    operator: str | None = None,
    islands: Collection[int] | None = None,
    enough: float = ENOUGH,
) -> list[int]:
    """Return individuals from best to worst, one for each text, those with ``enough`` of the most evidence, half of it.

    They are ranked by the lower end of the interval of their dev fitness: with equal evidence that is the order of
    fitness, and luck on few rows does not win. Ties go to the shorter prompt, then to the older individual. With
    ``operator``, among those it made; with ``islands``, among those born there.
    """
    table = individuals_now(folder, ["id", "island", "operator", "status", "fitness", "n_scored", "prompt"])
    table = table.filter(pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["fitness"])))
    if operator is not None:
        table = table.filter(pc.equal(table["operator"], operator))
    if islands is not None:
        table = table.filter(pc.is_in(table["island"], pa.array(islands, pa.int32())))
    if not table.num_rows:
        return []
    most = pc.max(pc.add(table["n_scored"], 0)).as_py()
    table = table.filter(pc.greater_equal(table["n_scored"], enough * most))
    pieces = [
        (piece["hash"], pc.utf8_length(piece["text"])) for piece in read_pieces(folder, "prompts", ["hash", "text"])
    ]
    hashes, lengths = (
        pa.chunked_array([chunk for piece in column for chunk in piece.chunks]) for column in zip(*pieces, strict=True)
    )
    which = pc.index_in(table["prompt"], value_set=hashes)
    length = lengths.take(which).to_numpy()
    fitness, scored, numbers = (table[name].to_numpy() for name in ("fitness", "n_scored", "id"))
    order = np.lexsort((numbers, length, -sure_fitnesses(fitness, scored)))
    _, first = np.unique(which.to_numpy()[order], return_index=True)
    best: list[int] = numbers[order[np.sort(first)]].tolist()
    return best[:k]


def test_scores(folder: Path, number: int) -> Mapping[int, float]:
    """Return an individual's scores on the test split, by example."""
    mine = ("individual", pa.array([number], pa.int64()))
    rows = read_table(folder, "evaluations", ["individual", "example", "split", "score"], only=mine).to_pylist()
    return {row["example"]: row["score"] for row in rows if row["split"] == "test" and row["score"] is not None}


def noise_of(folder: Path, number: int) -> float | None:
    """Return the standard deviation of a row's score from one repeat to the next, over all rows of an individual.

    None where no row was asked twice.
    """
    mine = ("individual", pa.array([number], pa.int64()))
    spreads = read_table(folder, "evaluations", ["individual", "spread"], only=mine)["spread"].drop_null().to_numpy()
    return float(np.sqrt(np.mean(spreads**2))) if len(spreads) else None


def looks_at_test(earlier: Mapping[str, Any] | None, chosen: Finalists) -> int:
    """Return how often the test rows have been looked at, this time among them: once for each pair of finalists.

    A run that is resumed may end with another winner, judged by rows that are no longer unseen. ``earlier`` is the
    result before, if there was one.
    """
    if earlier is None:
        return 1
    sides = [earlier["winner"]["individual"], earlier["baseline"]["individual"]]
    others = sides != [chosen.winner.number, chosen.baseline.number]
    return int(earlier.get("looks", 1)) + (others and earlier["winner"]["test"] is not None)


def verdict(
    folder: Path,
    chosen: Finalists,
    *,
    status: str,
    spent: Usage,
    elapsed_s: float,
    seed: int,
    looks: int = 1,
    copied: Mapping[str, Sequence[int]] | None = None,
    crossed: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """Return the result as plain data: what ``result.json`` holds and the command line prints.

    ``test`` and ``gain`` are None where there are no test rows. ``gain`` is the paired difference of the winner to
    the best seed prompt on the test rows both have a score for; None too where no seed was scored. ``anytime`` is the
    same for a test that may have been looked at before and goes on: a resume that tests more rows, or other finalists.
    ``noise`` is how much a row's score varies between repeats, as a standard deviation; None where rows are asked once.
    ``optimism`` is by how much the winner's dev score exceeds its test score. ``crossed`` is the mean of such scores as
    `evo.crossfit` finds, with its gain over the best seed prompt on the same rows; None where that was not asked for.
    ``failures`` is what `evo.failures` counts. ``copied`` are rows, by split, that the winner quotes.
    """
    test = test_scores(folder, chosen.winner.number)
    base = test if len(chosen.distinct) == 1 else test_scores(folder, chosen.baseline.number)
    rng = child_rng(seed, "verdict")
    comparable = chosen.baseline.operator == SEED and set(test) & set(base)
    gain = paired_difference(test, base, rng) if comparable else None
    anytime = anytime_difference(test, base, claim=looks) if comparable else None
    return {
        "status": status,
        "winner": _finalist(chosen.winner, test),
        "baseline": _finalist(chosen.baseline, base),
        "gain": None if gain is None else {**asdict(gain), "significant": gain.significant},
        "anytime": None if anytime is None else asdict(anytime),
        "spent": asdict(spent),
        "elapsed_s": elapsed_s,
        "looks": looks,
        "noise": noise_of(folder, chosen.winner.number),
        "failures": failures_of(folder),
        "optimism": chosen.winner.fitness - sum(test.values()) / len(test) if test else None,
        "crossed": None if crossed is None else _crossed(chosen, crossed, rng),
        "copied": {split: list(rows) for split, rows in (copied or {}).items()},
    }


def _crossed(chosen: Finalists, crossed: Mapping[int, float], rng: np.random.Generator) -> dict[str, Any]:
    seed = chosen.baseline.evaluation.scores
    comparable = chosen.baseline.operator == SEED and set(crossed) & set(seed)
    gain = paired_difference(crossed, seed, rng) if comparable else None
    return {
        **_estimate(list(crossed.values())),
        "gain": None if gain is None else {**asdict(gain), "significant": gain.significant},
    }


def _estimate(scores: Sequence[float]) -> dict[str, Any]:
    interval = mean_interval(scores)
    mean = sum(scores) / len(scores) if scores else None
    return {"mean": mean, "low": interval.low, "high": interval.high, "n": len(scores)}


def _finalist(individual: Individual, test: Mapping[int, float]) -> dict[str, Any]:
    return {
        "individual": individual.number,
        "text": individual.prompt.text,
        "parts": [list(part) for part in individual.prompt.parts],
        "operator": individual.operator,
        "island": individual.island,
        "generation": individual.generation,
        "dev": {"mean": individual.fitness, "n": individual.evaluation.count},
        "test": _estimate(list(test.values())) if test else None,
    }
