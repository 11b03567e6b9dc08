"""The most that a call may use, learned from replies that were longer than asked for, and what counts where none says.

A provider may ignore ``max_tokens``, or bill hidden reasoning beyond it. Nobody can know before the first such reply;
afterwards every call of that model is reserved as long a one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from evo.budget import Usage
from evo.errors import ConfigError
from evo.model import Completion
from evo.receipts import Admission


@dataclass(slots=True)
class Bounds:
    """The most that calls to each model of a run may use."""

    _longest: dict[str, int] = field(default_factory=dict)
    """By model: tokens of the longest reply that was longer than its call asked for."""

    def most(self, asked: Admission) -> Usage:
        """Return the most that an attempt can use, as far as is known by now."""
        if not asked.output_tokens:  # it wants no text
            return Usage(1, asked.tokens, asked.usd)
        more = max(0, self._longest.get(asked.model, 0) - asked.output_tokens)
        usd = None if asked.usd is None else asked.usd + more * asked.output_usd
        return Usage(1, asked.tokens + more, usd)

    def learn(self, asked: Admission, used: Completion | Usage | None) -> None:
        """Take in what an attempt used; None where nobody said."""
        if used is None:
            return
        output_tokens = used.output_tokens if isinstance(used, Completion) else 0
        longest = used.tokens if used.tokens > asked.tokens else output_tokens  # what was over may all be the reply's
        if asked.output_tokens and longest > asked.output_tokens:
            self._longest[asked.model] = max(longest, self._longest.get(asked.model, 0))


def unpriced(model: str) -> ConfigError:
    """Return the error of a cap in USD over a model whose price is unknown."""
    return ConfigError(
        f"a cap in USD needs the price of {model}, which is unknown; set model.price, or leave budget.usd out and cap "
        "calls or tokens"
    )


def counted(answer: Completion, asked: Admission, reserved: Usage, *, priced: bool = False) -> Completion:
    """Return the answer, with what was reserved where it does not say its tokens, or where ``priced`` its cost."""
    prompt = asked.tokens - asked.output_tokens
    cost = reserved.usd if priced and answer.cost_usd is None else answer.cost_usd
    return replace(with_bound(answer, prompt, reserved.tokens - prompt), cost_usd=cost)


def with_bound(answer: Completion, prompt: int, output: int) -> Completion:
    """Return the answer, with these tokens of the prompt and the reply where it says none: unknown is not 0."""
    if answer.prompt_tokens and (answer.output_tokens or not answer.text):
        return answer
    return replace(
        answer,
        prompt_tokens=answer.prompt_tokens or prompt,
        output_tokens=answer.output_tokens or (output if answer.text else 0),
    )
