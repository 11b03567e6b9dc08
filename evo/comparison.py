"""Runs of one task side by side: their winners paired row by row, what they cost, how fast they got there.

Winners are compared on the test rows that all of the pair were tested on, and on the dev rows both have a score for;
the searches went by the latter. Of several differences each has its own interval, and a p-value adjusted for their
number (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from evo.best import Estimate
from evo.budget import Usage
from evo.common_rows import Names, common_rows, flat
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.progress import best_after
from evo.randomness import child_rng
from evo.run import Run
from evo.secrets import secret_in
from evo.statistics import mean_interval, paired_difference
from evo.verdict import test_scores

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
"""After which shares of the calls of the shortest run the best of each is looked up."""
HIDDEN = "(left out: it looks like a secret)"
_ASIDE = ("storage",)


@dataclass(frozen=True, slots=True)
class Contender:
    """A run with its winner, or the best so far. ``optimism``: by how much dev exceeds test; None without a test."""

    path: Path
    status: str
    methods: tuple[str, ...]
    models: tuple[str, ...]
    individual: int
    operator: str
    parts: tuple[tuple[str, str], ...]
    dev: Estimate
    test: Estimate | None
    optimism: float | None
    looks: int
    births: int
    spent: Usage
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The winner of run ``second`` minus that of run ``first``, by place, on rows of ``split`` both have a score for.

    ``p_value`` is two-sided; ``adjusted_p`` is for all differences on that split together.
    """

    first: int
    second: int
    split: str
    mean: float
    low: float
    high: float
    n: int
    p_value: float
    adjusted_p: float

    @property
    def significant(self) -> bool:
        """Whether zero is refused at 95 %, by the adjusted test and by the interval, both."""
        return self.adjusted_p < 0.05 and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, in the order they were given.

    ``course`` holds for each number of ``calls`` the best dev fitness of each run by then, by what is known now.
    ``settings`` are those that differ, by dotted name, a value for each run.
    """

    runs: tuple[Contender, ...]
    differences: tuple[Difference, ...]
    calls: tuple[int, ...]
    course: tuple[tuple[float | None, ...], ...]
    settings: Mapping[str, tuple[Any, ...]]


def compare(*runs: Run | Path | str) -> Comparison:
    """Return how runs of one task compare: two or more, finished or not.

    Runs whose rows were split differently, as by another seed, are paired on the rows that are in the same split of
    both; their data are read again for that.

    Raises:
        ConfigError: there is no such run, there are fewer than two, or they do not solve the same task.
        EvoError: one has scored nothing.
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    if len({run.path.resolve() for run in opened}) < max(2, len(opened)):
        raise ConfigError(f"expected two or more different runs, got {', '.join(str(run.path) for run in opened)}")
    names = common_rows([RunFolder.open(run.path) for run in opened])
    found = [_contender(run) for run in opened]
    calls = _shared_calls(found)
    return Comparison(
        tuple(found),
        (*_differences("test", opened, found, names), *_differences("dev", opened, found, names)),
        calls,
        tuple(zip(*(best_after(run.path, calls) for run in opened), strict=True)),
        _unlike([RunFolder.open(run.path).manifest["settings"] for run in opened]),
    )


def _contender(run: Run) -> Contender:
    best, islands = run.best, run.settings.archipelago
    one = best.individual
    dev = mean_interval(one.evaluation.scores.values())
    return Contender(
        path=run.path,
        status=run.status,
        methods=tuple(sorted({island.method.name for island in islands if island.method})),
        models=tuple(sorted({island.model.name for island in islands if island.model})),
        individual=one.number,
        operator=one.operator,
        parts=one.prompt.parts,
        dev=Estimate(one.fitness, dev.low, dev.high, one.evaluation.count),
        test=best.test,
        optimism=one.fitness - best.test.mean if best.test else None,
        looks=int((run.result or {}).get("looks", 1)),
        births=run.individuals().num_rows,
        spent=run.spent,
        elapsed_s=run.elapsed_s,
    )


def _differences(
    split: str, runs: Sequence[Run], found: Sequence[Contender], names: Sequence[Names]
) -> list[Difference]:
    scores = [
        _named(_scores(run, one.individual, split), called) for run, one, called in zip(runs, found, names, strict=True)
    ]
    return _adjusted(
        [
            _difference(split, (a, b), (scores[a], scores[b]))
            for a, b in combinations(range(len(runs)), 2)
            if scores[a].keys() & scores[b].keys()
        ]
    )


def _scores(run: Run, number: int, split: str) -> Mapping[int, float]:
    return test_scores(run.path, number) if split == "test" else run.individual(number).evaluation.scores


def _named(scores: Mapping[int, float], called: Names) -> dict[Hashable, float]:
    return {called(number): score for number, score in scores.items()}


def _difference(
    split: str, places: tuple[int, int], scores: tuple[Mapping[Hashable, float], Mapping[Hashable, float]]
) -> Difference:
    first, second = scores
    shared = [name for name in first if name in second]
    after, before = ({place: some[name] for place, name in enumerate(shared)} for some in (second, first))
    gain = paired_difference(after, before, child_rng(0, f"comparison-{split}", *places))
    return Difference(*places, split, gain.mean, gain.low, gain.high, gain.n, gain.p_value, gain.p_value)


def _adjusted(differences: list[Difference]) -> list[Difference]:
    """Return the differences with p-values adjusted by Holm's step-down procedure."""
    order = sorted(range(len(differences)), key=lambda place: differences[place].p_value)
    least = 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * differences[place].p_value))
        differences[place] = replace(differences[place], adjusted_p=least)
    return differences


def _shared_calls(found: Sequence[Contender]) -> tuple[int, ...]:
    fewest = min(one.spent.calls for one in found)
    return tuple(sorted({round(share * fewest) for share in SHARES} - {0}))


def _unlike(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    every = [dict(flat(some)) for some in settings]
    names = dict.fromkeys(name for some in every for name in some if name.partition(".")[0] not in _ASIDE)
    values = {name: tuple(_without_secret(name, some.get(name)) for some in every) for name in names}
    return {name: found for name, found in values.items() if any(one != found[0] for one in found)}


def _without_secret(name: str, value: Any) -> Any:
    return HIDDEN if isinstance(value, str) and secret_in({name.rpartition(".")[2]: value}) else value
