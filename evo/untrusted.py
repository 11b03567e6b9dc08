"""Text written by models and strangers, made harmless where it is shown: escapes in place of what steers a screen."""

from __future__ import annotations

import re

_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""Control characters but tab and line feed, halves of surrogate pairs, bidirectional marks, letters nobody sees."""


def safe(text: str) -> str:
    """Return text that can neither steer a screen nor hide on it: such characters as escapes."""
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def one_line(text: str, width: int) -> str:
    """Return safe text on one line, cut with an ellipsis at ``width`` characters."""
    line = " ".join(safe(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
