"""The archipelago in one process: the same islands, worker and broker in one event loop, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from cluster.archipelago import sail
from cluster.broker import Broker
from cluster.island import Island, Shore
from cluster.workers import FitnessWorker, WorkerPlan
from evo.commission import Commission, Watch
from evo.errors import ConfigError
from evo.life import Life
from evo.model import Individual
from evo.processes import rare_collection


class InlineFleet:
    """A `Fleet` of coroutines."""

    lost: tuple[type[Exception], ...] = ()

    def __init__(self, order: Commission) -> None:
        self._order = order

    async def open(self, workers: int) -> Broker:
        """See `Fleet`."""
        self._asked_for = workers
        self._broker = Broker(self._order.path, self._order.settings, workers=workers)
        return self._broker

    def worker(self, number: int, plan: WorkerPlan) -> Awaitable[None]:
        """See `Fleet`."""
        return FitnessWorker(number, plan, self._broker).run()

    def room(self) -> int:
        """See `Fleet`."""
        return self._asked_for

    def island(self, number: int, shore: Shore, life: Life[Any]) -> Awaitable[tuple[Individual, ...]]:
        """See `Fleet`."""
        models = self._order.models_of(number)
        return Island(self._order.ground(number), shore, models, self._broker, life).run()

    async def close(self) -> None:
        """See `Fleet`."""


async def run_inline(order: Commission, address: str | None, stop: asyncio.Event, watch: Watch) -> None:
    """Run a commission in this process. Raises ConfigError when an address is given."""
    if address is not None:
        raise ConfigError(
            "executor 'inline' runs in this process and joins no cluster; use executor: ray with --address"
        )
    with rare_collection():
        await sail(order, InlineFleet(order), 1, stop, watch)
