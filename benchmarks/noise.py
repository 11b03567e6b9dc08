"""What evolution has to see through, counted from the logs of runs: how much prompts differ, and how much chance does.

    python benchmarks/noise.py RUNS [RUNS ...]

RUNS are folders of runs of one task, such as the storage of `benchmarks/methods.py`. No model is called. Prints, of all
runs together: the spread of prompts' mean scores on at least ``--rows`` dev rows, and what is left of it when chance
is taken off; how alike two prompts score the same rows; and for each operator how many births gave a prompt, how many
of those a prompt that was there already, and the gain over the parent on 20 dev rows both have, the first by number:
its mean with a 95 % interval, its standard deviation, and the share of births above zero. Where these rows chose the
parent, a gain is rather too low.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import evo
from evo.model import FAILED, MIGRATION
from evo.run import Run
from evo.statistics import difference_interval

FIRST = 20
FEWEST = 8
"""Shared rows of which a gain or a correlation is made, at least."""
Scores = dict[int, float]


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that hold runs")
    parser.add_argument("--rows", type=int, default=40, help="fewest rows of a mean score")
    options = parser.parse_args()
    prompts: dict[str, Scores] = {}
    born: Counter[str] = Counter()
    valid: Counter[str] = Counter()
    known: Counter[str] = Counter()
    gains: dict[str, list[float]] = defaultdict(list)
    count = 0
    for run in _runs(options.runs):
        count += 1
        scores, seen = _dev_scores(run), set[str]()
        parents = {row["child"]: row["parent"] for row in run.edges().to_pylist() if row["role"] == "base"}
        for row in run.individuals().to_pylist():
            number, operator = row["id"], row["operator"]
            own = scores.get(number, {})
            prompts.setdefault(row["prompt"], {}).update(own)
            if operator != MIGRATION:
                born[operator] += 1
                valid[operator] += row["status"] != FAILED
                known[operator] += row["status"] != FAILED and row["prompt"] in seen
            seen.add(row["prompt"])
            gain = _gain(own, scores.get(parents.get(number, -1), {}))
            if gain is not None:
                gains[operator].append(gain)
    print(f"{count} runs, {sum(born.values())} births, {len(prompts)} prompts")
    _print_spread([one for one in prompts.values() if len(one) >= options.rows], options.rows)
    print(
        f"\n{'operator':24} {'born':>5} {'valid':>6} {'known':>6} {'gain (95 %)':>26} {'sd':>6} {'better':>7}  compared"
    )
    for operator in sorted(born, key=lambda name: -np.mean(gains[name] or [-1])):
        shares = f"{valid[operator] / born[operator]:6.2f} {known[operator] / max(1, valid[operator]):6.2f}"
        print(f"{operator:24} {born[operator]:5} {shares} {_line(gains[operator])}")


def _runs(folders: list[Path]) -> Iterator[Run]:
    for folder in folders:
        for log in sorted(folder.rglob("run.json")):
            yield evo.open_run(log.parent)


def _dev_scores(run: Run) -> dict[int, Scores]:
    """Return scores by individual and dev row."""
    found: dict[int, Scores] = defaultdict(dict)
    for row in run.evaluations().select(["individual", "example", "split", "score"]).to_pylist():
        if row["split"] == "dev" and row["score"] is not None:
            found[row["individual"]][row["example"]] = row["score"]
    return found


def _gain(child: Scores, parent: Scores) -> float | None:
    shared = sorted(child.keys() & parent.keys())[:FIRST]
    return float(np.mean([child[row] - parent[row] for row in shared])) if len(shared) >= FEWEST else None


def _print_spread(prompts: list[Scores], rows: int) -> None:
    if len(prompts) < 2:
        return
    rng, pairs = np.random.default_rng(0), []
    for _ in range(5000):
        one, other = (prompts[int(place)] for place in rng.choice(len(prompts), 2, replace=False))
        shared = [row for row in one if row in other]
        pair = np.array([[side[row] for row in shared] for side in (one, other)])
        if len(shared) >= rows and pair.std(axis=1).all():
            pairs.append(np.corrcoef(pair)[0, 1])
    alike = float(np.mean(pairs)) if pairs else 0.0
    means = np.array([np.mean(list(one.values())) for one in prompts])
    drawn = np.mean([np.var(list(one.values())) / len(one) for one in prompts])
    chance = drawn * (1 - alike)  # rows are the same for all: that some are hard moves all means alike
    true = np.sqrt(max(0.0, means.var(ddof=1) - chance))
    print(
        f"{len(prompts)} prompts with {rows} rows or more: mean {means.mean():.3f}, from {means.min():.3f} to", end=" "
    )
    print(f"{means.max():.3f}; sd {means.std(ddof=1):.3f}, of which chance {np.sqrt(chance):.3f}, prompts {true:.3f}")
    print(f"two prompts' scores on the same rows: correlation {alike:.2f} (sd {np.std(pairs):.2f})" if pairs else "")


def _line(gains: list[float]) -> str:
    if len(gains) < 2:
        return f"{'':26} {'':6} {'':7}  {len(gains)}"
    found = difference_interval(gains)
    interval = f"{np.mean(gains):+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    return f"{interval:>26} {np.std(gains, ddof=1):6.3f} {np.mean(np.array(gains) > 0):7.2f}  {len(gains)}"


if __name__ == "__main__":
    main()
