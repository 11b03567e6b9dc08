"""What many islands cost: whole runs on the instant fake model, all with as many births, on 1 to 256 islands.

    python benchmarks/islands.py [--executor ray]

Prints for each number of islands the CPU a birth takes beyond that of a run of few births (of all processes together),
the seconds until the first call, the memory of all processes, the fewest and most births of an island, and how many of
the looks for migrants that were due took place. On a machine that others use too, CPU is what to compare.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from processes import family_mb

import evo
from evo.model import MIGRATION
from fitness.fake import toy_rows

EVERY = 4
SETTLING = 4
"""Births of an island in the run whose CPU is taken off: start-up, not births."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took."""

    births: int
    cpu_s: float
    first_s: float
    peak_mb: float
    least: int
    most: int
    moved: int
    alone: int
    """Islands without a migrant."""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--islands", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--births", type=int, default=8192)
    parser.add_argument("--executor", default="inline")
    parser.add_argument("--topology", default="ring")
    options = parser.parse_args()
    print("| islands | CPU ms a birth | start-up CPU s | first call s | MB | births each | migrants | without any |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for islands in options.islands:
        few = _run(options, islands, SETTLING * islands)
        many = _run(options, islands, options.births)
        per_birth = (many.cpu_s - few.cpu_s) / (many.births - few.births)
        print(
            f"| {islands} | {1000 * per_birth:.2f} | {few.cpu_s - per_birth * few.births:.1f} | {many.first_s:.1f} "
            f"| {many.peak_mb:.0f} | {many.least} to {many.most} | {many.moved} | {many.alone} |",
            flush=True,
        )


def _run(options: argparse.Namespace, islands: int, births: int) -> Cost:
    over, peaks = threading.Event(), [0.0]

    def watch_memory() -> None:
        while not over.wait(0.5):
            peaks.append(family_mb())

    watcher = threading.Thread(target=watch_memory)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        began, cpu_s = time.time(), _cpu_s()
        run = evo.evolve(
            {"data": toy_rows(48, 0), "split": {"train": 0, "dev": 0.34, "test": 0.66}},
            prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
            model="fake/toy",
            method={"name": "steady-state", "operators": {"edit": 1.0}, "population": 6},
            racing="full",
            islands=islands,
            topology=options.topology,
            migration={"every": EVERY, "count": 1},
            budget={"births": births},
            executor=options.executor,
            storage=str(Path(folder) / "runs"),
        )
        cpu_s = _cpu_s() - cpu_s
        over.set()
        watcher.join()
        rows = run.individuals().to_pylist()
        first = min(call["started_at"].timestamp() for call in run.calls().to_pylist())
    born = Counter(row["island"] for row in rows if row["operator"] != MIGRATION)
    moved = Counter(row["island"] for row in rows if row["operator"] == MIGRATION)
    alone = sum(not moved[island] for island in range(islands))
    least, most = min(born[island] for island in range(islands)), max(born.values())
    return Cost(sum(born.values()), cpu_s, first - began, max(peaks), least, most, moved.total(), alone)


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of those it has waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


if __name__ == "__main__":
    main()
