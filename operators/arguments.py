"""Checks of arguments that come from a user's file. Each raises ConfigError: expected, got, mend."""

from __future__ import annotations

from typing import Any, get_args

from evo.errors import ConfigError


def one_of(owner: str, name: str, value: Any, options: Any) -> None:
    """Return nothing. Raises ConfigError when ``value`` is none of the ``options`` (a Literal type)."""
    known = get_args(options)
    if value not in known:
        raise ConfigError(f"{owner} expects {name} to be one of {', '.join(known)}, got {value!r}; use one of these")


def at_least(owner: str, name: str, value: Any, least: int) -> None:
    """Return nothing. Raises ConfigError when ``value`` is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{owner} expects {name} to be a whole number from {least} up, got {value!r}; raise it")


def between(owner: str, name: str, value: Any, low: float, high: float) -> None:
    """Return nothing. Raises ConfigError when ``value`` is not a number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{owner} expects {name} to be from {low:g} to {high:g}, got {value!r}; bring it into range")
