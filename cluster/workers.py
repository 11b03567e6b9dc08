"""Fitness workers: each pulls shards of rows from the broker, calls models, scores, and hands results back."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass

from cluster.batching import BatchingLedger
from cluster.jobs import Job
from cluster.ports import BrokerPort
from evo.accounting import Accounted, Slots
from evo.errors import ConfigError, EvoError, LlmError
from evo.model import Completion, Evaluation
from evo.plugins import build_model, resolve
from evo.ports import Evaluator, EvaluatorFactory, Llm, Task
from evo.processes import process_row
from evo.receipts import Limits
from evo.scorer_trial import ScorerTrial
from evo.settings import ModelSettings

LEASE_GRACE_S = 60.0
"""How long after its time-out a call counts as under way when nothing was heard of it."""
AHEAD = 2
"""A worker takes more work while fewer than this many calls per slot are before it."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What every worker is given once: the task, the run's models, and how many calls it may have under way at first.

    ``judged`` are the places of the models under test, ``embedders`` of the embedding models: whether the task can be
    scored with them, and whether they can embed, is known at the start. ``judge`` is the place of the one that judges.
    """

    task: Task
    models: tuple[ModelSettings, ...]
    slots: int
    judged: tuple[int, ...] = ()
    embedders: tuple[int, ...] = ()
    judge: int | None = None
    profile: bool = False
    """Whether a worker says at the end what it took."""


class FitnessWorker:
    """Works until the broker has no more to do.

    Args:
        number: Its number among the run's workers.
        plan: What it works on.
        broker: Where work comes from.
        gather_s: How long calls are gathered before they go to the broker together; see `BatchingLedger`.
    """

    def __init__(self, number: int, plan: WorkerPlan, broker: BrokerPort, *, gather_s: float = 0.0) -> None:
        self._number, self._plan, self._broker = number, plan, broker
        self._ledger = BatchingLedger(number, broker, gather_s)
        self._slots = Slots(plan.slots)
        self._models: dict[int, Llm] = {}
        self._limits = tuple(map(limits_of, plan.models))
        self._ahead: dict[int, int] = {}
        self._progress = asyncio.Event()
        self._trial = ScorerTrial(max(1, len(plan.task.brief.seeds)))

    async def run(self) -> None:
        """Pull and do jobs until there are none; then close the models."""
        running: set[asyncio.Task[None]] = set()
        try:
            began = time.monotonic()
            await self._check()
            models_s = time.monotonic() - began
            while True:
                while sum(self._ahead.values()) >= AHEAD * self._slots.count:
                    self._progress.clear()
                    await self._progress.wait()
                job = await self._broker.next_job(self._number)
                if job is None:
                    break
                if job.slots:
                    self._slots.resize(job.slots)
                self._ahead[job.number] = job.size * (1 if job.prompt is None else 1 + self._plan.task.judge_calls)
                task = asyncio.create_task(self._do(job))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.gather(*running)
            if self._plan.profile:
                await self._broker.log({"events": [process_row("worker", models_s=models_s)]})
        finally:
            self._slots.close()
            for task in running:
                task.cancel()
            for llm in self._models.values():
                await llm.aclose()

    async def _check(self) -> None:
        """End the run before its first call when a model cannot be made, or cannot do what it is there for."""
        judge = self._plan.judge
        try:
            for place in self._plan.judged:
                self._evaluator(place, self._model(place), None if judge is None else self._model(judge))
            for place in self._plan.embedders:
                if not self._model(place).can_embed:
                    raise _no_embedder(self._plan.models[place].name)
        except EvoError as error:
            await self._broker.stop(error)
        except Exception:  # noqa: BLE001 - a plugin's model or evaluator
            await self._broker.stop(_crash())

    async def _do(self, job: Job) -> None:
        result: Evaluation | Completion | EvoError
        try:
            result = await self._result(job)
        except EvoError as error:
            result = error
            if isinstance(error, ConfigError) or (isinstance(error, LlmError) and error.fatal):
                await self._broker.stop(error)
        except Exception:  # noqa: BLE001 - the worker boundary: a crash in a plugin ends the run with its own words
            result = _crash()
            await self._broker.stop(result)
        self._ahead.pop(job.number, None)
        self._progress.set()
        await self._broker.finish(self._number, job.number, result)

    async def _result(self, job: Job) -> Evaluation | Completion:
        llm = self._accounted(job, job.model, job.purpose)
        if job.prompt is None:
            assert job.request is not None
            return await llm.complete(job.request)
        judge = None if self._plan.judge is None else self._accounted(job, self._plan.judge, "judge")
        found = await self._evaluator(job.model, llm, judge).evaluate(job.prompt, job.examples)
        if (error := self._trial.settle(job.prompt, found)) is not None:
            await self._broker.stop(error)
        return found

    def _evaluator(self, model: int, llm: Llm, judge: Llm | None) -> Evaluator:
        settings = self._plan.models[model]
        build: EvaluatorFactory = resolve("evo.evaluators", "rows")
        return build(
            self._plan.task, llm, temperature=settings.temperature, max_tokens=settings.max_tokens, judge=judge
        )

    def _one_done(self, job: Job) -> None:
        self._ahead[job.number] -= self._ahead[job.number] > 0
        self._progress.set()

    def _accounted(self, job: Job, model: int, purpose: str) -> Accounted:
        return Accounted(
            self._model(model),
            self._ledger,
            self._slots,
            purpose,
            job.individual,
            self._plan.models[model].attempts,
            lambda: self._one_done(job),
            self._limits[model],
            self._plan.models[model].hedge_after_s,
        )

    def _model(self, place: int) -> Llm:
        if place not in self._models:
            self._models[place] = build_model(self._plan.models[place])
        return self._models[place]


def limits_of(model: ModelSettings) -> Limits:
    """Return how fast a model may be called. A lease outlasts an attempt."""
    return Limits(
        model.concurrency,
        model.requests_per_minute,
        model.tokens_per_minute,
        model.patience_s,
        lease_s=model.timeout_s + LEASE_GRACE_S,
    )


def _no_embedder(name: str) -> ConfigError:
    return ConfigError(
        f"expected an embedding_model that turns texts into vectors, got {name}, which does not; "
        "name one such as openai/text-embedding-3-small or local/smollm2-135m"
    )


def _crash() -> EvoError:
    return EvoError(f"a fitness worker failed: {traceback.format_exc(limit=-4)}")
