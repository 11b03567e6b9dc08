"""What a second node is worth where scoring takes a core: one Ray node of one core, then two, the same run.

    python benchmarks/two_nodes.py

The scorer sleeps, holding its worker as one that computes would, so a machine with few cores shows what two with as
many would do. Prints the seconds in which the same number of rows was scored, from first to last, and their ratio.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from evo.journal import read_table
from fitness.fake import toy_rows

SCORER = '''
import time


def slow(reply, example):
    """Hold the worker."""
    time.sleep({seconds})
    return float(example.target in reply.lower())
'''
RUNNER = """
import subprocess, sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
for _ in range(int(sys.argv[1]) - 1):
    cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
command = [sys.executable, "-m", "evo", "run", sys.argv[2], "--plain", "--address", cluster.address]
code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
cluster.shutdown()
sys.exit(code)
"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1500, help="rows to score")
    parser.add_argument("--row-ms", type=float, default=40.0, help="how long the scorer takes for one")
    options = parser.parse_args()
    took = {nodes: _seconds(nodes, options.rows, options.row_ms) for nodes in (1, 2)}
    ideal = options.rows * options.row_ms / 1000
    print(f"{options.rows} rows of {options.row_ms:g} ms: one node {took[1]:.1f} s ({ideal:.1f} s of scoring)")
    print(f"two nodes {took[2]:.1f} s, ratio {took[2] / took[1]:.2f}")


def _seconds(nodes: int, rows: int, row_ms: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "task.yaml"
        (Path(folder) / "slow_scorer.py").write_text(SCORER.format(seconds=row_ms / 1000))
        config.write_text(yaml.safe_dump(_settings(folder, rows)))
        subprocess.run([sys.executable, "-c", RUNNER, str(nodes), str(config)], check=True, cwd=folder)
        (manifest,) = Path(folder).glob("runs/*/run.json")
        calls = read_table(manifest.parent, "calls", ["started_at", "purpose"]).to_pylist()
    moments = [call["started_at"].timestamp() for call in calls if call["purpose"] == "task"]
    return max(moments) - min(moments)


def _settings(folder: str, rows: int) -> dict[str, object]:
    data = toy_rows(136, 0)
    return {
        "task": {"data": {"dev": data[:128], "test": data[128:]}, "scorer": "slow_scorer:slow"},
        "prompts": ["What is the mood?", "Sort the text.", "Positive or negative?"],
        "model": "fake/toy",
        "method": {"name": "steady-state", "operators": {"edit": 1.0}},
        "racing": "full",
        "final_race": 1,
        "islands": 2,
        "concurrency": 16,
        "budget": {"calls": rows},
        "cache": False,
        "storage": f"{folder}/runs",
    }


if __name__ == "__main__":
    main()
