"""Untrusted text on a terminal: control sequences become visible, numbers become short."""

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


def money(usd: float | None) -> str:
    """Return US dollars; an unknown price is said to be unknown."""
    if usd is None:
        return "unknown cost"
    return f"${usd:.4f}" if usd < 1 else f"${usd:.2f}"


def duration(seconds: float) -> str:
    """Return seconds as 45s, 3m05s or 2h10m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def percent(value: float | None) -> str:
    """Return a score in [0, 1] as a percentage."""
    return "-" if value is None else f"{100 * value:.1f} %"
