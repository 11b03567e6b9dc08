"""From a prompt and example numbers to outcomes: ask the model, have the reply scored, keep failures as data."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from evo.errors import BudgetExhausted, ConfigError, Interrupted, LlmError
from evo.failures import SCORER
from evo.model import Completion, Evaluation, Example, Outcome, Prompt, Score, total_cost
from evo.ports import Llm
from fitness.datasets import as_text
from fitness.judge import Bench, Judge
from fitness.repeats import merged
from fitness.sandbox import require
from fitness.scorers import Choice, takes_priors
from fitness.target_likelihood import Likelihood
from fitness.tasks import RowTask
from fitness.unit_tests import Code

T = TypeVar("T")
REPLY_CHARS = 2000
"""Longest reply kept with an outcome, for operators to read; the log of calls has all of it."""

Choices = tuple[str, ...]
Priors = Mapping[Choices, tuple[float, ...] | LlmError]
"""What each choice gets without an input, or why that could not be found out."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A prompt that rows are shown under: how many stages it has, the model's identity, and the choices' priors."""

    prompt: Prompt
    stages: int
    identity: str
    priors: Priors


@dataclass(frozen=True, slots=True)
class RowEvaluator:
    """Scores prompts on a task's rows with one model.

    All rows asked for are under way at once: the model's wrappers limit how many calls really are. ``temperature``
    and ``max_tokens`` are those of a written answer; likelihoods need neither. Raises ConfigError when the scorer
    insists on likelihoods and the model gives none, on isolation that this machine cannot give, or on a ``judge``.
    """

    task: RowTask
    llm: Llm
    temperature: float = 0.0
    max_tokens: int = 64
    judge: Llm | None = None

    def __post_init__(self) -> None:
        scorer = self.task.scorer
        if isinstance(scorer, Judge) and self.judge is None:
            raise ConfigError("scorer judge: expected a model that judges, got none; set judge_model")
        if isinstance(scorer, Code):
            require(scorer.isolation)
        if self.llm.can_choose:
            return
        if isinstance(scorer, Choice) and scorer.by == "likelihood":
            raise ConfigError(
                f"scorer choice, by: likelihood, needs a model that gives log-likelihoods, but {self.llm.identity} "
                "does not; use by: auto, or a local model"
            )
        if isinstance(scorer, Likelihood):
            raise ConfigError(
                f"scorer likelihood needs a model that gives log-likelihoods, but {self.llm.identity} does not; use a "
                "local model, or a scorer that reads text, such as exact"
            )

    async def evaluate(self, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """Return one outcome for each example.

        A call or a scorer that fails gives an outcome without a score. Raises LlmError when it is fatal and
        ConfigError where the scorer cannot be used, cancelling the rows still under way, and, once those have ended,
        BudgetExhausted or Interrupted.
        """
        rows = [self.task.example(number) for number in examples]
        priors = await self._priors(prompt, rows)
        identity = self.llm.identity
        asked = [(row, repeat) for row in rows for repeat in range(self._repeats(row))]
        shown = _Shown(prompt, self.task.stages(prompt), identity, priors)
        found = await _together([self._row(shown, row, repeat) for row, repeat in asked])
        by_row: dict[int, list[Outcome]] = {}
        for outcome in found:
            by_row.setdefault(outcome.example, []).append(outcome)
        return Evaluation.of(map(merged, by_row.values()))

    def _repeats(self, example: Example) -> int:
        return 1 if self._chooses(example) else self.task.repeats  # likelihoods do not vary

    async def _row(self, shown: _Shown, example: Example, repeat: int) -> Outcome:
        prior = shown.priors.get(example.choices)
        if isinstance(prior, LlmError):
            return Outcome(example.number, None, error=f"prior: {prior}")
        replies: list[Completion] = []
        call = ""
        for stage in range(shown.stages):
            last = stage + 1 == shown.stages
            request = self.task.request(
                shown.prompt,
                example.number,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                choose=last and self._chooses(example),
                replies=[reply.text for reply in replies],
                repeat=repeat,
            )
            call = request.key(shown.identity)
            try:
                replies.append(await self.llm.complete(request))
            except LlmError as error:
                if error.fatal:
                    raise
                return Outcome(example.number, None, error=str(error), call=call)
        return await self._scored([*replies[:-1], _above(replies[-1], prior)], example, call, repeat)

    async def _scored(self, replies: Sequence[Completion], example: Example, call: str, repeat: int) -> Outcome:
        used: dict[str, Any] = {
            "tokens": sum([reply.tokens for reply in replies]),
            "cost_usd": total_cost([reply.cost_usd for reply in replies]),
            "latency_s": sum([reply.latency_s for reply in replies]),
            "call": call,
        }
        try:
            score, spread = await self._score(replies[-1], example, repeat)
            if not isinstance(score, Score):
                raise TypeError(f"expected a Score, but the scorer gave {score!r}")
        except (BudgetExhausted, ConfigError, Interrupted):
            raise
        except Exception as error:  # scorers are the user's code: a crash is this row's, not the run's
            if isinstance(error, LlmError) and error.fatal:
                raise
            return Outcome(example.number, None, error=as_text(f"{SCORER}{type(error).__name__}: {error}"), **used)
        return Outcome(
            example.number,
            score.value,
            answer=as_text(score.answer),  # half of a surrogate pair would make the log unwritable
            reason=as_text(score.reason),
            parsed=score.parsed,
            reply=_kept(replies, score.answer),
            spread=spread,
            **used,
        )

    async def _priors(self, prompt: Prompt, examples: Sequence[Example]) -> Priors:
        if not takes_priors(self.task.scorer):
            return {}
        sets = list(dict.fromkeys(example.choices for example in examples if self._chooses(example)))
        found = await _together([self._prior(prompt, choices) for choices in sets])
        return dict(zip(sets, found, strict=True))

    async def _prior(self, prompt: Prompt, choices: Choices) -> tuple[float, ...] | LlmError:
        try:
            completion = await self.llm.complete(self.task.blank_request(prompt, choices))
        except LlmError as error:
            if error.fatal:
                raise
            return error
        return completion.logprobs

    async def _score(self, reply: Completion, example: Example, repeat: int) -> tuple[Score, float | None]:
        """Return a reply's score, and how much a judge's verdicts of it differ where it gives several."""
        scorer = self.task.scorer
        if isinstance(scorer, Judge) and self.judge is not None:
            return await Bench(scorer, self.judge, repeat).judged(reply, example)
        return await scorer(reply, example), None

    def _chooses(self, example: Example) -> bool:
        return self.llm.can_choose and self.task.can_choose(example.number)


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return all results in order, or pass on what one raises.

    Where that says that no further call is admitted, the others end first: what is under way is paid for, and its
    answers are remembered. Else the others are cancelled.
    """
    tasks = [asyncio.create_task(one) for one in work]
    try:
        try:
            return await asyncio.gather(*tasks)
        except (BudgetExhausted, Interrupted):
            await asyncio.wait(tasks)
            raise
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _above(completion: Completion, prior: tuple[float, ...] | None) -> Completion:
    """Return the completion with each choice's log-likelihood counted from its prior."""
    if prior is None or len(prior) != len(completion.logprobs):
        return completion
    above = tuple(value - base for value, base in zip(completion.logprobs, prior, strict=True))
    return replace(completion, logprobs=above)


def _kept(replies: Sequence[Completion], answer: str) -> str:
    """Return what the model wrote, unless it is no more than the answer read in it."""
    text = "\n".join(reply.text.strip() for reply in replies)
    half = REPLY_CHARS // 2
    return "" if text == answer else text if len(text) <= REPLY_CHARS else f"{text[:half]} ... {text[-half:]}"
