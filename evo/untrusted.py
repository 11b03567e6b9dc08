"""Text written by models and strangers, made harmless where it is shown: escapes in place of what steers a screen."""

from __future__ import annotations

import unicodedata

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def safe(text: str) -> str:
    """Return text that cannot steer a terminal: control, bidirectional and unpaired characters as escapes."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs"):
        return f"\\u{ord(character):04x}"
    return character


def one_line(text: str, width: int) -> str:
    """Return safe text on one line, cut with an ellipsis at ``width`` characters."""
    line = " ".join(safe(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
