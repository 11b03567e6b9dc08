"""A model whose every call is admitted, retried within bounds, and settled: what workers wrap around a bare model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evo.budget import Usage
from evo.errors import EvoError, Interrupted, LlmError
from evo.model import Completion, Request
from evo.ports import Llm, Price
from evo.randomness import child_rng
from evo.receipts import CANCELLED, NO_LIMITS, Admission, Ledger, Limits, Receipt, Setback

TEMPLATE_TOKENS = 64
"""Allowance for what a provider's chat template adds to a prompt."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
ADMITTED = 2
"""Calls admitted for each slot: what is admitted is sent even when time runs out meanwhile, so it may not be much."""


class Slots:
    """How many calls may be under way at once; none at all once the ledger cannot be reached.

    ``queue`` is where calls wait before they are admitted.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.queue = asyncio.Semaphore(ADMITTED * max(1, count))
        self._free = asyncio.Semaphore(count)
        self._taken: set[asyncio.Task[bool]] = set()
        """Places that are taken away: each waits its turn as a call does, and keeps it."""
        self._closed = False

    def resize(self, count: int) -> None:
        """Let so many calls be under way from now on; where they are fewer, as soon as those before have ended."""
        change, self.count = count - self.count, count
        for place, each in ((self._free, 1), (self.queue, ADMITTED)):
            for _ in range(each * abs(change)):
                if change > 0:
                    place.release()
                    continue
                task = asyncio.create_task(place.acquire())
                self._taken.add(task)
                task.add_done_callback(self._taken.discard)

    @property
    def locked(self) -> bool:
        """Whether a call would have to wait for one."""
        return self._free.locked()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True
        for task in self._taken:
            task.cancel()

    async def __aenter__(self) -> None:
        await self._free.acquire()
        if self._closed:
            self._free.release()
            raise Interrupted("calls can no longer be accounted for; resume the run")

    async def __aexit__(self, *exception: object) -> None:
        self._free.release()


@dataclass(slots=True)
class _Sending:
    started_at: float = field(default_factory=time.time)
    attempts: int = 0
    excused: int = 0
    """Attempts that were to see whether a model that is down answers again."""
    answer: Completion | None = None
    error: str = CANCELLED
    transient: bool = False
    busy: bool = False
    billed: Usage | None = None
    """What the last attempt took where it failed; None: it is under way, or the provider did not say."""

    def answered(self) -> Completion:
        assert self.answer is not None
        return self.answer


@dataclass(frozen=True, slots=True)
class Accounted:
    """`Llm` around another: cached, budgeted, logged, and sent again after passing failures.

    Args:
        inner: The bare model; it sends each request exactly once.
        ledger: Where calls are admitted and settled.
        slots: How many calls this worker has under way at once.
        purpose: ``task``, ``operator`` or ``judge``, for the log.
        individual: The individual the call is for.
        attempts: How often one call is sent at most.
        limits: How fast the model may be called.
        hedge_after_s: After how long an attempt is sent a second time, the first answer taken and both counted.
        done: Called when a call has ended, well or not.
    """

    inner: Llm
    ledger: Ledger
    slots: Slots
    purpose: str
    individual: int | None = None
    attempts: int = 5
    done: Callable[[], None] = lambda: None
    limits: Limits = NO_LIMITS
    hedge_after_s: float | None = None

    @property
    def identity(self) -> str:
        """The inner model's."""
        return self.inner.identity

    @property
    def can_choose(self) -> bool:
        """The inner model's."""
        return self.inner.can_choose

    @property
    def can_embed(self) -> bool:
        """The inner model's."""
        return self.inner.can_embed

    @property
    def price(self) -> Price | None:
        """The inner model's."""
        return self.inner.price

    async def aclose(self) -> None:
        """Close the inner model."""
        await self.inner.aclose()

    async def complete(self, request: Request) -> Completion:
        """Return the answer, from the log where it is known. Raises LlmError, BudgetExhausted or Interrupted."""
        about = (self.purpose, self.individual, self.limits)
        admission = admission_of(request, self.identity, self.price, *about)
        try:
            async with self.slots.queue:
                known = await self.ledger.admit(admission)
                return known or await self._sent(request, admission)
        finally:
            self.done()

    async def _sent(self, request: Request, admission: Admission) -> Completion:
        sending = _Sending()
        try:
            await self._send(request, admission, sending)
        except BaseException:
            if sending.answer is None:
                await self._settle(admission.key, sending)
            raise
        return sending.answered()

    async def _send(self, request: Request, admission: Admission, sending: _Sending) -> None:
        while sending.answer is None:
            try:
                async with self.slots:
                    sending.attempts += 1
                    sending.started_at = time.time()
                    answer = await self._asked(request, admission, sending)
                    # A model in process works on one call at a time: others wait for it after they are sent.
                    sending.started_at = max(sending.started_at, time.time() - answer.latency_s)
                    sending.answer = _whole(answer)
                    # Within the slot: what was sent and is not yet in the log is never more than the slots.
                    await self._settle(admission.key, sending)
            except LlmError as failure:
                sending.error, sending.transient, sending.billed = str(failure), failure.transient, _billed(failure)
                sending.busy = failure.busy
                if not failure.transient or sending.attempts - sending.excused >= self.attempts:
                    raise
                rng = child_rng(0, admission.key, sending.attempts)
                wait_s = pause_s(sending.attempts, failure.retry_after_s, rng)
                setback = Setback(wait_s, sending.error, failure.busy, failure.retry_after_s)
                try:
                    sending.excused += await self.ledger.again(admission, sending.billed, setback)
                except EvoError:
                    sending.transient = False  # it may have answered the next time
                    raise
                sending.billed = None

    async def _asked(self, request: Request, admission: Admission, sending: _Sending) -> Completion:
        """Return the answer, of whichever attempt gives it first where a second one is sent beside a slow one."""
        if self.hedge_after_s is None:
            return await self.inner.complete(request)
        asked = [asyncio.ensure_future(self.inner.complete(request))]
        try:
            await asyncio.wait(asked, timeout=self.hedge_after_s)
            if not asked[0].done() and not self.slots.locked and await self.ledger.hedge(admission):
                async with self.slots:
                    sending.attempts += 1
                    asked.append(asyncio.ensure_future(self.inner.complete(request)))
                    return await _first_answer(asked)
            return await asked[0]
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _settle(self, key: str, sending: _Sending) -> None:
        try:
            await self.ledger.settle(self._receipt(key, sending))
        except Exception:
            self.slots.close()
            raise

    def _receipt(self, key: str, sending: _Sending) -> Receipt:
        return Receipt(
            key=key,
            model=self.identity,
            purpose=self.purpose,
            individual=self.individual,
            started_at=sending.started_at,
            completion=sending.answer,
            error="" if sending.answer else sending.error,
            attempts=sending.attempts,
            transient=sending.transient,
            busy=sending.busy,
            billed=sending.billed,
        )


def admission_of(
    request: Request,
    identity: str,
    price: Price | None,
    purpose: str = "",
    individual: int | None = None,
    limits: Limits = NO_LIMITS,
) -> Admission:
    """Return what a request asks of the budget: a bound on tokens, as a token is at least a byte, and its price."""
    prompt, output = bound_of(request)
    usd, output_usd = (None, 0.0) if price is None else (price.cost(prompt, output), price.output_usd)
    key, tokens = request.key(identity), prompt + output
    return Admission(key, tokens, usd, identity, purpose, individual, limits, output, output_usd)


def bound_of(request: Request) -> tuple[int, int]:
    """Return the most tokens that a prompt and its reply can have."""
    prompt = sum(len(content.encode("utf-8", "surrogatepass")) for _, content in request.messages) + TEMPLATE_TOKENS
    output = sum(len(choice.encode("utf-8", "surrogatepass")) for choice in request.choices) or request.max_tokens
    return prompt, 0 if request.embedding else output


async def _first_answer(asked: Sequence[asyncio.Future[Completion]]) -> Completion:
    """Return the first answer. Raises what the last of them raises when there is none."""
    for one in asyncio.as_completed(asked):
        try:
            return await one
        except LlmError as error:
            failure = error
    raise failure


def _billed(failure: LlmError) -> Usage | None:
    return None if failure.tokens is None else Usage(1, failure.tokens, failure.usd)


def _whole(answer: Completion) -> Completion:
    # JSON may carry halves of surrogate pairs, which UTF-8, files and terminals cannot.
    text = answer.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return answer if text == answer.text else replace(answer, text=text)


def pause_s(attempt: int, retry_after_s: float | None, rng: np.random.Generator) -> float:
    """Return how long to wait before sending again: exponential with full jitter, and never less than asked for."""
    ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
    return max(retry_after_s or 0.0, float(rng.uniform(ceiling / 2, ceiling)))
