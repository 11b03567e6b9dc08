"""A trace of one run on three Ray nodes, of which one is killed in the middle and another one joins.

    python benchmarks/lost_node.py

Prints, for every two seconds, the rows whose call began on each node, and what the run's log says happened then. At the
end: calls the log has twice, rows without a score, parents that are not in the log, and births by island.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

import evo
from fitness.fake import toy_rows

EVERY_S = 2.0
QUIET = ("clock", "asked", "told")
SCORER = '''
import ray


def on_node(reply, example):
    """Score like `choice`, and say on which node."""
    return float(example.target in reply.lower()), ray.get_runtime_context().get_node_id()[:8]
'''
RUNNER = """
import subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
run = subprocess.Popen([sys.executable, "-m", "evo", "run", sys.argv[1], "--plain", "--address", cluster.address])
folder = Path(sys.argv[1]).parent
while run.poll() is None and not list(folder.glob("runs/*/journal-*.jsonl")):
    time.sleep(0.1)
time.sleep(float(sys.argv[2]))
print(f"KILLED {time.time()} {nodes[1].node_id[:8]}", flush=True)
cluster.remove_node(nodes[1], allow_graceful=False)
time.sleep(float(sys.argv[2]))
joined = cluster.add_node(num_cpus=1)
print(f"JOINED {time.time()} {joined.node_id[:8]}", flush=True)
code = run.wait()
cluster.shutdown()
sys.exit(code)
"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument(
        "--after", type=float, default=15.0, help="seconds from the first log to the kill, and to a join"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "task.yaml"
        (Path(folder) / "scoring.py").write_text(SCORER)
        config.write_text(yaml.safe_dump(_settings(folder, options.calls)))
        command = [sys.executable, "-c", RUNNER, str(config), str(options.after)]
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        done_to = [line.split() for line in done.stdout.splitlines() if line.startswith(("KILLED", "JOINED"))]
        _print_trace(evo.open_run(Path(folder) / "runs"), [(float(at), f"{what} {node}") for what, at, node in done_to])


def _settings(folder: str, calls: int) -> dict[str, object]:
    data = toy_rows(300, 0)
    return {
        "task": {"data": {"dev": data[:200], "test": data[200:]}, "scorer": "scoring:on_node"},
        "prompts": ["What is the mood?", "Sort the text.", "Positive or negative?"],
        "model": {"name": "fake/toy", "options": {"latency_ms": 200}},
        "method": {"name": "steady-state", "operators": {"edit": 1.0}},
        "islands": 3,
        "concurrency": 24,
        "budget": {"calls": calls},
        "cache": False,
        "storage": f"{folder}/runs",
    }


def _print_trace(run: evo.Run, done_to: list[tuple[float, str]]) -> None:
    calls = run.calls().to_pylist()
    began = {call["key"]: call["started_at"].timestamp() for call in calls}
    rows = run.evaluations().to_pylist()
    scored = [(began[row["call"]], row["reason"]) for row in rows if row["call"] in began and row["reason"]]
    nodes = list(dict.fromkeys(node for _, node in sorted(scored)))
    start = min(at for at, _ in scored)
    counts = Counter((int((at - start) // EVERY_S), node) for at, node in scored)
    happened = sorted(done_to + [(e["at"].timestamp(), _said(e)) for e in run.events().to_pylist() if _said(e)])
    print("s".rjust(4), *(node.rjust(9) for node in nodes))
    for tick in range(1 + max(tick for tick, _ in counts)):
        here = Counter(what for at, what in happened if int((at - start) // EVERY_S) == tick)
        said = "; ".join(f"{what} x{count}" if count > 1 else what for what, count in here.items())
        print(f"{tick * EVERY_S:4.0f}", *(str(counts[tick, node]).rjust(9) for node in nodes), f"  {said}")
    _print_books(run, calls, rows)


def _said(event: dict[str, Any]) -> str:
    return "" if event["kind"] in QUIET else f"{event['kind']} {(event['detail'] or '')[:60]}".strip()


def _print_books(run: evo.Run, calls: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    born = run.individuals().to_pylist()
    known = {one["id"] for one in born}
    answered = Counter(call["key"] for call in calls if call["text"] is not None)
    print(f"{len(calls)} calls, {sum(count - 1 for count in answered.values())} twice in the log")
    print(f"{sum(row['score'] is None for row in rows)} of {len(rows)} rows without a score")
    print(f"{sum(edge['parent'] not in known for edge in run.edges().to_pylist())} parents missing")
    print(f"births by island: {dict(sorted(Counter(one['island'] for one in born).items()))}")


if __name__ == "__main__":
    main()
