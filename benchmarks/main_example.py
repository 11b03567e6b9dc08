"""The main example over several seeds: does it find a better prompt, and does the gain hold on the test rows?

    python benchmarks/main_example.py --seeds 5 --out results.jsonl

Each seed draws its own split, births and operators. Prints a row for each run as it ends, wins and losses alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=EXAMPLES / "messages.yaml")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print("seed  dev   test (95 %)        seed prompt  gain (95 %)          p        calls  wall s  winner")
    for seed in range(options.seeds):
        result, wall = _run(options.config, seed, options.set)
        winner, base, gain = result["winner"], result["baseline"]["test"], result["gain"]
        test = winner["test"]
        print(
            f"{seed:4}  {winner['dev']['mean']:.3f} {test['mean']:.3f} [{test['low']:.3f}, {test['high']:.3f}]"
            f" {base['mean']:11.3f}  {gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
            f" {gain['p_value']:8.2g} {result['spent']['calls']:6} {wall:7.0f}  {winner['text']!r}",
            flush=True,
        )
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps({"seed": seed, "wall_s": wall, **result}) + "\n")


def _run(config: Path, seed: int, changes: list[str]) -> tuple[dict, float]:
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"seed={seed}", f"storage={folder}", "cache=false", *changes]
        command = [sys.executable, "-m", "evo", "run", str(config), "--json"]
        command += [part for change in settings for part in ("--set", change)]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"seed {seed} failed: {done.stderr[-2000:]}")
        return json.loads(done.stdout), time.perf_counter() - started


if __name__ == "__main__":
    main()
