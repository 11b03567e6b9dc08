"""Embeddings as models tell them, made comparable, and small enough to be kept for good."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evo.errors import LlmError

DIGITS = 6
"""Decimal places kept: what follows moves a cosine by about 1e-6, and would double what a vector takes."""


def unit(values: Sequence[float]) -> tuple[float, ...]:
    """Return a vector scaled to length 1, rounded. Raises LlmError when it has no direction."""
    length = math.hypot(*values)
    if not 0 < length < math.inf:
        raise LlmError(f"expected an embedding of finite numbers, not all 0, got one of length {length:g}")
    return tuple(round(value / length, DIGITS) for value in values)
