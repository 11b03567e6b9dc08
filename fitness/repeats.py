"""Rows asked several times, since a model that draws its words scores one thing today and another tomorrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev

from evo.model import Outcome, total_cost
from evo.plugins import build_model, model_kind
from evo.ports import Scorer
from evo.settings import ModelSettings


def merged(repeats: Sequence[Outcome]) -> Outcome:
    """Return one outcome of a row's repeats: their mean score, and its standard deviation from one to the next.

    Words are those of the worst repeat, for operators to learn from; tokens and cost are sums, the latency is a mean.
    Repeats whose call failed are left out of the score; it is missing where all failed. One repeat is itself, with
    the spread of its judge's verdicts where there are several.
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


def by_likelihood(scorer: Scorer, models: Sequence[ModelSettings]) -> tuple[ModelSettings, ...]:
    """Return the models under test that a scorer asks for likelihoods, which do not vary from one repeat to the next.

    Raises ConfigError when a model cannot be made.
    """
    return tuple(model for model in models if scorer.wants_choices and _gives_likelihoods(model))


def useless(models: Sequence[ModelSettings]) -> str:
    """Return, for the user, that repeats do nothing with these models."""
    told = ", ".join(model.name for model in models)
    return f"task.repeats does nothing with {told}: labels are scored by likelihood, which is the same each time"


def _gives_likelihoods(model: ModelSettings) -> bool:
    """Return what the model says itself; those that LiteLLM or an endpoint answers never do, and need not be made."""
    return model_kind(model) not in ("direct", "litellm") and bool(build_model(model).can_choose)
