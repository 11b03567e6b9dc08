"""Hundreds of islands on a screen: the fittest by name, the rest in one row."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from evo.budget import Usage
from evo.cli.display import LiveTable
from evo.cli.many import MOST, apart, folded
from evo.config import parse
from evo.status import IslandStatus, Snapshot


def status(island: int, best: float | None) -> IslandStatus:
    return IslandStatus(island, births=8 + island % 3, failed=1, best=best, median=0.5, improved_by="edit")


def shown(islands: int) -> str:
    settings = parse({"task": {"data": "x"}, "model": "fake/toy", "islands": islands})
    console = Console(file=io.StringIO(), width=100, height=200, force_terminal=True, color_system=None)
    statuses = tuple(status(island, island / 1000) for island in range(islands))
    with LiveTable(console, settings) as table:
        table.show(Snapshot("search", 1.0, None, Usage(5), 1, 0, 0, 0, statuses))
    text = console.file.getvalue()
    return text[text.rindex("best made by") :]


def test_few_islands_have_a_row_each():
    rows = [line for line in shown(MOST).splitlines() if "edit" in line]
    assert len(rows) == MOST
    assert "more" not in shown(MOST)


def test_of_many_the_fittest_have_a_row_and_the_others_one():
    lines = [line.rstrip() for line in shown(256).splitlines() if "tide" in line or "more" in line]
    assert len(lines) == MOST
    assert [int(line.split()[0]) for line in lines[:-1]] == list(range(241, 256)), "the fittest, in their order"
    assert lines[-1].split("  ")[0].strip() == "241 more"
    for words in ("8 to 10 each", "241", "24.0 %", "50.0 %"):
        assert words in lines[-1]


@pytest.mark.parametrize("best", [None, 0.0])
def test_islands_without_a_score_come_last(best):
    rows = [None] * MOST + [0.1] + [best]
    chosen, _ = apart(list(enumerate(rows)), lambda row: row[1])
    assert (MOST, 0.1) in chosen
    assert len(chosen) == MOST - 1


def test_summaries_of_many_islands_add_up():
    rows = [
        {"island": n, "born": 10, "failed": 2, "dropped": 1, "best": n / 256, "median": 0.25, "missing_rows": 3}
        for n in range(256)
    ]
    short = folded(rows)
    assert len(short) == MOST
    last = short[-1]
    assert list(last) == list(rows[0])
    assert (last["island"], last["born"], last["failed"], last["missing_rows"]) == ("241 more", "10 each", 482, 723)
    assert (last["best"], last["median"]) == (240 / 256, 0.25)
    assert folded(rows[:MOST]) == rows[:MOST]
