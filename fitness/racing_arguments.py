"""Checks of the arguments of racing policies: each message says what was expected, what came, and the mend."""

from __future__ import annotations

from evo.errors import ConfigError


def at_least(policy: str, name: str, value: float, least: float) -> None:
    """Raise ConfigError when an argument is below ``least``."""
    if value < least:
        raise ConfigError(f"racing {policy}: expected {name} of at least {least}, got {value}; raise it")


def between(policy: str, name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError when an argument is not within [low, high]."""
    if not low <= value <= high:
        raise ConfigError(f"racing {policy}: expected {name} from {low} to {high}, got {value}; set it within")
