"""Student's t-test of paired scores, one-sided, without scipy.

The distribution's tail is a finite sum for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
Looked at again and again, as races of prompts do, and corrected for nothing, its p-value is a setting of how hard the
race is, not an error rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def p_above(differences: Sequence[float], margin: float = 0.0) -> float:
    """Return the p-value of "the mean difference is not above ``margin``": small where it is clearly above.

    Differences that do not vary decide by their sign: 0 when above the margin, else 1. 1 for fewer than two.
    """
    n = len(differences)
    if n < 2:
        return 1.0
    mean = math.fsum(differences) / n
    squares = math.fsum((difference - mean) ** 2 for difference in differences)
    if squares == 0.0:
        return 0.0 if mean > margin else 1.0
    return student_tail((mean - margin) / math.sqrt(squares / (n - 1) / n), n - 1)


def student_tail(t: float, freedom: int) -> float:
    """Return the chance that Student's t with ``freedom`` >= 1 degrees exceeds ``t``, to about 1e-15."""
    if freedom < 1:
        raise ValueError(f"expected at least 1 degree of freedom, got {freedom}; pass two differences or more")
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= square * step / (step + 1)
    inner = math.sin(angle) * total
    central = 2 / math.pi * (angle + inner) if odd else inner
    return min(1.0, max(0.0, (1 - central) / 2))
