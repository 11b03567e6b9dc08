"""``evo best RUN --front``: prompts that no other of the run beats in everything at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evo.cli.tables import table, wide_console
from evo.cli.text import money, one_line, percent, say, shown_path
from evo.run import Run

TEXT = 80
_NOTE = "dev scores are optimistic, the more so where many prompts compete: test the one you take on rows of its own"


def print_front(run: Run, rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows of `Run.front`, the knee marked."""
    console = wide_console()
    say(console, f"{shown_path(run.path)}: {run.status}")
    console.print(table(f"front ({len(rows)})", [_shown(row) for row in rows]))
    say(console, _NOTE)


def _shown(row: dict[str, Any]) -> dict[str, str]:
    cost = row["row_cost_usd"]
    return {
        "": "knee" if row["knee"] else "",
        "individual": f"{row['individual']}",
        "dev": percent(row["dev"]),
        "rows": f"{row['dev_rows']}",
        "prompt_tokens": f"~{row['prompt_tokens']:,}",
        "tokens_a_row": f"{row['row_tokens']:.1f}",
        "1000_rows": money(None if cost is None else 1000 * cost),
        "seconds_a_row": f"{row['row_latency_s']:.3f}",
        "prompt": one_line(row["text"], TEXT),
    }
