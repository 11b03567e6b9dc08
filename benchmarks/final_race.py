"""What the final race is worth: the same search with and without it, at equal calls, on the fake model.

    python benchmarks/final_race.py --seeds 30

For each racing policy: by how much the winner's dev score exceeds its true accuracy (optimism), and its true accuracy,
without a final race and with one; then the paired difference in the latter over the seeds, with a 95 % interval. The
fake model has a true accuracy for every prompt, so no call is spent on a test.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np

import evo
from evo.statistics import difference_interval
from fitness.toy import hidden_accuracy, toy_rows

DEV = 200
PROMPTS = ["What is the mood?", "Sort the text.", "Positive or negative?", "Read the review."]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=1500, help="of search and race together")
    parser.add_argument("--method", default="steady-state")
    options = parser.parse_args()
    print(f"{'racing':16}  {'optimism':>16}  {'true':>14}  difference (95 %)")
    for racing in ({"name": "subset", "n": 20}, {"name": "subset", "n": 50}, {"name": "lazy"}, {"name": "halving"}):
        without, with_race = (
            np.array([_run(options, racing, race, seed) for seed in range(options.seeds)]) for race in (1, 4)
        )
        gain = difference_interval((with_race[:, 1] - without[:, 1]).tolist())
        name = " ".join(map(str, racing.values()))
        optimism = f"{_optimism(without):+.3f} / {_optimism(with_race):+.3f}"
        true = f"{without[:, 1].mean():.3f} / {with_race[:, 1].mean():.3f}"
        mean = (with_race[:, 1] - without[:, 1]).mean()
        print(f"{name:16}  {optimism}  {true}  {mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]", flush=True)


def _optimism(scores: np.ndarray[Any, Any]) -> float:
    return float((scores[:, 0] - scores[:, 1]).mean())


def _run(options: argparse.Namespace, racing: dict[str, Any], race: int, seed: int) -> tuple[float, float]:
    """Return the winner's dev score and true accuracy."""
    with tempfile.TemporaryDirectory() as storage:
        run = evo.evolve(
            {"data": {"dev": toy_rows(DEV)}, "scorer": "choice"},
            prompts=PROMPTS,
            model="fake/toy",
            method=options.method,
            racing=racing,
            final_race=race,
            budget={"calls": options.calls},
            executor="inline",
            storage=storage,
            seed=seed,
        )
        assert run.result is not None
        winner = run.result["winner"]
        return winner["dev"]["mean"], hidden_accuracy(winner["text"])


if __name__ == "__main__":
    main()
