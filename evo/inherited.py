"""What a run takes over from an earlier one: what its operators' births came to, failed ones too, and what they gained.

Counts and means alone: they are written into the new run's settings when it begins, so that it resumes and replays
without the earlier run. Another task may favour other operators, so a few births at most are believed of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.operator_ledger import operator_ledger
from evo.settings import NamedSettings, RunSettings

ARGUMENT, FILLED = "credit_from", "credits"
BELIEVED = 20
"""Most births of an operator that count: about as much as its own first births in the new run."""


def credits_of(folder: Path) -> dict[str, list[float]]:
    """Return what an operator's births in a run came to, by its name in the log: counts are scaled to `BELIEVED`.

    [births with a gain, their mean paired gain, births that gave a new prompt, births that did not].
    """
    return {row["operator"]: _credit(row) for row in operator_ledger(folder).to_pylist()}


def _credit(row: Mapping[str, Any]) -> list[float]:
    share = min(1.0, BELIEVED / row["tried"])
    fresh = row["valid"] - row["duplicates"]
    compared = 0 if row["gain"] is None else row["compared"]
    return [share * compared, row["gain"] or 0.0, share * fresh, share * (row["tried"] - fresh)]


def with_credits(settings: RunSettings, base: Path) -> RunSettings:
    """Return settings where each method that names a run as ``credit_from`` has that run's credits.

    Credits that are given stay as they are. Raises ConfigError when there is no such run.
    """
    islands = settings.islands
    if not isinstance(islands, int):
        islands = tuple(
            one if one.method is None else one.model_copy(update={"method": _filled(one.method, base)})
            for one in islands
        )
    return settings.model_copy(update={"method": _filled(settings.method, base), "islands": islands})


def _filled(method: NamedSettings, base: Path) -> NamedSettings:
    source = method.arguments.get(ARGUMENT)
    if source is None:
        return method
    if not isinstance(source, str):
        raise ConfigError(f"method {method.name} expects {ARGUMENT} as a run's folder, got {source!r}; name one")
    folder = RunFolder.open(base / Path(source).expanduser())
    given = method.arguments.get(FILLED) or {}
    return NamedSettings(**{**dict(method), **method.arguments, FILLED: {**credits_of(folder.path), **given}})
