"""What a winner's score says of its true accuracy where no rows are kept for a test: dev, and cross-fitted.

    python benchmarks/cross_fitting.py --seeds 40

Of searches on few rows with the fake model, which has a true accuracy for every prompt: by how much the winner's dev
score and the cross-fitted one exceed the winner's true accuracy, on average with a 95 % interval, and how often the
cross-fitted interval holds it.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

import evo
from evo.statistics import difference_interval
from fitness.toy import hidden_accuracy, toy_rows

PROMPTS = ["What is the mood?", "Sort the text.", "Positive or negative?", "Read the review."]

ALL = toy_rows(2000)


def one(rows: int, racing: str, calls: int, seed: int) -> tuple[float, float, float]:
    """Return dev minus true, cross-fitted minus true, and whether the cross-fitted interval holds the true accuracy."""
    drawn = np.random.default_rng(seed).choice(len(ALL), size=round(rows / 0.9), replace=False)
    with tempfile.TemporaryDirectory() as storage:
        run = evo.evolve(
            {"data": [ALL[place] for place in drawn.tolist()], "scorer": "choice", "split": {"folds": 5}},
            prompts=PROMPTS,
            model="fake/toy",
            method="steady-state",
            racing=racing,
            budget={"calls": calls},
            executor="inline",
            storage=storage,
            seed=seed,
        )
        assert run.result is not None
        winner, crossed = run.result["winner"], run.result["crossed"]
        true = hidden_accuracy(winner["text"])
        return winner["dev"]["mean"] - true, crossed["mean"] - true, float(crossed["low"] <= true <= crossed["high"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=1500)
    options = parser.parse_args()
    print("| rows | racing | dev - true | cross-fitted - true | interval holds |\n| --- | --- | --- | --- | --- |")
    for rows, racing in ((30, "full"), (60, "full"), (60, "lazy"), (120, "full")):
        found = np.array([one(rows, racing, options.calls, seed) for seed in range(options.seeds)])
        cells = []
        for column in (found[:, 0], found[:, 1]):
            ends = difference_interval(column.tolist())
            cells.append(f"{column.mean():+.3f} [{ends.low:+.3f}, {ends.high:+.3f}]")
        print(f"| {rows} | `{racing}` | {cells[0]} | {cells[1]} | {found[:, 2].mean():.2f} |", flush=True)


if __name__ == "__main__":
    main()
