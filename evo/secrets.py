"""Finds keys, passwords and tokens that stand where they would be recorded, so that they never get that far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_NAMES = re.compile(
    r"api_?key|access_?key|private_?key|secret|passw(or)?d|credential|authorization|cookie|bearer"
    r"|(^|_)(auth|token)$|auth_?token|(ad|id|access|session|refresh|security)_?token$"
)
_VALUES = re.compile(r"(bearer|basic)\s+\S|(sk|pk|rk|gsk|xai|hf)[-_][\w-]{8,}|AIza[\w-]{20,}", re.IGNORECASE)
_USER = re.compile(r"//[^/@\s]+@")


def secret_in(options: Any, place: str = "") -> str:
    """Return the dotted name of the first option, however deep, that looks like a secret; nothing where none does.

    Only texts can be secrets: ``max_tokens: 64`` and a schema's ``password: {type: string}`` are none.
    """
    if isinstance(options, str):
        name = re.sub(r"[^a-z0-9]+", "_", place.rpartition(".")[2].casefold()).strip("_")
        secret = _NAMES.search(name) or _VALUES.match(options) or _USER.search(options)
        return place if options and secret else ""
    pairs: Any = ()
    if isinstance(options, Mapping):
        pairs = options.items()
    elif isinstance(options, list | tuple):
        pairs = enumerate(options)
    found = (secret_in(value, f"{place}.{name}".lstrip(".")) for name, value in pairs)
    return next(filter(None, found), "")


def secret_in_url(url: str) -> str:
    """Return what of a URL looks like a secret, in words and never its value; nothing where nothing does."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "a user or password"
    named = [name for name, value in parse_qsl(parts.query) if name == "key" or secret_in({name: value})]
    return f"a secret, {named[0]!r}" if named else ""
