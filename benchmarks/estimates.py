"""How far `evo estimate` is off: predicted and used calls and tokens of every method, on the fake model.

    python benchmarks/estimates.py --seeds 4

Runs end by generations or births, not by a cap on calls, which both would meet alike.
"""

from __future__ import annotations

import argparse
import tempfile

import evo
from fitness.toy import toy_rows

ROWS = toy_rows(110)
TASK = {"data": {"train": ROWS[:10], "dev": ROWS[10:50], "test": ROWS[50:]}, "scorer": "choice", "description": "Mood."}
PROMPTS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide.", "Which is it?"]
SETUPS = (
    {"method": {"name": "evoprompt-ga", "population": 6, "generations": 4}},
    {"method": {"name": "evoprompt-de", "population": 6, "generations": 4}},
    {"method": {"name": "promptbreeder", "population": 8, "generations": 3, "batch": 20}},
    {"method": "ape"},
    {"method": {"name": "opro", "num_search_steps": 5}},
    {"method": {"name": "protegi", "rounds": 2}},
    {"method": {"name": "grips", "iterations": 5}},
    {"method": {"name": "gps", "top_k": 4, "generations": 4}},
    {"method": {"name": "capo", "population": 6, "n_steps": 4}},
    {"method": "reflect-pareto", "budget": {"births": 60}},
    {"method": "steady-state", "budget": {"births": 60}},
    {"method": "steady-state", "budget": {"births": 60}, "racing": {"name": "gate", "stages": [10, 40]}},
    {"method": "tide", "budget": {"births": 60}},
)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    seeds = range(parser.parse_args().seeds)
    print("method          racing   predicted over used, less 1, by seed: calls; tokens")
    for setup in SETUPS:
        calls, tokens = zip(*(_off(setup, seed) for seed in seeds), strict=True)
        method, racing = setup["method"], setup.get("racing")
        name = method["name"] if isinstance(method, dict) else method
        shown = ["  ".join(f"{off:+5.0%}" for off in offs) for offs in (calls, tokens)]
        print(f"{name:15} {racing['name'] if isinstance(racing, dict) else '-':8} {'; '.join(shown)}", flush=True)


def _off(setup: dict, seed: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        more = {"model": "fake/toy", "prompts": PROMPTS, "budget": {"calls": 100_000}, "executor": "inline", **setup}
        more |= {"seed": seed, "cache": False, "storage": folder}
        predicted, run = evo.estimate(TASK, **more), evo.evolve(TASK, **more)
        return predicted.calls / run.spent.calls - 1, predicted.tokens / run.spent.tokens - 1


if __name__ == "__main__":
    main()
