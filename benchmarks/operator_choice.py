"""Whom TIDE's credit lets breed: simulated births, with what operators gain made up.

    python benchmarks/operator_choice.py --births 60 --seeds 100
    python benchmarks/operator_choice.py --sweep

In each world the children of some operators gain more than others', drawn around a mean with the noise of 20 rows, or
are no prompts at all. Prints each operator's share of the first and of the second half of the births, means of the
seeds, and how much the children gained in the mean, beside what drawing by prior weight alone would have given. With
``--sweep`` prints what a birth gains in each world for other values of `operators.credit.TRUST` and ``SPREAD``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from operators import credit
from operators.credit import NOISE, Credit, drawn_operator
from operators.tide import WEIGHTS

Gain = Callable[[str], float | None]
FREE = ("edit", "reframe", "phrase-crossover", "few-shot")
"""Operators that need no model."""
WORLDS: dict[str, Gain] = {
    "reflection is good": lambda name: 0.03 if name == "reflect" else -0.03,
    "worked examples are good": lambda name: 0.05 if name == "few-shot" else -0.03,
    "all the same": lambda name: -0.03,
    "the model writes useless prompts": lambda name: -0.03 if name in FREE else -0.18,
    "the model writes no prompts": lambda name: -0.03 if name in FREE else None,
}
"""Mean gain by operator; None: its births fail."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--births", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--sweep", action="store_true", help="compare other trust in the prior")
    options = parser.parse_args()
    if options.sweep:
        _sweep(options.births, options.seeds)
        return
    names = [name for name, _ in WEIGHTS]
    for world, gain in WORLDS.items():
        drawn = np.array([_births(gain, options.births, seed) for seed in range(options.seeds)])
        halves = [drawn[:, half] for half in np.array_split(np.arange(options.births), 2)]
        shares = {name: [float((half == place).mean()) for half in halves] for place, name in enumerate(names)}
        gains = np.array([gain(name) or 0.0 for name in names])
        weights = np.array([weight for _, weight in WEIGHTS])
        print(f"\n{world}: a birth gains {gains[drawn].mean():+.3f}, by weights alone {gains @ weights:+.3f}")
        for name, (first, second) in sorted(shares.items(), key=lambda item: -item[1][1]):
            print(f"  {name:20} {first:.2f}  {second:.2f}")


def _sweep(births: int, seeds: int) -> None:
    print(f"{'trust':>6} {'spread':>6}  " + "  ".join(f"{world:>32}" for world in WORLDS) + f"  {'mean':>6}")
    names = [name for name, _ in WEIGHTS]
    for credit.TRUST in (0.0, 0.1, 0.2, 0.4):
        for credit.SPREAD in (0.01, 0.03, 0.06):
            means = []
            for gain in WORLDS.values():
                gains = np.array([gain(name) or 0.0 for name in names])
                means.append(float(gains[[_births(gain, births, seed) for seed in range(seeds)]].mean()))
            cells = "  ".join(f"{mean:+32.4f}" for mean in means)
            print(f"{credit.TRUST:6} {credit.SPREAD:6}  {cells}  {np.mean(means):+.4f}", flush=True)


def _births(gain: Gain, count: int, seed: int) -> list[int]:
    """Return the places of the operators that bred."""
    rng, weights = np.random.default_rng(seed), dict(WEIGHTS)
    credits = {name: Credit(name) for name in weights}
    drawn = []
    for _ in range(count):
        name = drawn_operator(list(credits.values()), weights, rng)
        drawn.append(list(weights).index(name))
        mean = gain(name)
        seen = None if mean is None else float(rng.normal(mean, NOISE))
        credits[name] = credits[name].after(seen, fresh=seen is not None)
    return drawn


if __name__ == "__main__":
    main()
