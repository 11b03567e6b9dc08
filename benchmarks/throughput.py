"""How well a run keeps its slots full at an endpoint with heavy-tailed latency, and what a call costs the client.

    python benchmarks/throughput.py --slots 32 --waves 200 --executor inline --client direct

The endpoint (`endpoint.py`) has a process of its own. Prints the mean number of requests under way, as the endpoint
sees them, between the first and the last moment all slots are taken, and their median; wall time over (service time /
slots); and CPU a call, all of the client's processes together, between a fifth and the end of the search's calls,
start-up left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from endpoint import Endpoint

import evo
from evo.status import Snapshot
from fitness.fake import toy_rows

DEV = 980
"""Rows a birth is scored on."""
AHEAD = 12
"""Rows under way or waiting for each slot: while the slowest of a birth's is waited for, others fill the slots."""
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--waves", type=int, default=200, help="calls for each slot")
    parser.add_argument("--executor", choices=("inline", "ray"), default="inline")
    parser.add_argument("--client", choices=("direct", "litellm"), default="direct")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--median-ms", type=float, default=200.0)
    parser.add_argument("--sigma", type=float, default=0.8)
    options = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    endpoint = Endpoint(median_ms=options.median_ms, sigma=options.sigma)
    try:
        cpu = _run(options, endpoint)
    finally:
        spans, _ = endpoint.close()
    full, mean, median = in_flight(spans, options.slots)
    service = sum(end - begin for begin, end in spans)
    wall = max(end for _, end in spans) - min(begin for begin, _ in spans)
    print(f"{options.executor}, {options.client}, {options.slots} slots: {len(spans)} calls in {wall:.1f} s")
    print(f"in flight {mean:.1f} = {100 * mean / options.slots:.1f} % of the slots over {full:.1f} s, median {median}")
    print(f"wall {wall / (service / options.slots):.3f} of service time / slots")
    print(f"client CPU {cpu:.3f} ms a call")


def _run(options: argparse.Namespace, endpoint: Endpoint) -> float:
    """Return CPU milliseconds a call."""
    seen: list[tuple[int, float]] = []

    def watch(snapshot: Snapshot) -> None:
        if snapshot.phase == "search":
            seen.append((snapshot.spent.calls, _cpu_s(os.getpid(), {os.getpid()}, endpoint.process.pid)))

    calls = options.slots * options.waves
    births = 4 + AHEAD * options.slots // DEV
    with tempfile.TemporaryDirectory() as folder:
        evo.evolve(
            {"data": toy_rows(1000, 0), "split": {"train": 0, "dev": 0.98, "test": 0.02}},
            prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
            model={"name": "openai/m", "api_base": endpoint.api_base, "max_tokens": 5, "client": options.client},
            method={"name": "steady-state", "operators": {"edit": 1.0}, "in_flight": births},
            racing="full",
            final_race=1,
            budget={"calls": calls},
            concurrency=options.slots,
            workers=options.workers,
            executor=options.executor,
            storage=str(Path(folder) / "runs"),
            watch=watch,
        )
    first = next(one for one in seen if one[0] >= calls / 5)
    return 1000 * (seen[-1][1] - first[1]) / (seen[-1][0] - first[0])


def in_flight(spans: list[tuple[float, float]], slots: int) -> tuple[float, float, int]:
    """Return seconds from the first to the last moment that all slots are taken, and requests under way in them.

    Their mean, and what at least so many were for half of the time.
    """
    moments = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    times, counts = np.array([moment for moment, _ in moments]), np.cumsum([change for _, change in moments])
    full = np.flatnonzero(counts >= slots)
    if len(full) < 2:
        return 0.0, 0.0, 0
    counts, lasted = counts[full[0] : full[-1]], np.diff(times[full[0] : full[-1] + 1])
    order = np.argsort(counts)
    median = counts[order][np.searchsorted(np.cumsum(lasted[order]), lasted.sum() / 2)]
    return float(lasted.sum()), float(counts @ lasted / lasted.sum()), int(median)


def _cpu_s(pid: int, seen: set[int], but: int) -> float:
    """Return CPU seconds of a process and all it has started, those that have ended too."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            if child not in seen and child != but:
                seen.add(child)
                total += _cpu_s(child, seen, but)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return total
    return total + sum(map(int, fields[11:15])) / TICK


if __name__ == "__main__":
    main()
