"""What a row costs apart from the model: a run on the instant fake model, inline, with memory watched.

    python benchmarks/engine_overhead.py --calls 100000

Prints milliseconds a call over the whole run, the log's share, and peak memory at the first and the last tenth. On a
machine that others use too, CPU is what to compare.
"""

from __future__ import annotations

import argparse
import gc
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evo
import evo.journal
import evo.processes
from evo.journal import Journal
from fitness.fake import toy_rows


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--islands", type=int, default=2)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long the fake model takes for a call")
    parser.add_argument("--collect-often", action="store_true", help="leave Python's garbage collector as it is")
    options = parser.parse_args()
    if options.collect_often:
        evo.processes.COLLECT_AFTER = gc.get_threshold()
    memory: list[tuple[int, float]] = []
    append, sealing = _timed(Journal, "append"), _timed(evo.journal, "seal")
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        run = evo.evolve(
            {"data": toy_rows(1000, 0), "split": {"train": 0, "dev": 0.5, "test": 0.5}},
            prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
            model={"name": "fake/toy", "options": {"latency_ms": options.latency_ms}},
            method={"name": "steady-state", "operators": {"edit": 1.0}},
            racing="full",
            islands=options.islands,
            budget={"calls": options.calls},
            executor="inline",
            storage=str(Path(folder) / "runs"),
            watch=lambda snapshot: memory.append((snapshot.spent.calls, _peak_mb())),
        )
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        calls = run.spent.calls
    early = next(mb for done, mb in memory if done >= calls / 10)
    print(f"calls {calls}, wall {wall:.1f} s, CPU {cpu:.1f} s")
    print(f"per call {1000 * wall / calls:.3f} ms wall, {1000 * cpu / calls:.3f} ms CPU")
    print(f"log {100 * append.wall_s / wall:.2f} % of the wall, {100 * append.cpu_s / cpu:.2f} % of the CPU")
    print(f"sealing, in its own thread, {100 * sealing.cpu_s / cpu:.2f} % of the CPU")
    print(f"peak memory {early:.0f} MB after a tenth, {_peak_mb():.0f} MB at the end")


@dataclass(slots=True)
class _Spent:
    wall_s: float = 0.0
    cpu_s: float = 0.0


def _timed(owner: Any, name: str) -> _Spent:
    """Return what calls of a function will have taken, those on their own thread's CPU."""
    spent, function = _Spent(), getattr(owner, name)

    def timed(*arguments: Any) -> Any:
        started, cpu = time.perf_counter(), time.thread_time()
        try:
            return function(*arguments)
        finally:
            spent.wall_s += time.perf_counter() - started
            spent.cpu_s += time.thread_time() - cpu

    setattr(owner, name, timed)
    return spent


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
