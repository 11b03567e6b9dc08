"""A scorer of degrees: how likely the target is as the model's answer, which no sampled text can show.

APE (Zhou et al., ICLR 2023) scores by the mean log-likelihood of a target's tokens; ours is its exponential, which lies
in [0, 1]. It moves where accuracy does not yet. Only models that give log-likelihoods can be scored by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import unknown

Unit = Literal["token", "share"]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The likelihood of the target as the continuation of the prompt.

    One call a row. An in-process model computes once for each token of the target, and of the other choices where the
    row has some.

    Args:
        unit: ``token`` is the geometric mean of the probabilities of the target's tokens, so that long targets do not
            score less; ``share`` is the target's probability among the row's choices alone.
    """

    unit: Unit = "token"
    wants_choices: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigError(f"scorer likelihood: {unknown('unit', str(self.unit), set(get_args(Unit)))}")

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the likelihood; the answer is the likeliest choice. Raises ValueError without likelihoods."""
        choices = example.choices or (example.target,)
        values, lengths = completion.logprobs, completion.lengths
        if not len(choices) == len(values) == len(lengths):
            raise ValueError(
                f"expected a likelihood and a length for each of {len(choices)} continuations, got {len(values)} and "
                f"{len(lengths)}; the model's adapter is at fault"
            )
        if self.unit == "share" and not example.choices:
            raise ValueError(f"example {example.number} has no choices to have a share among; use unit: token")
        _refuse_numbers_that_are_none(values)
        place = choices.index(example.target)
        value = _share(values, place) if self.unit == "share" else _per_token(values[place], lengths[place])
        answer = choices[values.index(max(values))] if example.choices else ""
        return Score(value, answer, f"expected {example.target[:200]!r}, whose likelihood is {value:.3f}")


def highest(logprobs: Sequence[float]) -> float:
    """Return the highest of log-likelihoods that choices are compared by.

    Raises ValueError where they are NaN or infinity, or all impossible: such a row is missing, not a miss.
    """
    _refuse_numbers_that_are_none(logprobs)
    most = max(logprobs)
    if most == -math.inf:
        raise ValueError("expected a choice with a likelihood above 0, got none; the model's adapter is at fault")
    return most


def _refuse_numbers_that_are_none(logprobs: Sequence[float]) -> None:
    if wrong := [value for value in logprobs if math.isnan(value) or value == math.inf]:
        raise ValueError(f"expected log-likelihoods, got {wrong[0]}; the model's adapter or its file is at fault")


def _per_token(logprob: float, tokens: int) -> float:
    return min(1.0, math.exp(logprob / max(1, tokens)))


def _share(logprobs: tuple[float, ...], place: int) -> float:
    most = highest(logprobs)
    weights = [math.exp(value - most) for value in logprobs]
    return weights[place] / math.fsum(weights)
