"""How long until the first evaluation, and what the processes weigh: `evo run`, inline and under Ray.

    python benchmarks/startup.py

Reads the time of the first settled call from the run's log, and sums the resident memory of everything the command has
started (shared pages counted once for each process, so an upper bound).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import family_mb

from evo.journal import read_table

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Measure and print."""
    seconds = sorted(_import_seconds() for _ in range(5))
    print(f"import evo: median {seconds[2]:.2f} s of 5")
    for name, config, changes in (
        ("inline, fake model", "toy.yaml", ["executor=inline"]),
        ("Ray, fake model", "toy.yaml", []),
        ("Ray, local model, two islands", "messages.yaml", ["budget.seconds=25"]),
    ):
        first, peak = _run(EXAMPLES / config, changes)
        print(f"{name}: first call settled after {first:.1f} s, at most {peak:.0f} MB resident")


def _import_seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import evo"], check=True)
    return time.perf_counter() - started


def _run(config: Path, changes: list[str]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        settings = [*changes, f"storage={folder}/runs", "cache=false"]
        command = [sys.executable, "-m", "evo", "run", str(config), "--plain"]
        command += [part for change in settings for part in ("--set", change)]
        started = time.time()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, family_mb(process.pid))
            time.sleep(0.25)
        (manifest,) = Path(folder).glob("runs/*/run.json")
        calls = read_table(manifest.parent, "calls", ["started_at", "latency_s"]).to_pylist()
    first = min(call["started_at"].timestamp() + call["latency_s"] for call in calls)
    return first - started, peak


if __name__ == "__main__":
    main()
