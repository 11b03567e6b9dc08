"""Plain data as one line of JSON and back: fast, and with a way for what a model may say that JSON has no word for."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """Return a value as UTF-8 JSON in one line. Raises TypeError where it is no plain data.

    Unpaired surrogates, which neither UTF-8 nor Arrow can hold, become "?". Infinity and NaN are written as Python
    does where they are in a list, and are null elsewhere; no list may hold None.
    """
    try:
        line = orjson.dumps(value)
    except TypeError:  # surrogates among others
        line = b""
    # Where a null stands in a list there was a number that JSON does not know. Text that looks like it takes longer.
    if not line or b"[null" in line or b",null" in line:
        line = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return line


def from_json(line: bytes | str) -> Any:
    """Return what `to_json` was given. Raises ValueError where it is no JSON."""
    try:
        return orjson.loads(line)
    except ValueError:
        return json.loads(line)  # knows infinity
