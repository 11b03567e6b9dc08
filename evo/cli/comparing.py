"""``evo compare``: runs of one task side by side."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from evo.best import Estimate
from evo.cli.reading import print_json
from evo.cli.report import prompt_lines
from evo.cli.tables import table, wide_console
from evo.cli.text import duration, money, one_line, percent, say, shown_path
from evo.comparison import Comparison, Contender, Difference
from evo.comparison import compare as compared

MOST = 40
"""Most settings printed; ``--json`` gives all."""
_NOTE = "winners are compared, not methods: one run is one draw"
_LINES = 12
"""Most lines printed of a winner's prompt; `evo best` prints all."""


def compare(options: Namespace) -> None:
    """Print how runs compare."""
    found = compared(*options.runs)
    if options.json:
        return print_json(_document(found))
    console = wide_console()
    for place, one in enumerate(found.runs, 1):
        say(console, *_heading(place, one))
    console.print(table("winners", [_winner(place, one) for place, one in enumerate(found.runs, 1)]))
    console.print(table("cost", [_cost(place, one) for place, one in enumerate(found.runs, 1)]))
    say(console, *_differences(found))
    if found.calls:
        console.print(table("best dev so far", list(_course(found))))
    if found.settings:
        console.print(table("settings that differ", list(_settings(found))))
    if len(found.settings) > MOST:
        say(console, f"and {len(found.settings) - MOST} more, which --json gives")
    say(console, _NOTE)
    return None


def _document(found: Comparison) -> dict[str, Any]:
    whole = asdict(found)
    for one, told in zip(found.differences, whole["differences"], strict=True):
        told["significant"] = one.significant
    return whole


def _heading(place: int, one: Contender) -> Iterator[str]:
    yield f"run {place}  {shown_path(one.path)}: {one.status}"
    lines = prompt_lines(one.parts)
    yield from (f"   | {line}" for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"   | ... {len(lines) - _LINES} more lines"
    if one.looks > 1:
        yield f"   its test rows have judged {one.looks} pairs of finalists: its test is less sure"


def _winner(place: int, one: Contender) -> dict[str, str]:
    return {
        "run": str(place),
        "method": ", ".join(one.methods),
        "model": ", ".join(one.models),
        "dev": f"{percent(one.dev.mean)} on {one.dev.n}",
        "test": _estimate(one.test),
        "dev minus test": "-" if one.optimism is None else f"{100 * one.optimism:+.1f}",
        "made by": one.operator,
    }


def _estimate(test: Estimate | None) -> str:
    return f"{percent(test.mean)} [{percent(test.low)}, {percent(test.high)}] on {test.n}" if test else "not tested"


def _cost(place: int, one: Contender) -> dict[str, str]:
    return {
        "run": str(place),
        "births": f"{one.births:,}",
        "calls": f"{one.spent.calls:,}",
        "tokens": f"{one.spent.tokens:,}",
        "cost": money(one.spent.usd),
        "time": duration(one.elapsed_s),
    }


def _differences(found: Comparison) -> Iterator[str]:
    several = len(found.runs) > 2
    for split, about in (("test", "on rows no search has seen"), ("dev", "on rows the searches went by: optimistic")):
        own = [one for one in found.differences if one.split == split]
        yield f"difference of winners, {split}, paired {about}"
        yield from (f"  {_said(one, adjusted=several)}" for one in own)
        if not own:
            yield f"  unknown: no {split} row has a score for both"
    if several:
        yield "  p is adjusted for the number of differences (Holm); intervals are each for itself"


def _said(one: Difference, *, adjusted: bool) -> str:
    points = f"{100 * one.mean:+.1f} points [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
    p_value = one.adjusted_p if adjusted else one.p_value
    words = f"run {one.second + 1} minus run {one.first + 1}: {points} on {one.n} rows, p = {p_value:.2g}"
    return words if one.significant else f"{words}: no significant difference"


def _course(found: Comparison) -> Iterator[dict[str, str]]:
    for calls, row in zip(found.calls, found.course, strict=True):
        yield {"after calls": f"{calls:,}", **{f"run {place}": percent(best) for place, best in enumerate(row, 1)}}


def _settings(found: Comparison) -> Iterator[dict[str, str]]:
    for name, values in list(found.settings.items())[:MOST]:
        said = ("-" if value is None else one_line(str(value), 50) for value in values)
        yield {"setting": name, **{f"run {place}": value for place, value in enumerate(said, 1)}}
