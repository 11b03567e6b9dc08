"""Long texts made short enough for a page, saying what was cut."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = 6_000
"""Most characters of one text; of a longer one its beginning and its end are kept."""
LEAST = 240
"""Characters kept of a text when there is no more room."""


def shortened(text: str, limit: int = TEXT) -> str:
    """Return a text of at most ``limit`` characters and a note of how many were cut."""
    if len(text) <= limit:
        return text
    head = limit * 3 // 4
    return f"{text[:head]} [… {len(text) - limit:,} characters left out …] {text[len(text) - (limit - head) :]}"


@dataclass(slots=True)
class Room:
    """How many characters may still be written, shared by many texts: who asks first gets most."""

    left: int

    def fit(self, text: str, limit: int = TEXT) -> str:
        """Return a text, shortened to ``limit`` or, once the room is used up, to `LEAST`."""
        short = shortened(text, min(limit, LEAST) if self.left <= 0 else limit)
        self.left -= len(short)
        return short
