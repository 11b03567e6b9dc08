"""Refuses to run beside a stranger's `operators`, `fitness` or `cluster`: our top-level names are common ones."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

_OURS = ("operators", "fitness", "cluster")


def refuse_strangers() -> None:
    """Raises ImportError, naming both places, when Python would find another package under one of our names."""
    home = Path(__file__).resolve().parent.parent
    for name in _OURS:
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) or importlib.machinery.PathFinder.find_spec(name)
        if spec is None:
            continue  # an editable install may serve it through a finder of its own
        origin = Path(spec.origin).resolve() if spec.origin and spec.origin != "namespace" else None
        if origin is None or origin.parent != home / name:
            place = origin or next(iter(spec.submodule_search_locations or ["?"]))
            raise ImportError(
                f"`import {name}` would find {place}, but prompt-archipelago needs its own at {home / name}; "
                f"rename the other {name!r}, start Python in another folder, or use a virtual environment of its own"
            )
