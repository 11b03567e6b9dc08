"""Names to objects: entry points of installed distributions, or ``module:Name``."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from evo.errors import ConfigError
from evo.settings import ModelSettings, NamedSettings


@lru_cache
def names(group: str) -> Mapping[str, EntryPoint]:
    """Return the plugins installed in a group such as ``evo.methods``, by name."""
    return {point.name: point for point in entry_points(group=group)}


def resolve(group: str, name: str) -> Any:
    """Return the object a name stands for. Raises ConfigError with near names, or why it cannot be imported."""
    if ":" in name:
        return _imported(name, what=group.rpartition(".")[2])
    point = names(group).get(name)
    if point is None:
        raise ConfigError(unknown(group.rpartition(".")[2].rstrip("s"), name, names(group)))
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot import {point.value!r}, which is {name!r} of {group}: {error}") from error


def unknown(what: str, name: str, known: Mapping[str, Any] | set[str]) -> str:
    """Return the message for a name that is not known: the nearest one, and all there are."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {name!r}; {hint}known: {', '.join(sorted(known)) or 'none (is the package installed?)'}"


def build(group: str, settings: NamedSettings) -> Any:
    """Return a plugin made with its arguments. Raises ConfigError when an argument does not fit."""
    factory = resolve(group, settings.name)
    if not callable(factory):
        raise ConfigError(f"{settings.name!r} is not callable; expected a class or function that makes the plugin")
    accepted = inspect.signature(factory).parameters
    for argument in settings.arguments:
        if argument not in accepted:
            raise ConfigError(f"{settings.name}: {unknown('argument', argument, set(accepted))}")
    try:
        return factory(**settings.arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{settings.name}: {error}") from error


def build_model(settings: ModelSettings) -> Any:
    """Return the bare model a name stands for: ``local/...``, ``fake/...``, or anything LiteLLM knows.

    Raises ConfigError when it cannot be made.
    """
    return resolve("evo.models", model_kind(settings))(settings)


def model_kind(settings: ModelSettings) -> str:
    """Return the entry point or ``module:name`` that answers for a model; ``direct`` and ``litellm`` ask others."""
    if settings.is_direct:
        return "direct"
    prefix = settings.name.partition("/")[0]
    if ":" in prefix:
        return settings.name
    return prefix if prefix in names("evo.models").keys() - {"litellm", "direct"} else "litellm"


def _imported(path: str, what: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:  # an empty name, a relative one
        raise ConfigError(
            f"cannot import {module_name!r} for {what} {path!r}: {error}; put the module beside the configuration, or "
            "install it"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigError(
            f"{module_name!r} has no {attribute!r}; {unknown(what, attribute, set(dir(module)))}"
        ) from None
