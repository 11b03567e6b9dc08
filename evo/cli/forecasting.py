"""``evo estimate``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from evo.cli.catalog import fetch_local_models
from evo.cli.text import duration, money, one_line, safe
from evo.config import load
from evo.forecast import Forecast, IslandForecast, forecast

_ENDS = {
    "method": "its methods end by themselves",
    "births": "budget.births ends it",
    "time": "the rehearsal took too long and was cut short: all figures are the least there will be",
    "unknown": "not known: the rehearsal was cut short, and the run may end sooner or later",
}


def estimate(options: Namespace) -> None:
    """Say what a run will take."""
    settings = load(options.config, options.set)
    if not options.offline:
        fetch_local_models(settings, Console(stderr=True))
    found = forecast(settings, Path(options.config).parent, offline=options.offline)
    if options.json:
        print(json.dumps({"calls": found.calls, **asdict(found)}, indent=2, ensure_ascii=True))
        return
    for line in forecast_lines(found):
        print(safe(line))


def forecast_lines(found: Forecast) -> Iterator[str]:
    """Yield the forecast, line by line."""
    yield from (f"note: {note}" for note in found.notes)
    if found.offline:
        yield "note: no model was asked: tokens are guessed from bytes, and the cost is unknown"
    yield from map(_island, found.islands)
    yield f"final test  {found.final_calls:,} calls with the final race, set aside"
    seconds = "" if not found.seconds or found.seconds < 1 else f", about {duration(found.seconds)}"
    yield f"in all      {found.calls:,} calls, {found.tokens:,} tokens, {money(found.usd)}{seconds}"
    yield f"end         {_ENDS.get(found.ended_by) or f'budget.{found.ended_by} ends it'}"
    yield "            one draw with made-up scores: a run may take a tenth more or fewer calls, or differ by more"
    yield "            where racing drops many, and up to a third more tokens as prompts grow longer"


def _island(one: IslandForecast) -> str:
    began = f"island {one.island}    {one_line(one.method, 40)}: {one.founders:,} first prompts take"
    began += f" {one.founding_calls:,} calls"
    if not one.births:
        return f"{began}, and nothing is bred from them"
    birth = f"{one.operator_calls_per_birth:.1f} operator and {one.task_calls_per_birth:.1f} task calls"
    return f"{began}, each of {one.births:,} births after them {birth}"
