"""The queue of work between islands and fitness workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evo.errors import EvoError
from evo.model import Evaluation, Prompt, Request

SHARD = (16, 64)
"""Fewest and most rows handed to a worker at once."""


def shards(examples: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Return rows cut for so many workers."""
    low, high = SHARD
    size = min(high, max(low, -(-len(examples) // workers)))
    return [tuple(examples[i : i + size]) for i in range(0, len(examples), size)]


async def merged(parts: Iterable[Awaitable[Evaluation]]) -> Evaluation:
    """Return the outcomes of all parts. Raises what one raises, when all have ended."""
    results = await asyncio.gather(*parts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return Evaluation.of(o for result in results if isinstance(result, Evaluation) for o in result.outcomes)


@dataclass(frozen=True, slots=True)
class Job:
    """Work for one worker: rows of one prompt to score, or one request to send.

    ``model`` is the place of the model's settings in the run's list of models; ``slots`` is how many calls the worker
    may have under way from now on, 0 for as many as before.
    """

    number: int
    model: int
    individual: int
    purpose: str
    prompt: Prompt | None = None
    examples: tuple[int, ...] = ()
    request: Request | None = None
    slots: int = 0

    @property
    def size(self) -> int:
        """Number of model calls it is likely to need."""
        return max(1, len(self.examples))


@dataclass(slots=True)
class Desk:
    """What one worker has in hand: jobs, and keys of calls it has reserved."""

    jobs: dict[int, Job] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


class JobQueue:
    """First in, first out; workers take when they have room, and what a lost one had goes back in front.

    A worker's number is that of one process: another in its place has another, and what a lost one asked is not heard.
    """

    def __init__(self) -> None:
        self._count = 0
        self._closed = False
        self._queue: deque[Job] = deque()
        self._waiting: deque[tuple[int, asyncio.Future[Job | None]]] = deque()
        self._lost: set[int] = set()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._desks: dict[int, Desk] = {}

    def desk(self, worker: int) -> Desk:
        """Return what a worker has in hand."""
        return self._desks.setdefault(worker, Desk())

    async def do(self, **job: Any) -> Any:
        """Queue a job and return its result, or raise the error that ended it."""
        self._count += 1
        number = self._count
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._hand_over(Job(number, **job))
        return await self._answers[number]

    async def take(self, worker: int) -> Job | None:
        """Return the next job as soon as there is one; None: there will be no more."""
        if self._closed or worker in self._lost:
            return None
        if self._queue:
            job = self._queue.popleft()
        else:
            waiter: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
            self._waiting.append((worker, waiter))
            return await waiter
        self.desk(worker).jobs[job.number] = job
        return job

    def finish(self, worker: int, number: int, result: Any) -> None:
        """Give a job's result, or its error, to whoever waits for it; a lost worker's job is done by another."""
        if worker in self._lost:
            return
        self.desk(worker).jobs.pop(number, None)
        answer = self._answers.pop(number, None)
        if answer is None or answer.done():
            return
        if isinstance(result, EvoError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def lose(self, worker: int) -> Desk:
        """Put a lost worker's jobs back in front; return what it had in hand."""
        desk = self._desks.pop(worker, Desk())
        # What it has asked may still stand, or come only now: work given to it would be lost too.
        self._lost.add(worker)
        self._send_home(worker)
        self._queue.extendleft(reversed(desk.jobs.values()))
        while self._queue and self._waiting:
            self._hand_over(self._queue.popleft())
        return desk

    def close(self) -> None:
        """Send every worker home as soon as it asks for work."""
        self._closed = True
        for worker in {worker for worker, _ in self._waiting}:
            self._send_home(worker)

    def is_lost(self, worker: int) -> bool:
        """Whether a worker was lost: what it asks is not to be granted."""
        return worker in self._lost

    def refuse(self, error: EvoError) -> None:
        """End every job that no worker has begun with an error."""
        for job in self._queue:
            answer = self._answers.pop(job.number, None)
            if answer is not None and not answer.done():
                answer.set_exception(error)
        self._queue.clear()

    def abort(self, error: EvoError) -> None:
        """End every job that nobody has answered with an error."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
        self._answers.clear()
        self._queue.clear()

    def _send_home(self, worker: int) -> None:
        for asker, waiter in self._waiting:
            if asker == worker and not waiter.done():
                waiter.set_result(None)
        self._waiting = deque((asker, waiter) for asker, waiter in self._waiting if asker != worker)

    def _hand_over(self, job: Job) -> None:
        while self._waiting:
            worker, waiter = self._waiting.popleft()
            if not waiter.done():
                self.desk(worker).jobs[job.number] = job
                waiter.set_result(job)
                return
        self._queue.append(job)
