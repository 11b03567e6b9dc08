"""Which rows several runs have in common: what comparing them row by row stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo.commission import load_task
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.untrusted import one_line

_ASIDE = ("data", "split", "description")
"""Settings of a task that change neither what a row is nor how it is scored."""
Names = Callable[[int], Hashable]
"""Says of a run's row what it is called in all runs."""


def common_rows(folders: Sequence[RunFolder]) -> list[Names]:
    """Return for each run how its rows are called in all of them; rows of one name are the same.

    Runs on the same rows, split and ordered alike, are trusted to be so; of others the data are read again. Raises
    ConfigError where the runs do not solve the same task: it says what differs.
    """
    if len({folder.manifest["fingerprint"] for folder in folders}) == 1:
        return [int] * len(folders)  # by their numbers
    for other in folders[1:]:
        _refuse_unlike(folders[0], other)
    names = [_names_in(folder) for folder in folders]
    for folder, found in zip(folders[1:], names[1:], strict=True):
        if not set(found.values()) & set(names[0].values()):
            raise ConfigError(
                f"{folders[0].path} and {folder.path} have no row in common: their data differ; "
                "compare runs on the same data"
            )
    return [found.__getitem__ for found in names]


def _refuse_unlike(one: RunFolder, other: RunFolder) -> None:
    first, second = (dict(flat(folder.manifest["settings"]["task"])) for folder in (one, other))
    names = [name for name in {**first, **second} if name.partition(".")[0] not in _ASIDE]
    unlike = [name for name in names if first.get(name) != second.get(name)]
    if unlike:
        words = (f"{name} is {_said(first.get(name))} and {_said(second.get(name))}" for name in unlike)
        raise ConfigError(
            f"{one.path} and {other.path} solve different tasks: {'; '.join(words)}; compare runs of one task"
        )


def _names_in(folder: RunFolder) -> dict[int, Hashable]:
    """Return a name for each row, made from what it holds: equal rows are told apart by their order."""
    try:
        task = load_task(folder.settings, Path(folder.manifest["base"]))
    except ConfigError as error:
        raise ConfigError(f"{_unmatched(folder)}: {error}") from error
    if task.fingerprint != folder.manifest["fingerprint"]:
        raise ConfigError(f"{_unmatched(folder)}: its data have changed since it began; put them back")
    times: Counter[Hashable] = Counter()
    names: dict[int, Hashable] = {}
    for number in sorted(number for split in ("train", "dev", "test") for number in task.examples(split)):
        row = task.example(number)
        content = (tuple(sorted(row.inputs.items())), repr(row.target), row.choices)
        names[number] = content, times[content]
        times[content] += 1
    return names


def _unmatched(folder: RunFolder) -> str:
    return f"the runs' rows are split or ordered differently, and those of {folder.path} cannot be matched"


def _said(value: Any) -> str:
    return "not set" if value is None else repr(one_line(str(value), 40))


def flat(settings: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield settings by their dotted names."""
    if isinstance(settings, Mapping):
        pairs: Iterable[tuple[Any, Any]] = settings.items()
    elif isinstance(settings, list):
        pairs = enumerate(settings)
    else:
        yield name, settings
        return
    for key, value in pairs:
        yield from flat(value, f"{name}.{key}".lstrip("."))
