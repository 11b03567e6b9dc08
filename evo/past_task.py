"""The task of a run that was, to show the texts of its rows: they are in the data, not in the log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evo.commission import load_task
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.ports import Task

SHOWN_CHARS = 200
"""Most characters of a row's input or target: its beginning, by which a user finds it."""
NOTHING = (None, None)
Shown = tuple[str | None, str | None]


def past_task(folder: RunFolder) -> tuple[Task | None, str]:
    """Return a run's task, or None and in words why its rows cannot be shown."""
    try:
        task = load_task(folder.settings, Path(folder.manifest["base"]))
    except ConfigError as error:
        return None, f"the data cannot be read any more: {error}"
    if task.fingerprint != folder.manifest["fingerprint"]:
        return None, "the data have changed since the run began, so their texts are not shown"
    return task, ""


def row_texts(folder: RunFolder, rows: Iterable[int]) -> list[Shown]:
    """Return the beginnings of the input and the target of each row; None where `past_task` finds no task."""
    task, _ = past_task(folder)
    return [NOTHING if task is None else _shown(task, row) for row in rows]


def _shown(task: Task, row: int) -> Shown:
    example = task.example(row)
    return " | ".join(example.inputs.values())[:SHOWN_CHARS], example.target[:SHOWN_CHARS]
