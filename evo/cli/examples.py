"""``evo show RUN --examples``: what a run says of its data, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evo.cli.tables import table, wide_console
from evo.cli.text import one_line, percent, say, shown_path
from evo.item_analysis import FEWEST, SOLVED
from evo.run import Run

MOST = 20
"""Rows printed of each kind; ``--json`` gives all."""
TEXT = 60
ANSWER = 40
_NOTE = "look at a suspect before you drop it: the label may be right, and the prompts wrong together"

Row = dict[str, Any]


def print_examples(run: Run, rows: Sequence[Row], note: str) -> None:
    """Print the rows of `Run.examples` that deserve a look: suspects, those no prompt solves, and noisy ones.

    ``note`` says why their texts are not known, if they are not.
    """
    console = wide_console()
    say(console, f"{shown_path(run.path)}: {run.status}")
    tried = [row for row in rows if row["tried"] >= FEWEST]
    apart = sum(row["best"] > row["mean"] for row in tried)
    words = f"{len(rows)} rows, {len(tried)} tried by {FEWEST} prompts or more: {apart} of them tell prompts apart"
    say(console, words)
    noisy = any(row["noise"] is not None for row in rows)
    for title, found in _kinds(rows, tried):
        if found:
            shown = [_shown(row, noisy=noisy) for row in found[:MOST]]
            console.print(table(f"{title} ({len(found)})", shown))
    say(console, note or _NOTE)


def _kinds(rows: Sequence[Row], tried: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows worth a look by kind, in each the most striking first."""
    suspects = sorted((row for row in tried if row["suspect"]), key=lambda row: -row["agreed"])
    unsolved = [row for row in tried if row["best"] < SOLVED and not row["suspect"]]
    noisy = sorted((row for row in rows if row["noise"]), key=lambda row: -row["noise"])
    return [
        ("suspects: the better prompts agree on a miss", suspects),
        (f"solved by no prompt: all score below {percent(SOLVED)}", unsolved),
        ("noisy: the score varies from one repeat to the next", noisy),
    ]


def _shown(row: Row, *, noisy: bool) -> dict[str, str]:
    return {
        "row": f"{row['example']}",
        "split": row["split"],
        "tried": f"{row['tried']:,}",
        "mean": percent(row["mean"]),
        **({"noise": percent(row["noise"])} if noisy else {}),
        "agreed": percent(row["agreed"]),
        "common miss": one_line(row["common_miss"], ANSWER),
        "target": one_line(row["target"] or "", ANSWER),
        "input": one_line(row["input"] or "", TEXT),
    }
