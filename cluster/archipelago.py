"""The archipelago: islands and fitness workers around one broker, supervised from the first birth to the final test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cluster.finals import finish
from cluster.island import Shore
from cluster.relived import Chronicle
from cluster.remote import AnyBroker
from cluster.topology import topology
from cluster.workers import WorkerPlan
from evo.commission import Commission, Watch, final_calls
from evo.errors import ConfigError, EvoError, Interrupted
from evo.life import Life
from evo.model import Individual
from evo.randomness import child_rng
from evo.schema import EXTINCT, LOST_ISLAND, event_row

WATCH_S = 0.25
LOOK_S = 5.0
"""How often we look for nodes that have joined or left."""
GRACE_S = 10.0
"""How long calls under way may take to end after a stop."""
RESTART_WAITS_S = (0.0, 1.0, 3.0, 9.0, 27.0)
"""Before each new start of a lost worker or island; then the run gives up. Ray takes half a minute to miss a node."""


class Fleet(Protocol):
    """Where broker, workers and islands live: in this process, or in Ray actors."""

    @property
    def lost(self) -> tuple[type[Exception], ...]:
        """Errors that mean a process was lost."""
        ...

    async def open(self, workers: int) -> AnyBroker:
        """Start the broker. Raises EvoError when the run's folder cannot be written."""
        ...

    def worker(self, number: int, plan: WorkerPlan) -> Awaitable[None]:
        """Start a worker under a number no other has had; done when it has gone home."""
        ...

    def room(self) -> int:
        """Return how many workers there is room for now, one at least: nodes come and go."""
        ...

    def island(self, number: int, shore: Shore, life: Life[Any]) -> Awaitable[tuple[Individual, ...]]:
        """Start an island where its life is; done with its population when it can do no more."""
        ...

    async def close(self) -> None:
        """End every process this fleet has started."""
        ...


async def sail(order: Commission, fleet: Fleet, workers: int, stop: asyncio.Event, watch: Watch) -> None:
    """Run a commission to its result. Raises EvoError, and Interrupted when ``stop`` was set."""
    try:
        broker = await fleet.open(workers)
        await _voyage(order, fleet, broker, workers, stop, watch)
    except fleet.lost as error:
        raise EvoError(
            f"the process that holds the log of {order.path} was lost: {error}; resume the run, its log is kept"
        ) from error
    finally:
        await fleet.close()


async def _voyage(
    order: Commission, fleet: Fleet, broker: AnyBroker, workers: int, stop: asyncio.Event, watch: Watch
) -> None:
    models = [order.models_of(number) for number in range(order.settings.size)]
    judged = sorted({places.task for places in models})
    embedders = sorted({places.embedding for places in models if places.embedding is not None})
    slots = max(1, order.settings.concurrency // workers)
    plan = WorkerPlan(
        order.task, order.models, slots, tuple(judged), tuple(embedders), order.judge, order.settings.profile
    )
    over = asyncio.Event()
    numbers = itertools.count()
    crew: list[asyncio.Task[None]] = []

    def hire() -> None:
        crew.append(asyncio.create_task(_keep_worker(fleet, broker, plan, numbers, is_spare, over)))

    def is_spare() -> bool:
        return _at_work(crew) > fleet.room()

    for _ in range(workers):
        hire()
    helpers = [asyncio.create_task(_watch(broker, watch)), asyncio.create_task(_obey(broker, stop, over))]
    helpers.append(asyncio.create_task(_man(fleet, broker, crew, hire)))
    try:
        await broker.keep_for_final(final_calls(order))
        await _search(order, fleet, broker, stop, over)
        await finish(order, broker)
        watch(await broker.snapshot())
    except Interrupted:
        # What ends a run ends the calls under way first, and those say no more than that they were interrupted.
        if (failure := await broker.failed_with()) is not None:
            raise failure from None
        raise
    except OSError as error:
        raise EvoError(f"{order.path} cannot be written: {error}; make room, then resume the run") from error
    finally:
        over.set()
        await _go_home(broker, crew, helpers)


async def _go_home(
    broker: AnyBroker, crew: Sequence[asyncio.Task[None]], helpers: Sequence[asyncio.Task[None]]
) -> None:
    """End workers, then the broker; whatever one step meets, the next is taken."""
    for helper in helpers:
        helper.cancel()
    try:
        await broker.dismiss()
        await asyncio.wait(crew, timeout=GRACE_S)  # calls under way still find their place in the log
    finally:
        for member in crew:
            member.cancel()
        try:
            await broker.close()
        finally:
            await asyncio.gather(*crew, *helpers, return_exceptions=True)


async def _search(order: Commission, fleet: Fleet, broker: AnyBroker, stop: asyncio.Event, over: asyncio.Event) -> None:
    log = Chronicle(order, over)
    islands = [asyncio.create_task(_until_gone(log, fleet, broker, i, s, over)) for i, s in enumerate(_shores(order))]
    together = asyncio.gather(*islands)
    stopped = asyncio.ensure_future(stop.wait())
    pair: set[asyncio.Future[Any]] = {together, stopped}
    await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        await asyncio.wait({together}, timeout=GRACE_S)
    stopped.cancel()
    for island in islands:
        island.cancel()
    outcomes = await asyncio.gather(*islands, together, return_exceptions=True)
    failure = await broker.failed_with()
    if failure is not None:
        raise failure
    if stop.is_set():
        raise _stopped()
    extinct = [outcome for outcome in outcomes[: len(islands)] if isinstance(outcome, ConfigError)]
    if len(extinct) == len(islands):
        raise extinct[0]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError | ConfigError):
            raise outcome


def _shores(order: Commission) -> list[Shore]:
    settings = order.settings
    graph = topology(settings.topology, settings.size, child_rng(settings.seed, "topology"))
    task_models = [order.models_of(island).task for island in graph]
    shores = []
    for island in graph:
        sources = sorted(graph.predecessors(island))
        foreign = (source for source in sources if task_models[source] != task_models[island])
        terms = settings.migration.model_dump()
        shores.append(Shore(tuple(sources), **terms, foreign=tuple(foreign), lockstep=settings.lockstep))
    return shores


def _stopped() -> Interrupted:
    return Interrupted("the run was stopped on request")


async def _watch(broker: AnyBroker, watch: Watch) -> None:
    while True:
        watch(await broker.snapshot())
        await asyncio.sleep(WATCH_S)


async def _obey(broker: AnyBroker, stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()
    await broker.stop()


def _at_work(crew: Sequence[asyncio.Task[None]]) -> int:
    return sum(not member.done() for member in crew)


async def _man(fleet: Fleet, broker: AnyBroker, crew: Sequence[asyncio.Task[None]], hire: Callable[[], None]) -> None:
    """Hire workers for nodes that have joined, and share the calls under way among as many as there are."""
    while True:
        await asyncio.sleep(LOOK_S)
        for _ in range(_at_work(crew), fleet.room()):
            hire()
        await broker.share(_at_work(crew))


async def _keep_worker(
    fleet: Fleet,
    broker: AnyBroker,
    plan: WorkerPlan,
    numbers: Iterator[int],
    is_spare: Callable[[], bool],
    over: asyncio.Event,
) -> None:
    """Run a worker, and another in its place, under a new number, when it is lost and there is room for it."""
    number = place = next(numbers)
    for starts, wait_s in enumerate((*RESTART_WAITS_S, None), start=1):
        try:
            return await fleet.worker(number, plan)
        except fleet.lost as error:
            await broker.lose_worker(number)
            if wait_s is None:
                await broker.stop(EvoError(f"fitness worker {place} was lost {starts} times, last: {error}"))
            elif await _rest(wait_s, over, lambda: _is_late(broker)) or is_spare():
                return None
            number = next(numbers)
        except EvoError as error:
            return await broker.stop(error)
        except Exception as error:  # noqa: BLE001 - without a word the others would wait for its work for ever
            return await broker.stop(EvoError(f"fitness worker {place} failed: {type(error).__name__}: {error}"))


async def _keep_island(
    log: Chronicle, fleet: Fleet, broker: AnyBroker, number: int, shore: Shore, over: asyncio.Event
) -> ConfigError | None:
    """Run an island, and rebuild it from its part of the log when it is lost; return why it died out, if it did."""
    for starts, wait_s in enumerate((*RESTART_WAITS_S, None), start=1):
        try:
            start = await broker.enlist(number)
            life, offers = await log.life(number, shore)
            await broker.put_up(number, offers)
            await fleet.island(number, replace(shore, start=start), life)
        except fleet.lost as error:
            await broker.log({"events": [event_row(number, LOST_ISLAND, None, str(error)[:200])]})
            if wait_s is None:
                raise EvoError(f"island {number} was lost {starts} times, last: {error}") from error
            if await _rest(wait_s, over, lambda: _is_spent(broker)) or await _is_spent(broker):
                return None
        except ConfigError as error:  # its method has nobody to breed from: the other islands go on
            await broker.log({"events": [event_row(number, EXTINCT, None, str(error))]})
            return error
        else:
            return None
    return None


async def _until_gone(
    log: Chronicle, fleet: Fleet, broker: AnyBroker, number: int, shore: Shore, over: asyncio.Event
) -> ConfigError | None:
    """Run an island to its end, and let nobody wait for it after that; one that is stopped goes on later."""
    ended = await _keep_island(log, fleet, broker, number, shore, over)
    await broker.put_up(number, {}, True)
    return ended


async def _rest(wait_s: float, over: asyncio.Event, enough: Callable[[], Awaitable[bool]]) -> bool:
    """Wait before a new start, until it is ``enough``; return at once, and whether so, when the run is over."""
    until = time.monotonic() + wait_s
    while (left_s := until - time.monotonic()) > 0 and not over.is_set() and not await enough():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), min(WATCH_S, left_s))
    return over.is_set()


async def _is_late(broker: AnyBroker) -> bool:
    """Return whether the phase's time is up: a worker that starts at once ends what waits for one."""
    left_s = (await broker.snapshot()).left_s
    return left_s is not None and left_s <= 0


async def _is_spent(broker: AnyBroker) -> bool:
    """Return whether the search can pay for nothing more, whatever the calls under way will cost."""
    return not (await broker.snapshot()).in_flight and not await broker.affordable(1)
