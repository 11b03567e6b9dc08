"""Targets with several accepted texts, and the libraries that compare texts, found at their first use."""

from __future__ import annotations

import json
from importlib.util import find_spec

from evo.errors import ConfigError

EXTRA = "text"


def references(target: str) -> tuple[str, ...]:
    """Return the accepted texts of a target: those of a JSON list of texts, as a column of lists gives, else itself."""
    return listed(target) or (target,)


def listed(target: str) -> tuple[str, ...]:
    """Return the texts or numbers of a JSON list; none where the target is no such list."""
    if not target.lstrip().startswith("["):
        return ()
    try:
        found = json.loads(target)
    except (ValueError, RecursionError):
        return ()
    if any(isinstance(item, bool) or not isinstance(item, str | int | float) for item in found):
        return ()
    return tuple(str(item) for item in found)


def need(package: str, scorer: str) -> None:
    """Raise ConfigError where the package a scorer needs is not installed; nothing is imported."""
    if find_spec(package) is None:
        raise ConfigError(
            f"scorer {scorer}: expected the package {package}, which is not installed; "
            f"pip install 'prompt-archipelago[{EXTRA}]'"
        )
