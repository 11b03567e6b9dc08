"""The archipelago on Ray: broker, workers and islands as actors, on this machine or a cluster it joins."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from cluster.archipelago import sail
from cluster.connection import connect, disconnect
from cluster.demand import Demand
from cluster.island import Island, Shore
from cluster.metrics import metered
from cluster.remote import AT_ONCE, GATHER_S, BrokerActor, RemoteBroker
from cluster.workers import FitnessWorker, WorkerPlan
from evo._guard import stranger
from evo.commission import Commission, Watch
from evo.errors import ConfigError, EvoError
from evo.life import Life
from evo.model import Individual
from evo.processes import COLLECT_AFTER, process_row

HOSTS_PER_CORE = 2
"""Island processes per core at most; more islands share them."""


class WorkerActor:
    """A fitness worker in a process of its own."""

    async def run(self, number: int, plan: WorkerPlan, broker: Any) -> None:
        """Work until there is nothing more to do."""
        gc.set_threshold(*COLLECT_AFTER)
        await FitnessWorker(number, plan, RemoteBroker(broker), gather_s=GATHER_S).run()


class IslandHost:
    """A process for one or more islands, which share the task. Holds nothing that the log does not."""

    def __init__(self) -> None:
        gc.set_threshold(*COLLECT_AFTER)
        self._order: asyncio.Future[Commission] | None = None

    async def run(
        self, kept: Sequence[Any], number: int, shore: Shore, life: Life[Any], broker: Any
    ) -> tuple[Individual, ...]:
        """Run an island to its end. ``kept`` holds a reference to the run's commission, which is fetched once."""
        if self._order is None:
            self._order = asyncio.ensure_future(kept[0])
        order = await self._order
        remote = RemoteBroker(broker)
        living = await Island(order.ground(number), shore, order.models_of(number), remote, life).run()
        if order.settings.profile:
            await remote.log({"events": [process_row("islands")]})
        return living


class RayFleet:
    """A `Fleet` of Ray actors. Ray must be initialised."""

    def __init__(self, order: Commission) -> None:
        import ray

        self.lost: tuple[type[Exception], ...] = (
            ray.exceptions.RayActorError,
            ray.exceptions.ActorUnschedulableError,  # its node went before it came
            ray.exceptions.RaySystemError,
        )
        self._path, self._settings = order.path, order.settings
        self._room, self._missing = partial(_workers, order), partial(_missing, order)
        self._demand = Demand()
        self._kept = [ray.put(order)]  # in a list: Ray would fetch a bare one for every island anew
        self._islands = order.settings.size
        # An in-process model computes on the worker's own core; a remote one leaves the core free.
        self._worker_cpus = int(_is_local(order))
        self._workers: dict[int, Any] = {}
        self._homes: dict[int, str] = {}
        """The node each living worker is on."""
        self._hosts: list[Any] = []
        self._broker: Any = None
        self._actors: list[Any] = []
        """Every process there ever was: one that nobody waits for any more must end too."""

    async def open(self, workers: int) -> RemoteBroker:
        """See `Fleet`. Every process starts at once: on two cores each takes seconds."""
        import ray

        # The broker writes the run's folder, so it must live where the driver does.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._broker = self._actor(BrokerActor, max_concurrency=AT_ONCE, scheduling_strategy=here)
        self._workers = {number: self._new_worker(number) for number in range(workers)}
        hosts = min(self._islands, HOSTS_PER_CORE * _cpus())
        self._hosts = [self._actor(IslandHost, max_restarts=-1, max_concurrency=AT_ONCE) for _ in range(hosts)]
        error = await _awaited(self._broker, self._broker.open.remote(self._path, self._settings, workers))
        if error is not None:
            raise error
        return RemoteBroker(self._broker)

    async def worker(self, number: int, plan: WorkerPlan) -> None:
        """See `Fleet`."""
        actor = self._workers.pop(number, None) or self._new_worker(number)
        try:
            await _awaited(actor, actor.run.remote(number, plan, self._broker))
        finally:
            self._homes.pop(number, None)

    def room(self) -> int:
        """See `Fleet`. An autoscaler hears of what is missing."""
        self._demand.ask(self._missing())
        return self._room()

    def island(self, number: int, shore: Shore, life: Life[Any]) -> Awaitable[tuple[Individual, ...]]:
        """See `Fleet`."""
        host = self._hosts[number % len(self._hosts)]
        return _awaited(host, host.run.remote(self._kept, number, shore, life, self._broker))

    async def close(self) -> None:
        """See `Fleet`."""
        import ray

        self._demand.ask(0)
        for actor in self._actors:
            ray.kill(actor)

    def _new_worker(self, number: int) -> Any:
        """Start a worker on a core no other of ours has, or else beside one."""
        import ray

        node, is_free = place(_cores(), list(self._homes.values()))
        self._homes[number] = node
        # Were it soft, Ray would place a worker that needs no CPU at random.
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        # One that asks for a core nobody gives back, or where there is none at all, would wait for ever.
        has_cores = bool(ray.cluster_resources().get("CPU"))  # type: ignore[no-untyped-call]
        cpus = self._worker_cpus if is_free and has_cores else 0
        return self._actor(WorkerActor, num_cpus=cpus, scheduling_strategy=there)

    def _actor(self, kind: Any, **options: Any) -> Any:
        import ray

        actor = ray.remote(kind).options(**{"num_cpus": 0, **options}).remote()
        self._actors.append(actor)
        return actor


async def _awaited(actor: Any, reference: Any) -> Any:
    """Return the result of an actor's method. Raises EvoError when the actor cannot be made: nor could another.

    What it raised on purpose is raised as it was: Ray's own error is a traceback of many lines.
    """
    import ray

    try:
        return await reference
    except ray.exceptions.RayActorError as error:
        if not error.actor_init_failed:
            raise
        raise EvoError(f"a process cannot start on Ray: {str(error).strip().splitlines()[-1]}") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, EvoError):
            raise error.cause from None
        raise
    finally:
        del actor  # held until here: an actor ends when nobody has its handle


async def run_on_ray(order: Commission, address: str | None, stop: asyncio.Event, watch: Watch) -> None:
    """Run a commission on Ray: started here, or joined at ``address``. Leaves nothing behind.

    Raises:
        ConfigError: no cluster answers at the address, or its processes would find strangers under our names.
    """
    # Where Ray makes its processes look first, whatever the driver's own path.
    if message := stranger([os.getcwd(), str(order.base.resolve())]):
        raise ConfigError(message)
    started_here = await asyncio.to_thread(connect, order.base, address)
    try:
        await sail(order, RayFleet(order), _workers(order), stop, metered(order.path.name, watch))
    finally:
        if started_here:
            await asyncio.to_thread(disconnect)


def place(cores: Sequence[str], taken: Sequence[str]) -> tuple[str, bool]:
    """Return the node for one more worker, and whether a core of it is free.

    Args:
        cores: A node for each core; one is there at least.
        taken: The node of each worker there is.
    """
    left = Counter(taken)
    for node in cores:
        if not left[node]:
            return node, True
        left[node] -= 1
    return cores[len(taken) % len(cores)], False


def _is_local(order: Commission) -> bool:
    return any(model.name.startswith("local/") for model in order.models)


def _workers(order: Commission) -> int:
    """Return how many workers to start: where they compute themselves, no more than there are cores."""
    wanted = min(order.settings.workers or _cpus(), order.settings.concurrency)
    return min(wanted, _cpus()) if _is_local(order) else wanted


def _missing(order: Commission) -> int:
    """Return how many cores more the workers asked for would take: those that compute themselves, one each."""
    wanted = min(order.settings.workers or 0, order.settings.concurrency)
    return max(0, wanted - _cpus()) if _is_local(order) else 0


def _cpus() -> int:
    return len(_cores())


def _cores() -> list[str]:
    """Return a living node's id for each core of the cluster, the nodes in turn; at least one."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    counts = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in alive}
    if not any(counts.values()):
        counts = dict.fromkeys(counts, 1)
    # A node without cores, as a head node often is, was meant to do no work.
    return [node for turn in range(max(counts.values())) for node, count in counts.items() if turn < count]
