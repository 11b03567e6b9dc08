"""The one process a run's parts talk to: it hands out work, admits and settles model calls, and writes the log.

Islands put work in, fitness workers pull it out when they have room: fast workers do more, late ones join, and a
lost one's work goes back in front. A plain class; under Ray the same class lives in an actor (`cluster.remote`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.glance import glance
from cluster.jobs import Job, JobQueue, merged, shards
from cluster.market import Market, Migrants
from cluster.ports import Answer
from cluster.turns import Turns
from evo.budget import BARREN, KEPT_SHARE, RACE_SHARE, Account, Usage, capped, kept_seconds
from evo.commission import FinalCalls
from evo.errors import BudgetExhausted, EvoError
from evo.flights import interrupted
from evo.ledger import CallLedger
from evo.model import Completion, Evaluation, Prompt, Request
from evo.ports import Rows
from evo.receipts import NO_SETBACK, Admission, Receipt, Setback
from evo.schema import LOST_WORKER, RACE, ROOT_ISLAND, STARTED, STOPPED, TEST, event_row
from evo.settings import RunSettings
from evo.status import IslandStatus, Snapshot
from evo.store import RunStore


class Broker:
    """See the module. Must be made inside a running event loop.

    Args:
        path: The run's folder; held for writing as long as the broker lives.
        settings: The run's settings.
        workers: How many workers work is cut for.
    """

    def __init__(self, path: Path, settings: RunSettings, *, workers: int) -> None:
        self.store = RunStore(path)
        self.account = Account(settings.budget.budget, spent=self.store.spent, elapsed_s=self.store.elapsed_s)
        self.ledger = CallLedger(self.account, self.store.cache, self.store.journal)
        self.phase = "search"
        self.failure: EvoError | None = None
        self._workers, self._concurrency = workers, settings.concurrency
        self._jobs, self.market, self._turns = JobQueue(), Market(), Turns(self.account, self.ledger.tally)
        self._islands: dict[int, IslandStatus] = {}
        self._starts: Counter[int] = Counter()
        self._barren = self._needed = 0
        self._final = FinalCalls(0)
        self.store.journal.append({"events": [event_row(ROOT_ISLAND, STARTED)]})

    # --- islands ---

    async def evaluate(
        self, model: int, individual: int, prompt: Prompt, examples: Sequence[int], calls: int = 0
    ) -> Evaluation:
        """Return a prompt's outcomes, computed in shards by whichever workers are free; ``calls``: see `Turns`."""
        async with self._turns.turn(individual, calls):
            return await merged(
                self._do(model=model, individual=individual, purpose="task", prompt=prompt, examples=shard)
                for shard in shards(examples, self._workers)
            )

    async def complete(self, model: int, individual: int, request: Request, purpose: str = "operator") -> Completion:
        """Return a model's answer."""
        answer: Completion = await self._do(model=model, individual=individual, purpose=purpose, request=request)
        return answer

    async def record(self, rows: Rows, status: IslandStatus, start: int = 0) -> bool:
        """Add an island's rows to the log; return whether it may go on.

        Raises Interrupted when the island has been started again since its ``start``: its rows are not taken.
        """
        if start != self._starts[status.island]:
            raise interrupted()
        self._islands[status.island] = status
        self.store.journal.append(rows)
        self._count_barren(len(rows.get("individuals", ())))
        self._keep()
        return not self._search_is_over()

    async def enlist(self, island: int) -> int:
        """Return the number of an island's new start; from now on its earlier self is not heard."""
        self._starts[island] += 1
        return self._starts[island]

    async def trade(self, island: int, offer: Migrants, sources: Sequence[int], count: int) -> Migrants:
        """See `Market.trade`."""
        return self.market.trade(island, offer, sources, count)

    async def meet(self, told: int, sources: Sequence[int]) -> Migrants:
        """See `Market.meet`."""
        return await self.market.meet(told, sources)

    async def put_up(self, island: int, offers: Mapping[int, Migrants], last: bool = False) -> None:
        """See `Market.put`."""
        self.market.put(island, offers, last=last)

    # --- workers ---

    async def next_job(self, worker: int) -> Job | None:
        """Return work as soon as there is some; None: go home."""
        job = await self._jobs.take(worker)
        return None if job is None else replace(job, slots=max(1, self._concurrency // self._workers))

    async def admit_all(self, worker: int, admissions: Sequence[Admission]) -> Sequence[Answer]:
        """Return what can be said of each call at once."""
        answers = [self._try_admit(worker, admission, queue=False) for admission in admissions]
        return [(answer, error, wait is not None) for answer, error, wait in answers]

    async def admit(self, worker: int, admission: Admission) -> Completion | None:
        """See `evo.receipts.Ledger.admit`."""
        while True:
            answer, error, must_wait = self._try_admit(worker, admission)
            if error is not None:
                raise error
            if must_wait is None:
                return answer
            await asyncio.shield(must_wait)

    async def again(
        self, worker: int, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK
    ) -> bool:
        """See `evo.receipts.Ledger.again`."""
        if self._jobs.is_lost(worker):
            raise interrupted()
        self.ledger.fail(admission, billed, setback)
        await self._stop_if_given_up()
        return await self.ledger.retry(admission, setback.wait_s)

    async def hedge(self, worker: int, admission: Admission) -> bool:
        """See `evo.receipts.Ledger.hedge`."""
        return not self._jobs.is_lost(worker) and await self.ledger.hedge(admission)

    async def settle(self, worker: int, receipts: Sequence[Receipt]) -> None:
        """See `evo.receipts.Ledger.settle`. Late receipts of a lost worker are not booked: its calls were, when it was.

        Another worker may have the same calls under way by now, which these must not end.
        """
        if self._jobs.is_lost(worker):
            return
        self._jobs.desk(worker).keys.difference_update(receipt.key for receipt in receipts)
        with self.store.writing():
            self.ledger.settle_all(receipts)
        self._turns.answered(receipts)
        await self._stop_if_given_up()

    async def finish(self, worker: int, job: int, result: Evaluation | Completion | EvoError) -> None:
        """Take a job's result, or the error that ended it."""
        self._jobs.finish(worker, job, result)

    async def lose_worker(self, worker: int) -> None:
        """Take back what a lost worker had in hand; its calls count as paid and will be paid again."""
        self.ledger.abandon(tuple(self._jobs.lose(worker).keys))
        if self.ledger.stopped:
            self._jobs.refuse(interrupted())
        self.store.journal.append({"events": [event_row(ROOT_ISLAND, LOST_WORKER, None, str(worker))]})

    async def stop(self, error: EvoError | None = None) -> None:
        """End the search: no further call is admitted. With an error the whole run has failed."""
        self.failure = self.failure or error
        self.ledger.stop(error or interrupted())
        self.market.close(interrupted())
        self._turns.let_all_go()
        self._jobs.refuse(interrupted())
        if error is not None:
            self._jobs.abort(interrupted())

    async def share(self, workers: int) -> None:
        """Share the calls under way among so many workers; each hears of it with its next work."""
        self._workers = max(1, workers)

    async def enter_race(self) -> None:
        """Leave the search and free what was set aside for the final race."""
        self._enter(RACE, replace(self._final, race=0))

    async def enter_final(self) -> None:
        """Leave the race and free what was set aside for the final test."""
        self._enter(TEST, FinalCalls(0))

    async def keep_for_final(self, calls: FinalCalls) -> None:
        """Set aside the calls of the end, the winner's test more as soon as anyone living takes more.

        At most a quarter of any cap for the test, and 15 % for the race.
        """
        self._final = calls
        self._keep()

    async def failed_with(self) -> EvoError | None:
        """Return the error that ended the run, if one did."""
        return self.failure

    async def snapshot(self) -> Snapshot:
        """Return the run at a glance."""
        islands = tuple(self._islands[i] for i in sorted(self._islands))
        return glance(self.phase, self.ledger, self._concurrency, islands)

    async def affordable(self, wanted: int) -> int:
        """Return how many of ``wanted`` task calls still fit the budget, by what such calls took so far."""
        for calls in range(wanted, 0, -1):
            if not self.account.refusal(self.ledger.tally.likely(calls)):
                return calls
        return 0

    async def log(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add the driver's rows to the log."""
        self.store.journal.append(rows)

    async def dismiss(self) -> None:
        """Send every worker home as soon as it asks for work."""
        self._jobs.close()

    async def close(self) -> None:
        """Send home who is still here, seal the log and free the folder."""
        self._jobs.close()
        try:
            self.store.journal.append({"events": [event_row(ROOT_ISLAND, STOPPED)]})
        finally:
            self.store.close()

    def _enter(self, phase: str, kept: FinalCalls) -> None:
        self.phase, self._final = phase, kept
        self._keep()
        self.ledger.stop(self.failure)
        self.store.journal.append({"events": [event_row(ROOT_ISLAND, phase)]})

    async def _stop_if_given_up(self) -> None:
        if self.ledger.given_up is not None and self.failure is None:
            await self.stop(self.ledger.given_up)

    def _try_admit(
        self, worker: int, admission: Admission, *, queue: bool = True
    ) -> tuple[Completion | None, EvoError | None, asyncio.Future[None] | None]:
        """Return (answer, error, what to wait for before asking again)."""
        if self._jobs.is_lost(worker):
            return None, interrupted(), None
        try:
            with self.store.writing():
                answer = self.ledger.try_admit(admission, queue=queue)
        except EvoError as error:
            return None, error, None
        if isinstance(answer, asyncio.Future):
            return None, None, answer
        if answer is None:
            self._jobs.desk(worker).keys.add(admission.key)
        else:
            self._turns.answered([admission])
        return answer, None, None

    async def _do(self, **job: Any) -> Any:
        if self.ledger.stopped:
            raise interrupted()
        if self.phase == "search" and self._search_is_over():
            raise BudgetExhausted(self._search_is_over())
        return await self._jobs.do(**job)

    def _search_is_over(self) -> str:
        """Return why no birth should begin any more, in words, or nothing."""
        left = self.account.left_s
        if left is not None and left <= 0:
            return "the time is over"
        return f"{BARREN} births in a row needed no model call: the search repeats itself" * (self._barren >= BARREN)

    def _count_barren(self, births: int) -> None:
        """Count births since the last call, sent or recalled: the course must not depend on what a cache holds."""
        needed = self.ledger.tally.sent + self.ledger.tally.recalled
        if needed > self._needed:
            self._barren, self._needed = 0, needed
        self._barren += births

    def _keep(self) -> None:
        final, budget = self._final, self.account.budget
        self.account.kept, self.account.kept_s = Usage(), 0.0
        if final == FinalCalls(0):
            return
        test = max(final.winner, *(status.test_calls for status in self._islands.values()), 0) + final.baseline
        parts = ((test, KEPT_SHARE), (final.race, RACE_SHARE))
        self.account.kept = sum(
            (capped(self.ledger.tally.likely(calls), budget, share) for calls, share in parts), Usage()
        )
        sent = self.ledger.tally.task_calls - self.ledger.tally.task_recalled
        if budget.seconds is not None and sent:
            # Both since this broker began: time of earlier attempts has no calls in the tally.
            pace = (self.account.elapsed_s - self.store.elapsed_s) / sent
            self.account.kept_s = kept_seconds(budget.seconds, test * pace, final.race * pace)
