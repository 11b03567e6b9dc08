"""What scorers say of a miss: what was expected and what came. Reflection shows it to a model."""

from __future__ import annotations

from evo.model import Example, Score

QUOTED_CHARS = 200
"""A reason quotes at most this much of a target or an answer: there is one for each row that was missed."""


def quoted(text: str) -> str:
    """Return text in quotes, cut where it is long."""
    return repr(text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]} ...")


def compared(same: bool, answer: str, example: Example) -> Score:
    """Return 1, or 0 with what was expected and what came."""
    if same:
        return Score(1.0, answer)
    return Score(0.0, answer, f"expected {quoted(example.target)}, got {quoted(answer)}")


def graded(value: float, measure: str, expected: str, answer: str = "") -> Score:
    """Return a score of degrees, rounding errors aside in [0, 1]; all but a full one say what was expected."""
    value = min(1.0, max(0.0, value))
    return Score(value, answer, "" if value == 1 else f"{measure} {value:.3f}; expected {quoted(expected)}")


def unparsed(missing: str, text: str, example: Example) -> Score:
    """Return 0 for a reply in which no answer can be read."""
    got = f"{missing} in the reply {' '.join(text[:400].split())[:80]!r}"
    return Score(0.0, reason=f"expected {quoted(example.target)}, got {got}", parsed=False)
