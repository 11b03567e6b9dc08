"""``evo show RUN --operators``: what each operator's births came to, and what they took."""

from __future__ import annotations

from typing import Any

from evo.cli.tables import table, wide_console
from evo.cli.text import money, say, shown_path
from evo.run import Run

_NOTE = """\
gain: child minus parent in points, mean over the births compared [95 %], on rows the search went by: rather low where
scores chose the parents, rather high where the operator had read their mistakes
per improvement: calls of both kinds for each improved child"""


def print_operators(run: Run, rows: list[dict[str, Any]]) -> None:
    """Print the rows of `Run.operators` as two tables."""
    console = wide_console()
    say(console, f"{shown_path(run.path)}: {run.status}")
    if not rows:
        return say(console, "no operator's birth has ended yet")
    console.print(table("births", [_births(row) for row in rows]))
    console.print(table("model calls", [_calls(row) for row in rows]))
    say(console, _NOTE)
    return None


def _births(row: dict[str, Any]) -> dict[str, str]:
    counts = {name: f"{row[name]:,}" for name in ("tried", "valid", "failed", "duplicates", "dropped", "unscored")}
    gain = "-"
    if row["gain"] is not None:
        gain = f"{100 * row['gain']:+.1f} [{100 * row['gain_low']:+.1f}, {100 * row['gain_high']:+.1f}]"
    return {
        "operator": row["operator"],
        **counts,
        "improved": f"{row['improved']:,} of {row['compared']:,}",
        "gain": gain,
    }


def _calls(row: dict[str, Any]) -> dict[str, str]:
    each = row["calls_per_improvement"]
    return {
        "operator": row["operator"],
        "own calls": f"{row['calls']:,}",
        "tokens": f"{row['tokens']:,}",
        "cost": money(row["cost_usd"]),
        "task calls": f"{row['task_calls']:,}",
        "per improvement": "-" if each is None else f"{each:,.1f}",
    }
