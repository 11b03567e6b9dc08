"""``evo run --profile`` and ``evo show RUN --profile``: where the time went, without a word of any prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from evo.cli.tables import table
from evo.cli.text import percent, say

_IDLE = {
    "scoring": "fewer rows to score than slots",
    "operators": "only operators' calls under way",
    "none": "no call under way",
}


def print_profile(found: Mapping[str, Any], console: Console) -> None:
    """Print a run's profile, see `evo.profile.profile_of`."""
    wall_s = found["wall_s"]
    say(console, f"where the time of attempt {found['attempt'] + 1} went: {wall_s:.1f} s")
    phases = [{**one, "share": percent(one["seconds"] / wall_s if wall_s else None)} for one in found["phases"]]
    console.print(table("phases", [_rounded(one) for one in phases]))
    if found["models_s"] is not None:
        say(console, f"the slowest worker made its models in {found['models_s']:.1f} s")
    console.print(table("calls", [_rounded(one) for one in found["calls"]]))
    say(console, *_slots(found["slots"]), *_waiting(found))
    if found["processes"]:
        console.print(table("processes", [_rounded(one) for one in found["processes"]]))
    if found["cpu_ms_a_call"] is not None:
        say(console, f"CPU {found['cpu_ms_a_call']:.2f} ms a call, of all these processes")
    if found["log"] is not None:
        say(console, f"writing the log {found['log']['seconds']:.2f} s, {percent(found['log']['share'])} of the time")


def _slots(slots: Mapping[str, Any]) -> list[str]:
    when = "from the first to the last full wave" if slots["waves"] else "never all taken, over the whole search"
    idle = [f"{percent(slots[name])} {words}" for name, words in _IDLE.items() if slots[name] >= 0.0005]
    return [
        f"slots: {slots['mean_in_flight']:.1f} of {slots['slots']} calls under way on average, "
        f"{when} ({slots['seconds']:.1f} s)",
        f"some slots idle {percent(1 - slots['full'])} of that time" + (": " + ", ".join(idle) if idle else ""),
    ]


def _waiting(found: Mapping[str, Any]) -> list[str]:
    births, pace, lines = found["births"], found["pace"], []
    if births["calling"] is not None:
        lines.append(
            f"a birth took {births['mean_s']:.2f} s from asked to told, {percent(births['calling'])} of it with calls "
            "of its own under way; the rest it waited"
        )
    if pace is not None:
        lines.append(
            f"calls waited for a model's pace at {percent(pace['waiting'])} of the looks, a model was paused at "
            f"{percent(pace['paused'])}"
        )
    return lines


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    cells = {name: "-" if value is None else value for name, value in row.items()}
    return {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in cells.items()}
