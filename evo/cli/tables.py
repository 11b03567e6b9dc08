"""Rows as a table on a terminal, every cell taken for untrusted text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evo.cli.text import one_line, percent

WIDE = 200
"""Columns where there is no terminal: no row is folded, so that it can be searched and cut."""
CELL = 100
"""Most characters of what a query finds in one cell."""

_WORDS = (
    "operator",
    "split",
    "common miss",
    "input",
    "target",
    "prompt",
    "method",
    "model",
    "made by",
    "setting",
    "phase",
    "purpose",
)


def wide_console() -> Console:
    """Return the console to print tables on: as wide as the terminal, or `WIDE` and plain where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def arrow_table(found: pa.Table) -> Table:
    """Return an Arrow table as one to print, its column names, too, taken for untrusted text."""
    shown = Table(box=None, pad_edge=False)
    for field in found.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        shown.add_column(Text(one_line(field.name, 40)), justify="right" if number else "left", overflow="fold")
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        shown.add_row(*(Text("" if cell is None else one_line(str(cell), CELL)) for cell in row))
    return shown


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows of the same keys as a table, numbers to the right; scores named best and median in percent."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        shown.add_column(name.replace("_", " "), justify="left" if name in _WORDS else "right", overflow="fold")
    for row in rows:
        cells = (percent(v) if k in ("best", "median") else one_line(str(v), CELL) for k, v in row.items())
        shown.add_row(*(Text(cell) for cell in cells))
    return shown
