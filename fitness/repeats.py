"""Rows asked several times, since a model that draws its words scores one thing today and another tomorrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev

from evo.model import Outcome, total_cost


def merged(repeats: Sequence[Outcome]) -> Outcome:
    """Return one outcome of a row's repeats: their mean score, and its standard deviation from one to the next.

    Words are those of the worst repeat, for operators to learn from; tokens and cost are sums, the latency is a mean.
    Repeats whose call failed are left out of the score; it is missing where all failed. One repeat is itself.
    """
    if len(repeats) == 1:
        return repeats[0]
    scores = [one.score for one in repeats if one.score is not None]
    worst = min(repeats, key=lambda one: math.inf if one.score is None else one.score)
    said = " ".join(f"{score:.2f}" for score in scores)
    return replace(
        worst,
        score=math.fsum(scores) / len(scores) if scores else None,
        reason=f"repeats scored {said}; one of them: {worst.reason}" if min(scores, default=1.0) < 1 else worst.reason,
        tokens=sum(one.tokens for one in repeats),
        cost_usd=total_cost(one.cost_usd for one in repeats),
        latency_s=math.fsum(one.latency_s for one in repeats) / len(repeats),
        spread=stdev(scores) if len(scores) > 1 else None,
    )
