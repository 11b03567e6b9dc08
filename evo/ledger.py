"""Admits and settles every model call of a run: cache, in-flight sharing, budget and log in one place."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from evo.bounds import Bounds, counted, unpriced
from evo.budget import Account, Usage
from evo.cache import HELD_S, AnswerCache
from evo.errors import BudgetExhausted, LlmError
from evo.flights import SCORING, Flight, Tally, charged, hedge_of, interrupted, lost_with_its_worker
from evo.journal import Journal
from evo.model import Completion
from evo.paced_queues import PacedQueues
from evo.pacing import Pacing
from evo.receipts import CANCELLED, NO_SETBACK, Admission, Receipt, Setback
from evo.schema import call_row
from evo.trial import Trial


class CallLedger:
    """The run's `Ledger`. Lives in one event loop; whoever owns it calls `stop` to end admission."""

    def __init__(self, account: Account, cache: AnswerCache, journal: Journal) -> None:
        self.account = account
        self.tally = Tally()
        self._cache = cache
        self._journal = journal
        self._flying: dict[str, Flight] = {}
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped: Exception | None = None
        self._trial = Trial()
        self._bounds = Bounds()
        self.pacing = Pacing()
        self._queues = PacedQueues(self.pacing, self._left_s)
        self._writing = False
        self.given_up: LlmError | None = None
        """Why a model is given up, when one is; whoever owns the ledger ends the run with it."""

    def _left_s(self) -> float:
        left_s = self.account.left_s
        return 0.0 if self.stopped else math.inf if left_s is None else left_s

    @property
    def in_flight(self) -> int:
        """Calls admitted and not yet settled."""
        return len(self._flying)

    @property
    def waiting(self) -> int:
        """Calls that wait for their model's pace."""
        return self._queues.waiting

    @property
    def stopped(self) -> bool:
        """Whether every further call is refused."""
        return self._stopped is not None

    def stop(self, reason: Exception | None) -> None:
        """Refuse every further call with this error; None: admit again."""
        self._stopped = reason
        self._wake()
        self._queues.wake_all()

    def try_admit(self, admission: Admission, *, queue: bool = True) -> Completion | asyncio.Future[None] | None:
        """Return the known answer; None: reserved, send it; or a future, which without ``queue`` is of no use."""
        self._refuse_if_stopped()
        known = self._cache.get(admission.key)
        if known is not None:
            return self._recall(admission, *known)
        flight = self._flying.get(admission.key)
        if flight is not None:
            return flight.landed
        wanted = self._bounds.most(admission)
        if not self._trial.admits(admission.model):
            return self._settled
        if not self.pacing.room(admission.model, admission.limits):
            self._refuse_hopeless(wanted)
            return self._queues.turn(admission.model) if queue else self._settled
        if not self._reserve(wanted, admission.model):
            return self._settled
        self.pacing.take(admission.model, admission.key, admission.tokens)
        self._trial.begin(admission.model, admission.key)
        self._flying[admission.key] = Flight(admission, wanted, asyncio.get_running_loop().create_future())
        return None

    async def admit(self, admission: Admission) -> Completion | None:
        """See `evo.receipts.Ledger.admit`."""
        while isinstance(answer := self.try_admit(admission), asyncio.Future):
            await asyncio.shield(answer)
        return answer

    async def again(self, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK) -> bool:
        """See `evo.receipts.Ledger.again`."""
        self.fail(admission, billed, setback)
        return await self.retry(admission, setback.wait_s)

    def fail(self, admission: Admission, billed: Usage | None, setback: Setback) -> None:
        """Book an attempt that failed; its model may be `given_up` by it."""
        flight = self._flying[admission.key]
        self._bounds.learn(admission, billed)
        # The failed attempt is spent and holds nothing any more: else such calls could wait for one another.
        self._lose(flight, charged(self.account.budget, billed, flight.wanted))
        self.given_up = self.pacing.failed(admission.model, admission.key, setback) or self.given_up
        self._wake()
        self._queues.wake(admission.model)
        self._refuse_if_stopped()

    async def retry(self, admission: Admission, wait_s: float) -> bool:
        """Reserve one more attempt after a time, at its model's pace; see `evo.receipts.Ledger.again`."""
        flight, wanted = self._flying[admission.key], self._bounds.most(admission)
        await self._queues.rest(wait_s)
        while True:
            self._refuse_if_stopped()
            if self._flying.get(admission.key) is not flight:  # its worker was lost: a reservation would hold for ever
                raise interrupted()
            if not self.pacing.room(admission.model, admission.limits):
                self._refuse_hopeless(wanted)
                await asyncio.shield(self._queues.turn(admission.model))
            elif self._reserve(wanted, admission.model):
                break
            else:
                await asyncio.shield(self._settled)
        flight.wanted = wanted
        self.pacing.take(admission.model, admission.key, admission.tokens)
        return self.pacing.tries(admission.model, admission.key)

    async def hedge(self, admission: Admission) -> bool:
        """See `evo.receipts.Ledger.hedge`."""
        flight, most = self._flying.get(admission.key), self._bounds.most(admission)
        if flight is None or self.stopped or self.account.refusal(most) or not self.pacing.room(admission.model):
            return False
        self._lose(flight, most)  # it may yet be answered, and paid
        if not self._reserve(most, admission.model):
            raise AssertionError("what fits is not refused")
        flight.wanted = most
        self.pacing.take(admission.model, hedge_of(admission.key), admission.tokens)
        return True

    def _lose(self, flight: Flight, lost: Usage) -> None:
        self.account.settle(flight.wanted, lost)
        flight.wanted, flight.failed, flight.lost = Usage(), flight.failed + 1, flight.lost + lost

    def _refuse_hopeless(self, wanted: Usage) -> None:
        if hopeless := self.account.refusal(wanted, waiting=True):
            raise BudgetExhausted(hopeless)

    async def settle(self, receipt: Receipt) -> None:
        """See `evo.receipts.Ledger.settle`."""
        self.settle_all([receipt])

    def settle_all(self, receipts: Sequence[Receipt]) -> None:
        """Record calls in one transaction, then let go whoever waits for them."""
        answers = [(r.key, r.completion) for r in receipts if r.completion is not None]
        receipts = [self._counted(receipt) for receipt in receipts]
        sent = [receipt for receipt in receipts if receipt.attempts]
        if sent:
            self._journal.append({"calls": [call_row(receipt, self._lost(receipt)) for receipt in sent]})
        self._remember(answers)
        for receipt in receipts:
            self._count(receipt)
            self.given_up = self._trial.settle(receipt) or self._pace(receipt) or self.given_up
            self._land(receipt.key, self._unsettled(receipt))
        self._wake()

    def abandon(self, keys: Sequence[str]) -> None:
        """Record calls whose worker was lost: they may have been paid, and what an attempt took nobody knows."""
        lost = [lost_with_its_worker(self._flying[key]) for key in keys if key in self._flying]
        if lost:
            self._journal.append({"calls": [call_row(receipt, self._lost(receipt)) for receipt in lost]})
        for receipt in lost:
            self._count(receipt)
            self._trial.end(receipt.model, receipt.key)
            self.pacing.release(receipt.model, receipt.key)
            self.pacing.release(receipt.model, hedge_of(receipt.key))
            self._land(receipt.key, self._unsettled(receipt))
        self._wake()

    def _pace(self, receipt: Receipt) -> LlmError | None:
        """End a call's lease; return why its model is given up, if it is."""
        model, key, over = receipt.model, receipt.key, None
        if receipt.completion is not None:
            self.pacing.answered(model, key, receipt.completion.tokens)
        elif receipt.attempts and receipt.transient and receipt.error != CANCELLED:
            over = self.pacing.failed(model, key, Setback(error=receipt.error, busy=receipt.busy))
        else:
            self.pacing.release(model, key)
        self.pacing.release(model, hedge_of(key))
        self._queues.wake(model)
        return over

    def _land(self, key: str, used: Usage) -> None:
        if (flight := self._flying.pop(key, None)) is None:
            self.account.settle(Usage(), used)
            return
        self.account.settle(flight.wanted, used)
        if not flight.landed.done():
            flight.landed.set_result(None)

    def _unsettled(self, receipt: Receipt) -> Usage:
        """Return what of a call has not been settled before: its last attempt."""
        flight = self._flying.get(receipt.key)
        calls = max(0, receipt.attempts - (flight.failed if flight else 0))
        answer = receipt.completion
        if answer is not None:
            return Usage(calls, answer.tokens, answer.cost_usd)
        last = charged(self.account.budget, receipt.billed, flight.wanted if flight else Usage()) if calls else Usage()
        return replace(last, calls=calls)

    def _lost(self, receipt: Receipt) -> Usage:
        """Return what a call's failed attempts took, all of them."""
        flight = self._flying.get(receipt.key)
        last = self._unsettled(receipt) if receipt.completion is None else Usage()
        return last + (flight.lost if flight else Usage())

    def _recall(self, admission: Admission, completion: Completion, used: bool) -> Completion | asyncio.Future[None]:
        if used:
            self.tally.shared += 1
            return completion
        # Another run paid for it. It counts here as if sent, save its price, so that a run's course
        # does not depend on what the cache happens to hold.
        booked = counted(completion, admission, self._bounds.most(admission))
        usage = Usage(1, booked.tokens, 0.0)
        if not self._fits(usage):
            return self._settled
        receipt = Receipt(admission.key, admission.model, admission.purpose, admission.individual, time.time(), booked)
        self._journal.append({"calls": [call_row(receipt, recalled=True)]})
        self._remember([(admission.key, completion)])
        self.account.settle(Usage(), usage)
        self.tally.recalled += 1
        self.tally.task_recalled += receipt.purpose in SCORING
        self._count_task(receipt)
        return completion

    def _remember(self, answers: Sequence[tuple[str, Completion]]) -> None:
        """Put answers into the cache, which may hold them back, and see that it does so no longer than its bound."""
        self._cache.put(answers)
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_later(HELD_S, self._write)

    def _write(self) -> None:
        self._writing = False
        self._cache.flush_late()

    def _counted(self, receipt: Receipt) -> Receipt:
        """Return the receipt, at its bound where the use was not said: what is logged is spent."""
        flight, answer = self._flying.get(receipt.key), receipt.completion
        if flight is not None:
            self._bounds.learn(flight.admission, answer or receipt.billed)
        if flight is None or answer is None:
            return receipt
        priced = self.account.budget.usd is not None
        return replace(receipt, completion=counted(answer, flight.admission, flight.wanted, priced=priced))

    def _reserve(self, wanted: Usage, model: str) -> bool:
        if wanted.usd is None and self.account.budget.usd is not None:
            raise unpriced(model)
        fits = self._fits(wanted)
        if fits:
            self.account.reserve(wanted)
        return fits

    def _fits(self, wanted: Usage) -> bool:
        """Whether an amount fits now; not yet, as long as calls under way may leave room. Raises BudgetExhausted."""
        if not (refusal := self.account.refusal(wanted)):
            return True
        hopeless = self.account.refusal(wanted, waiting=True)
        if hopeless or not self._flying:
            raise BudgetExhausted(hopeless or refusal)
        return False

    def _refuse_if_stopped(self) -> None:
        if self._stopped is not None:
            # One error ends many calls: without this each raise would lengthen its traceback.
            raise self._stopped.with_traceback(None)

    def _wake(self) -> None:
        self._settled.set_result(None)
        self._settled = asyncio.get_running_loop().create_future()

    def _count(self, receipt: Receipt) -> None:
        self.tally.book(receipt)
        self._count_task(receipt)

    def _count_task(self, receipt: Receipt) -> None:
        """Learn what a row's call takes, of a recalled answer too: a new one of the same kind would take as much."""
        if receipt.purpose not in SCORING:
            return
        self.tally.task_attempts += receipt.attempts
        if receipt.completion is not None:
            self.tally.task_calls += 1
            self.tally.task_tokens += receipt.completion.tokens
            self.tally.task_usd += receipt.completion.cost_usd or 0.0
