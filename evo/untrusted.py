"""Text written by models and strangers, made harmless where it is shown: escapes in place of what steers a screen."""

from __future__ import annotations

import re

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, halves of surrogate pairs, bidirectional marks."""


def safe(text: str) -> str:
    """Return text that cannot steer a screen: control, bidirectional and unpaired characters as escapes."""
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def one_line(text: str, width: int) -> str:
    """Return safe text on one line, cut with an ellipsis at ``width`` characters."""
    line = " ".join(safe(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
