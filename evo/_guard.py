"""Refuses to run beside a stranger's `operators`, `fitness` or `cluster`: our top-level names are common ones."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path

from evo.errors import ConfigError

_OURS = ("operators", "fitness", "cluster")


def refuse_strangers() -> None:
    """Raises ImportError, naming both places, when Python would find another package under one of our names."""
    message = stranger()
    if message:
        raise ImportError(message)


def look_beside(folder: Path) -> None:
    """Let user modules be found where the configuration lies. Raises ConfigError when one has a name of ours."""
    place = str(folder.resolve())
    if message := stranger([place]):
        raise ConfigError(message)
    if sys.path[:1] != [place]:
        sys.path.insert(0, place)


def stranger(first: Sequence[str] = ()) -> str:
    """Return what is wrong and the mend when Python would find another package under one of our names, or nothing.

    ``first`` are folders a process yet to be started will look into before all others.
    """
    home = Path(__file__).resolve().parent.parent
    for name in _OURS:
        spec = None if first else getattr(sys.modules.get(name), "__spec__", None)
        spec = spec or importlib.machinery.PathFinder.find_spec(name, [*first, *sys.path])
        if spec is None:
            continue  # an editable install may serve it through a finder of its own
        origin = Path(spec.origin).resolve() if spec.origin and spec.origin != "namespace" else None
        if origin is None or origin.parent != home / name:
            place = origin or next(iter(spec.submodule_search_locations or ["?"]))
            return (
                f"`import {name}` would find {place}, but prompt-archipelago needs its own at {home / name}; "
                f"rename the other {name!r}, start Python in another folder, or use a virtual environment of its own"
            )
    return ""
