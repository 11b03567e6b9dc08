"""Measure how often the intervals that are printed hold the truth, and how often an e-value of 20 is wrong or right.

    python benchmarks/coverage.py [--draws 1000]

Worlds are made up and their true means known. Of each world, interval and number of rows: the share of draws whose 95 %
interval holds the truth, and the interval's mean width. A confidence sequence counts as holding only where it does so
after every tenth row. Of e-values: how often 20 is ever reached, rows looked at one by one, beside how often one exact
McNemar test on all rows is significant with the same sign. Takes some CPU minutes for 1000 draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from evo.betting import SHARES, confidence_sequence
from evo.statistics import difference_interval, mean_interval, paired_difference

Floats = npt.NDArray[np.float64]
World = Callable[[int, np.random.Generator], Floats]
ROWS = (10, 20, 30, 50, 100, 200)
JUDGED = ([0, 0.25, 0.5, 0.75, 1], [0.02, 0.05, 0.13, 0.3, 0.5])


def coin(p: float) -> World:
    """Return right and wrong answers."""
    return lambda n, rng: (rng.random(n) < p).astype(float)


def f1_like(n: int, rng: np.random.Generator) -> Floats:
    """Return scores of which 30 % are 0, 40 % are 1 and the rest lies evenly between; mean .55."""
    kind = rng.random(n)
    return np.where(kind < 0.3, 0.0, np.where(kind < 0.7, 1.0, rng.random(n)))


def judged(n: int, rng: np.random.Generator) -> Floats:
    """Return a good prompt's grades on a scale of five; mean .8025."""
    return rng.choice(JUDGED[0], p=JUDGED[1], size=n)


def rarely_flawed(n: int, rng: np.random.Generator) -> Floats:
    """Return scores of 1 but for a row in ten; mean .95."""
    return np.where(rng.random(n) < 0.9, 1.0, rng.random(n))


def lifted(world: World, share: float) -> World:
    """Return what a prompt gains that solves a share of the rows and leaves the others alone."""
    return lambda n, rng: np.where(rng.random(n) < share, 1 - world(n, rng), 0.0)


def reworded(n: int, rng: np.random.Generator) -> Floats:
    """Return differences of F1-like scores where one row in five is answered anew; mean 0."""
    return np.where(rng.random(n) < 0.2, f1_like(n, rng) - f1_like(n, rng), 0.0)


def flips(win: float, lose: float) -> World:
    """Return paired differences of right and wrong answers."""
    return lambda n, rng: rng.choice([1.0, -1.0, 0.0], p=[win, lose, 1 - win - lose], size=n)


MEANS: dict[str, tuple[World, float]] = {
    **{f"right or wrong, {p}": (coin(p), p) for p in (0.5, 0.8, 0.95)},
    "F1-like, 0.55": (f1_like, 0.55),
    "judged, 0.80": (judged, 0.8025),
    "rarely flawed, 0.95": (rarely_flawed, 0.95),
}
DIFFERENCES: dict[str, tuple[World, float]] = {
    "20 % of F1-like reworded, 0": (reworded, 0.0),
    "20 % of F1-like solved, +0.09": (lifted(f1_like, 0.2), 0.09),
    "10 % of judged solved, +0.02": (lifted(judged, 0.1), 0.1 * (1 - 0.8025)),
}
PAIRS = {
    f"wins {win}, losses {lose}": (flips(win, lose), win - lose) for win, lose in ((0.1, 0.1), (0.2, 0.1), (0.05, 0))
}


def held(ends: tuple[float, float], truth: float) -> bool:
    """Return whether an interval holds the truth, to rounding."""
    return ends[0] - 1e-9 <= truth <= ends[1] + 1e-9


def of_mean(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of a mean as results have it."""
    found = mean_interval(values, rng=rng)
    return found.low, found.high


def of_differences(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of graded paired differences as results have it."""
    found = difference_interval(values, rng=rng)
    return found.low, found.high


def of_pairs(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of paired right and wrong answers as results have it."""
    found = paired_difference(*_sides(values), rng)
    return found.low, found.high


def measured(
    worlds: dict[str, tuple[World, float]],
    interval: Callable[[Floats, np.random.Generator], tuple[float, float]],
    draws: int,
) -> Iterator[str]:
    """Yield a table row for each world: coverage and mean width by number of rows."""
    for name, (world, truth) in worlds.items():
        cells = []
        for n in ROWS:
            rng = np.random.default_rng(n)
            found = [interval(world(n, rng), rng) for _ in range(draws)]
            share = np.mean([held(ends, truth) for ends in found])
            cells.append(f"{share:.3f} ({np.mean([high - low for low, high in found]):.2f})")
        yield f"| {name} | {' | '.join(cells)} |"


def always(worlds: dict[str, tuple[World, float]], draws: int, last: int = 200) -> Iterator[str]:
    """Yield a table row for each world: how often the confidence sequence holds throughout, and its last width."""
    for name, (world, truth) in worlds.items():
        rng, kept, width = np.random.default_rng(1), 0, 0.0
        for _ in range(draws):
            values = world(last, rng)
            looks = [confidence_sequence(values[:n]) for n in range(10, last + 1, 10)]
            kept += all(held(ends, truth) for ends in looks)
            width += looks[-1][1] - looks[-1][0]
        yield f"| {name} | {kept / draws:.3f} | {width / draws:.2f} |"


def alarms(win: float, lose: float, rows: int, draws: int) -> str:
    """Return a table row: how often an e-value of 20 is reached at the end, at any row, and what one test finds."""
    rng = np.random.default_rng(rows)
    values = flips(win, lose)(draws * rows, rng).reshape(draws, rows)
    money = np.exp([np.cumsum(np.log1p(share * values), axis=1) for share in SHARES.tolist()]).mean(axis=0)
    once = [paired_difference(*_sides(row), rng) for row in values[:500]]
    test = np.mean([one.p_value < 0.05 and one.mean > 0 for one in once])
    return (
        f"| {win} / {lose} | {rows} | {np.mean(money[:, -1] >= 20):.3f} | "
        f"{np.mean(money.max(axis=1) >= 20):.3f} | {test:.3f} |"
    )


def _sides(values: Floats) -> tuple[dict[int, float], dict[int, float]]:
    a, b = (dict(enumerate((sign * values > 0).astype(float).tolist())) for sign in (1, -1))
    return a, b


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    head = f"| world, true value | {' | '.join(f'{n} rows' for n in ROWS)} |\n|{' --- |' * (1 + len(ROWS))}"
    print(f"coverage of 95 % intervals (mean width), {draws} draws\n\n{head}")
    for line in (
        *measured(MEANS, of_mean, draws),
        *measured(PAIRS, of_pairs, draws),
        *measured(DIFFERENCES, of_differences, draws),
    ):
        print(line, flush=True)
    print(
        "\nconfidence sequence, looked at after every tenth of 200 rows\n\n| world | held at all looks | last width |"
    )
    print("| --- | --- | --- |", *always({**PAIRS, **DIFFERENCES}, max(100, draws // 4)), sep="\n", flush=True)
    print("\n| wins / losses | rows | e >= 20 at the end | ever | McNemar once |\n| --- | --- | --- | --- | --- |")
    for win, lose in ((0.1, 0.1), (0.2, 0.2), (0.1, 0.05), (0.15, 0.05), (0.25, 0.05)):
        for rows in (100, 200, 400):
            print(alarms(win, lose, rows, 4 * draws), flush=True)


if __name__ == "__main__":
    main()
