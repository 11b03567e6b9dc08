"""What a run says of its data, row by row: which no prompt solves, and which may be labelled wrongly.

Item analysis of classical test theory (Lord and Novick 1968): a row is an item, a prompt is a person. A row that good
prompts miss and bad ones solve measures something else than the rest, and where good prompts agree on one wrong answer,
the label may be what is wrong. Read it as a list to look at, not as a verdict.

Scores may be degrees: a row is missed below half, and solved by no prompt where all miss it. Answers are compared, not
what a scorer says of them, which may hold the score; replies are, where a scorer reads no answer out of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_pieces
from evo.replay import SPLITS, individuals_now

Floats = npt.NDArray[np.float64]

SOLVED = 0.5
"""The score from which on a row counts as solved, not as missed."""
AGREED = 0.8
"""Share of the better prompts that must miss a row with the same answer for it to be suspect."""
ANSWER_CHARS = 200
"""Of an answer at most this much is compared and shown."""
FEWEST = 5
"""Prompts that must have tried a row before anything but counts is said of it."""
SCHEMA = pa.schema(
    [
        ("example", pa.int32()),
        ("split", pa.string()),
        ("tried", pa.int64()),
        ("missing", pa.int64()),
        ("mean", pa.float64()),
        ("best", pa.float64()),
        ("discrimination", pa.float64()),
        ("noise", pa.float64()),
        ("common_miss", pa.string()),
        ("agreed", pa.float64()),
        ("suspect", pa.bool_()),
    ]
)


def item_analysis(folder: Path) -> pa.Table:
    """Return a row for each dev and train row; see `evo.run.Run.examples`. Time grows with the log, memory does not."""
    known = individuals_now(folder, ["id", "fitness", "prompt", "n_scored"])
    copies = _copies(known)
    known = known.filter(pc.and_(pc.is_valid(known["fitness"]), pc.invert(pc.is_in(known["id"], copies))))
    if not known.num_rows:
        return SCHEMA.empty_table()
    fitness = known["fitness"].to_numpy()
    better = known["id"].filter(pa.array(fitness >= np.median(fitness))).combine_chunks()
    counts, misses = _Counts(), []
    names = ["individual", "example", "split", "score", "answer", "reply", "parsed", "spread"]
    for piece in read_pieces(folder, "evaluations", names):
        piece = piece.filter(pc.is_in(piece["split"].cast(pa.string()), pa.array(SPLITS)))
        piece = piece.filter(pc.invert(pc.is_in(piece["individual"], copies)))
        place = pc.index_in(piece["individual"], value_set=known["id"].combine_chunks())
        counts.add(piece, place, fitness)
        misses.append(_misses(piece.filter(pc.is_in(piece["individual"], better))))
    return counts.table(_common(misses))


def _copies(individuals: pa.Table) -> pa.Array:
    """Return all individuals but that with the most rows of each prompt: migrants, and seeds on several islands."""
    order = individuals.sort_by([("n_scored", "descending"), ("id", "ascending")])
    _, first = np.unique(order["prompt"].to_numpy(), return_index=True)
    rest = np.setdiff1d(np.arange(order.num_rows), first)
    return order["id"].take(pa.array(rest)).combine_chunks()


class _Counts:
    """Sums over prompts, for each row."""

    def __init__(self) -> None:
        self._split: dict[int, str] = {}
        self._sums = np.zeros((0, 10))

    def add(self, piece: pa.Table, place: pa.ChunkedArray, fitness: Floats) -> None:
        """Count the evaluations of a piece, whose individuals stand at ``place`` in ``fitness``."""
        if not piece.num_rows:
            return
        example = piece["example"].to_numpy()
        self._split.update(zip(example.tolist(), piece["split"].cast(pa.string()).to_pylist(), strict=True))
        if (size := 1 + int(example.max())) > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros((size - len(self._sums), 10))])
        scored = piece["score"].is_valid().to_numpy()
        np.add.at(self._sums[:, 7], example[~scored], 1)
        usable = scored & place.is_valid().to_numpy()
        row, x = example[usable], piece["score"].to_numpy()[usable]
        y = fitness[place.fill_null(0).to_numpy()[usable]]
        for column, value in enumerate((np.ones_like(x), x, x * x, y, y * y, x * y)):
            np.add.at(self._sums[:, column], row, value)
        np.maximum.at(self._sums[:, 6], row, x)
        repeated = piece["spread"].is_valid().to_numpy()
        np.add.at(self._sums[:, 8], example[repeated], 1)
        np.add.at(self._sums[:, 9], example[repeated], piece["spread"].to_numpy()[repeated])

    def table(self, common: dict[int, tuple[str, int, int]]) -> pa.Table:
        """Return the table, the rows in the order of their numbers."""
        rows = []
        for example in sorted(self._split):
            n, best, missing, repeated = (self._sums[example, column] for column in (0, 6, 7, 8))
            answer, same, tried = common.get(example, ("", 0, 0))
            enough = tried >= FEWEST
            rows.append(
                {
                    "example": example,
                    "split": self._split[example],
                    "tried": int(n),
                    "missing": int(missing),
                    "mean": self._sums[example, 1] / n if n else None,
                    "best": best if n else None,
                    "discrimination": _correlation(*self._sums[example, :6]) if n >= FEWEST else None,
                    "noise": self._sums[example, 9] / repeated if repeated else None,
                    "common_miss": answer,
                    "agreed": same / tried if tried else None,
                    "suspect": bool(enough and same / tried >= AGREED),
                }
            )
        return pa.Table.from_pylist(rows, SCHEMA)


def _correlation(n: float, x: float, xx: float, y: float, yy: float, xy: float) -> float | None:
    """Return Pearson's correlation from sums; None where either does not vary."""
    spread = (n * xx - x * x) * (n * yy - y * y)
    return float((n * xy - x * y) / np.sqrt(spread)) if spread > 1e-9 else None


def _misses(piece: pa.Table) -> pa.Table:
    """Return how often each row was tried, and missed with which answer; an empty answer stands for all tries.

    A reply that no answer or no verdict could be read from agrees with nobody.
    """
    scored = piece.filter(pc.is_valid(piece["score"]))
    missed = scored.filter(pc.and_(pc.less(scored["score"], SOLVED), scored["parsed"]))
    said = pc.if_else(pc.equal(missed["answer"], ""), missed["reply"].cast(pa.string()), missed["answer"])
    said = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(pc.utf8_lower(said)), 0, ANSWER_CHARS)
    answers = missed.select(["example"]).append_column("answer", said).filter(pc.not_equal(said, ""))
    tries = scored.select(["example"]).append_column("answer", pa.repeat("", scored.num_rows))
    return pa.concat_tables([tries, answers]).group_by(["example", "answer"]).aggregate([([], "count_all")])


def _common(pieces: list[pa.Table]) -> dict[int, tuple[str, int, int]]:
    """Return for each row the commonest answer that misses, how often it was given, and how often the row was tried."""
    together = pa.concat_tables(pieces).group_by(["example", "answer"]).aggregate([("count_all", "sum")])
    found: dict[int, tuple[str, int, int]] = {}
    tried: dict[int, int] = {}
    for row in together.sort_by([("count_all_sum", "descending"), ("answer", "ascending")]).to_pylist():
        example, count = row["example"], row["count_all_sum"]
        if row["answer"] == "":
            tried[example] = count
        elif example not in found:
            found[example] = (row["answer"], count, 0)
    return {example: (*found.get(example, ("", 0, 0))[:2], count) for example, count in tried.items()}
