"""An island: a method at work. A plain class that runs with or without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.migration import emigrants, is_time, unscored
from cluster.ports import BrokerPort
from evo.commission import Models
from evo.errors import LlmError
from evo.life import Ground, Life
from evo.loop import live
from evo.model import Completion, Evaluation, Individual, Prompt, Request
from evo.ports import Price
from evo.randomness import child_rng
from evo.status import IslandStatus


@dataclass(frozen=True, slots=True)
class BrokerLlm:
    """Models reached through the broker: what operators on an island call.

    ``embedder`` is the place of the model that answers requests for embeddings.
    """

    broker: BrokerPort
    model: int
    individual: int
    identity: str
    embedder: int | None = None
    can_choose: bool = False
    price: Price | None = None

    @property
    def can_embed(self) -> bool:
        """Whether there is an embedding model."""
        return self.embedder is not None

    async def complete(self, request: Request) -> Completion:
        """Answer one request by whichever worker is free. Raises LlmError, BudgetExhausted or Interrupted."""
        model = self.embedder if request.embedding else self.model
        if model is None:
            raise LlmError("expected an embedding model, but the run has none; set embedding_model")
        return await self.broker.complete(model, self.individual, request)

    async def aclose(self) -> None:
        """Nothing to close: workers own the models."""


@dataclass(frozen=True, slots=True)
class Shore:
    """How an island meets the others: its neighbours upstream, how often and how many migrate, and which start this is.

    ``foreign`` are the neighbours whose prompts another task model has scored; with ``lockstep`` an island waits for
    its neighbours to be told of as many births as it was. An island that was lost is started
    again; the broker hears the latest start only.
    """

    sources: tuple[int, ...] = ()
    every: int = 8
    count: int = 1
    start: int = 0
    foreign: tuple[int, ...] = ()
    lockstep: bool = False


def offer_of(ground: Ground[Any], population: Sequence[Individual], told: int, count: int) -> tuple[Individual, ...]:
    """Return whom an island puts up after ``told`` births."""
    return emigrants(population, count, child_rng(ground.seed, "emigrants", ground.island, told))


class Island:
    """Runs one method to its end or the budget's, from where its life is.

    Args:
        ground: What does not change: method, task, racing, seed.
        shore: How it meets other islands.
        models: Places of its models in the run's list.
        broker: Where work goes.
        life: Where it goes on: at its beginning, or where the log leads to.
    """

    def __init__(self, ground: Ground[Any], shore: Shore, models: Models, broker: BrokerPort, life: Life[Any]) -> None:
        self._ground, self._shore, self._broker, self._life = ground, shore, broker, life
        self._models = models

    async def run(self) -> tuple[Individual, ...]:
        """Return the living population when no more births can be made."""
        await live(self._ground, self._life, self)
        return tuple(self._ground.method.living(self._life.state))

    def llm(self, individual: int) -> BrokerLlm:
        """See `evo.life.World`."""
        model = self._models.operator
        return BrokerLlm(self._broker, model, individual, f"model {model}", self._models.embedding)

    async def evaluate(self, individual: int, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """See `evo.life.World`."""
        calls = sum(self._ground.task.calls(prompt, examples))
        return await self._broker.evaluate(self._models.task, individual, prompt, examples, calls)

    async def record(self, rows: Mapping[str, Sequence[Mapping[str, Any]]], status: IslandStatus) -> bool:
        """See `evo.life.World`."""
        return await self._broker.record(rows, status, self._shore.start)

    async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
        """See `evo.life.World`."""
        shore, island = self._shore, self._ground.island
        if not is_time(told, shore.every) or not (shore.sources or shore.lockstep):
            return ()
        offer = offer_of(self._ground, population, told, shore.count)
        if shore.lockstep:
            await self._broker.put_up(island, {told: offer})
            taken = await self._broker.meet(told, shore.sources)
        else:
            taken = await self._broker.trade(island, offer, shore.sources, shore.count)
        return [unscored(one) if one.island in self._shore.foreign else one for one in taken]
