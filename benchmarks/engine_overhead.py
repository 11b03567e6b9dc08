"""What a row costs apart from the model: a run on the instant fake model, inline, with memory watched.

    python benchmarks/engine_overhead.py --calls 100000

Prints milliseconds a call over the whole run, the log's share, and peak memory at the first and the last tenth.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import evo
from evo.journal import Journal
from fitness.fake import toy_rows


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--islands", type=int, default=2)
    options = parser.parse_args()
    memory: list[tuple[int, float]] = []
    logging = _timed_journal()
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        run = evo.evolve(
            {"data": toy_rows(1000, 0), "split": {"train": 0, "dev": 0.5, "test": 0.5}},
            prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
            model="fake/toy",
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
    print(f"log {100 * logging[0] / wall:.2f} % of the wall (append and rotation; sealing has its own thread)")
    print(f"peak memory {early:.0f} MB after a tenth, {_peak_mb():.0f} MB at the end")


def _timed_journal() -> list[float]:
    spent = [0.0]
    append = Journal.append

    def timed(self: Journal, rows: object) -> None:
        started = time.perf_counter()
        append(self, rows)  # type: ignore[arg-type]
        spent[0] += time.perf_counter() - started

    Journal.append = timed  # type: ignore[method-assign]
    return spent


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
