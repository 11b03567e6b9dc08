"""Train, dev and test: drawn by seed and stratified by target, never sharing an input."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evo.randomness import child_rng
from evo.settings import SplitSettings

TRAIN, DEV, TEST = SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Splits:
    """Row numbers of each split, ascending, and how many rows are in none, by reason."""

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]
    duplicates: int = 0
    """Rows left out because an equal input with an equal target is kept."""
    conflicts: int = 0
    """Rows left out because the same input came with different targets."""
    leaks: tuple[int, int] = (0, 0)
    """Rows left out of train and of dev because their input is in a later split too."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, as sentences."""
        train, dev = self.leaks
        told = (
            (self.duplicates, f"left out {self.duplicates} rows that repeat another row's input and target"),
            (self.conflicts, f"left out {self.conflicts} rows whose input also comes with another target"),
            (train, f"left out {train} train rows whose input is in dev or test too"),
            (dev, f"left out {dev} dev rows whose input is in test too"),
        )
        return tuple(sentence for count, sentence in told if count)


def normalised(text: str) -> str:
    """Return what two inputs must share to count as the same: letters, without case, width and spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def split_rows(inputs: Sequence[str], targets: Sequence[str], shares: SplitSettings, seed: int) -> Splits:
    """Return the rows dealt into train, dev and test.

    Of rows with one normalised input the first is kept when their targets agree, none when they do not. The draw
    depends on ``seed`` and is stratified by target. With folds the test rows are dev rows.
    """
    kept, conflicts = _distinct(inputs, targets)
    order = [kept[place] for place in stratified_order([targets[row] for row in kept], child_rng(seed, "split"))]
    tested = 0.0 if shares.folds else shares.test
    dev = round(len(order) * (shares.dev + shares.test - tested))
    test = dev + round(len(order) * tested) if shares.train else len(order)
    return Splits(
        train=tuple(sorted(order[test:])),
        dev=tuple(sorted(order[:dev])),
        test=tuple(sorted(order[dev:test])),
        duplicates=len(inputs) - len(kept) - conflicts,
        conflicts=conflicts,
    )


def separate(inputs: Sequence[str], given: Mapping[str, Sequence[int]]) -> Splits:
    """Return splits as given, without the train rows whose input is in dev or test and dev rows whose is in test."""
    keys = {split: {normalised(inputs[row]) for row in given[split]} for split in SPLITS}
    train = _without(given[TRAIN], inputs, keys[DEV] | keys[TEST])
    dev = _without(given[DEV], inputs, keys[TEST])
    leaks = (len(given[TRAIN]) - len(train), len(given[DEV]) - len(dev))
    return Splits(train, dev, tuple(given[TEST]), leaks=leaks)


def stratified_order(targets: Sequence[str], rng: np.random.Generator) -> tuple[int, ...]:
    """Return the places of ``targets`` shuffled so that every prefix has about the shares of the whole.

    Each target's places are spread evenly over the order from a random start; with targets all distinct this is a
    plain shuffle.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place in rng.permutation(len(targets)).tolist():
        places[targets[place]].append(place)
    keyed: list[tuple[float, int]] = []
    for target in sorted(places):
        start = rng.random()
        keyed += [((turn + start) / len(places[target]), place) for turn, place in enumerate(places[target])]
    return tuple(place for _, place in sorted(keyed))


def _distinct(inputs: Sequence[str], targets: Sequence[str]) -> tuple[list[int], int]:
    first: dict[str, int] = {}
    disputed: set[str] = set()
    keys = [normalised(text) for text in inputs]
    for row, key in enumerate(keys):
        if targets[first.setdefault(key, row)] != targets[row]:
            disputed.add(key)
    counts = Counter(keys)
    kept = [row for key, row in first.items() if key not in disputed]
    return kept, sum(counts[key] for key in disputed)


def _without(rows: Sequence[int], inputs: Sequence[str], keys: Collection[str]) -> tuple[int, ...]:
    return tuple(row for row in rows if normalised(inputs[row]) not in keys)
