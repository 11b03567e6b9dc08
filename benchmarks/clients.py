"""What a call costs the client alone: `complete` in a loop at an endpoint with heavy-tailed latency, no engine around.

    python benchmarks/clients.py --slots 32 512 --calls 8000

The endpoint (`endpoint.py`) has a process of its own. Prints CPU milliseconds a call of this process for each client,
in uvloop as a run has it, from the second call on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time

import uvloop
from endpoint import Endpoint

from evo.model import Request
from evo.plugins import build_model
from evo.settings import ModelSettings

ASK = Request.user("Tell whether the review is positive or negative. " * 4, max_tokens=5)


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[32, 512])
    parser.add_argument("--clients", nargs="+", default=["direct", "litellm"], choices=["direct", "litellm"])
    parser.add_argument("--calls", type=int, default=8000)
    parser.add_argument("--median-ms", type=float, default=200.0)
    options = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    for client in options.clients:
        for slots in options.slots:
            endpoint = Endpoint(median_ms=options.median_ms, sigma=0.8)
            try:
                settings = ModelSettings(name="openai/m", api_base=endpoint.api_base, client=client)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    cpu_ms, per_s = runner.run(cost(settings, slots, options.calls))
            finally:
                endpoint.close()
            print(
                f"{client:8} {slots:4} at once: {cpu_ms:6.3f} ms of CPU a call, {per_s:5.0f} calls a second", flush=True
            )


async def cost(settings: ModelSettings, slots: int, calls: int) -> tuple[float, float]:
    """Return CPU milliseconds a call, and calls a second."""
    llm, left = build_model(settings), calls
    await llm.complete(ASK)  # imports and the first connection are not what a call costs

    async def ask() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await llm.complete(ASK)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask() for _ in range(slots)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    await llm.aclose()
    return 1000 * cpu / calls, calls / wall


if __name__ == "__main__":
    main()
