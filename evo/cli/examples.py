"""``evo show RUN --examples``: what a run says of its data, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evo.cli.tables import table, wide_console
from evo.cli.text import one_line, percent, say, shown_path
from evo.commission import load_task
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.item_analysis import FEWEST
from evo.run import Run

MOST = 20
"""Rows printed of each kind; ``--json`` gives all."""
TEXT = 70
_NOTE = "look at a suspect before you drop it: the label may be right, and the prompts wrong together"


def print_examples(run: Run, rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows of `Run.examples` that deserve a look: suspects, then those that no prompt solves."""
    console = wide_console()
    say(console, f"{shown_path(run.path)}: {run.status}")
    tried = [row for row in rows if row["tried"] >= FEWEST]
    suspects = sorted((row for row in tried if row["suspect"]), key=lambda row: -row["agreed"])
    unsolved = [row for row in tried if row["best"] == 0.0 and not row["suspect"]]
    apart = sum(row["best"] > row["mean"] for row in tried)
    words = f"{len(rows)} rows, {len(tried)} tried by {FEWEST} prompts or more: {apart} of them tell prompts apart"
    say(console, words)
    text_of, note = _texts(run.path)
    for title, found in (
        ("suspects: the better prompts agree on a miss", suspects),
        ("solved by no prompt", unsolved),
    ):
        if found:
            shown = [_shown(row, text_of) for row in found[:MOST]]
            console.print(table(f"{title} ({len(found)})", shown))
    say(console, note or _NOTE)


def _shown(row: dict[str, Any], text_of: Callable[[int], str]) -> dict[str, str]:
    return {
        "row": f"{row['example']}",
        "split": row["split"],
        "tried": f"{row['tried']:,}",
        "mean": percent(row["mean"]),
        "agreed": percent(row["agreed"]) if row["agreed"] is not None else "-",
        "common miss": one_line(row["common_miss"], 60),
        "input": text_of(row["example"]),
    }


def _texts(path: Path) -> tuple[Callable[[int], str], str]:
    """Return how to look up a row's input, and in words why that is impossible, if it is."""
    folder = RunFolder.open(path)
    try:
        task = load_task(folder.settings, Path(folder.manifest["base"]))
    except ConfigError as error:
        return (lambda _: ""), f"the data cannot be read any more: {error}"
    if task.fingerprint != folder.manifest["fingerprint"]:
        return (lambda _: ""), "the data have changed since the run began, so their texts are not shown"
    return (lambda number: one_line(" | ".join(task.example(number).inputs.values()), TEXT)), ""
