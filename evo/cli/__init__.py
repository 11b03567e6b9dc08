"""The command ``evo``."""

from __future__ import annotations

from evo.cli.commands import main

__all__ = ["main"]
