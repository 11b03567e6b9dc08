"""How good the prompt is that a run would have reported, had it ended earlier: test accuracy by calls used.

    python benchmarks/anytime.py DATA RESULTS.jsonl --after 200 --storage RUNS

RESULTS.jsonl is what `benchmarks/methods.py` wrote with ``--out`` and ``--after``. Every ``--every`` calls the
incumbent is whom the run would have named its winner (`evo.statistics.sure_fitness` over prompts with at least half of
the most evidence), scored on the same unseen test rows as the winners, outside of any budget. Prints for each method
and racing policy the mean over seeds, and the median of the calls after which the incumbent stays ``--level`` above
the best seed prompt by dev; "never" where half of the seeds end below. Calls are counted as the budget counts them:
rows, and what operators asked for births up to the row's own; answers known before are calls too.

In the end, over all runs: the winner's dev score less its test score, and its gain over the best seed prompt by dev
less that on the test rows, which rows that are easier than others do not touch.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from methods import drawn_rows, scores_after

import evo
from evo.model import FAILED
from evo.run import Run
from evo.statistics import sure_fitness
from evo.verdict import ENOUGH


def main() -> None:
    """Read, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--after", type=int, default=200, metavar="N", help="test rows")
    parser.add_argument("--every", type=int, default=100, metavar="CALLS")
    parser.add_argument("--level", type=float, default=0.03, help="above the best seed prompt by dev")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--storage", type=Path, default=Path("runs"), help="where test scores are kept")
    options = parser.parse_args()
    rows = drawn_rows(options.data / "test.jsonl", options.after)
    latest = {(one["method"], one["racing"], one["seed"]): one for one in map(json.loads, options.results.open())}
    curves: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    reached: dict[tuple[str, str], list[float]] = defaultdict(list)
    most = max(one["spent"]["calls"] for one in latest.values())
    marks = range(options.every, most + options.every, options.every)
    for (method, racing, _), one in latest.items():
        known = {
            parts: float(np.mean(scores_after(json.loads(parts), {"name": options.model}, rows, options.storage)))
            for parts in dict.fromkeys(incumbents(evo.open_run(one["run"]), marks))
        }
        curve = [known[parts] for parts in incumbents(evo.open_run(one["run"]), marks)]
        curves[method, racing].append(curve)
        reached[method, racing].append(stays(curve, marks, one["baseline"]["test"]["mean"] + options.level))
    print(
        f"{'method':40} {'racing':16} seeds  " + " ".join(f"{mark:>6}" for mark in marks) + f"  +{options.level} after"
    )
    for (method, racing), found in curves.items():
        means = " ".join(f"{mean:6.3f}" for mean in np.mean(found, axis=0))
        calls = float(np.median(reached[method, racing]))
        print(f"{method[:40]:40} {racing:16} {len(found):5}  {means}  {calls if np.isfinite(calls) else 'never'}")
    print_optimism(latest.values())


def print_optimism(results: Collection[dict[str, Any]]) -> None:
    """Print by how much dev scores, and gains over the best seed prompt, exceed those on the test rows."""
    levels, gains = [], []
    for one in results:
        dev = evo.open_run(one["run"]).result
        assert dev is not None
        winner, baseline = (dev[side]["dev"]["mean"] - one[side]["test"]["mean"] for side in ("winner", "baseline"))
        levels.append(winner)
        gains.append(winner - baseline)
    for name, found in (("dev - test", levels), ("gain on dev - on test", gains)):
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        print(f"{name} of {len(found)} winners: {np.mean(found):+.3f} +- {error:.3f}")


def stays(curve: list[float], marks: range, level: float) -> float:
    """Return the first of the marks from which on a curve is not below a level; infinity where it ends below."""
    below = [place for place, mean in enumerate(curve) if mean < level]
    first = below[-1] + 1 if below else 0
    return float(marks[first]) if first < len(curve) else float("inf")


def incumbents(run: Run, marks: range) -> list[str]:
    """Return the parts, as JSON, of whom the run would have reported after each number of calls."""
    asked = Counter(row["individual"] for row in run.calls().to_pylist() if row["purpose"] == "operator")
    births = {row["id"]: row["prompt"] for row in run.individuals().to_pylist() if row["status"] != FAILED}
    prompts = {row["hash"]: row for row in run.prompts().to_pylist()}
    lengths = {number: len(prompts[prompt]["text"]) for number, prompt in births.items()}
    scores: dict[int, dict[int, float]] = defaultdict(dict)
    calls, found = 0, list[str]()
    for row in run.evaluations().select(["individual", "example", "split", "score"]).to_pylist():
        calls += 1 + sum(asked.pop(number) for number in [one for one in asked if one <= row["individual"]])
        while len(found) < len(marks) and calls > marks[len(found)]:
            found.append(prompts[births[leader(scores, lengths)]]["parts"])
        if row["split"] == "dev" and row["score"] is not None:
            scores[row["individual"]][row["example"]] = row["score"]
    return found + [prompts[births[leader(scores, lengths)]]["parts"]] * (len(marks) - len(found))


def leader(scores: dict[int, dict[int, float]], lengths: dict[int, int]) -> int:
    """Return whom a run would report, as `evo.verdict.ranking` has it."""
    most = max(map(len, scores.values()))
    able = {number: list(own.values()) for number, own in scores.items() if len(own) >= ENOUGH * most}
    sure = {number: sure_fitness(float(np.mean(own)), len(own)) for number, own in able.items()}
    return min(able, key=lambda number: (-sure[number], lengths[number], number))


if __name__ == "__main__":
    main()
