"""The ledger between a worker and the broker: what comes together travels together, and nothing is left reserved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

import evo
from cluster.batching import BatchingLedger
from cluster.ports import Answer
from evo.errors import BudgetExhausted
from evo.journal import Journal
from evo.model import Completion
from evo.receipts import CANCELLED, Admission, Receipt
from fitness.toy import toy_rows

GRANTED: Answer = (None, None, False)
WAIT: Answer = (None, None, True)
KNOWN: Answer = (Completion("known", 1, 1, 0.0), None, False)


@dataclass
class Desk:
    """A broker that answers admissions from a script, after the given time, and keeps what it was sent."""

    answers: dict[str, Answer] = field(default_factory=dict)
    delay_s: float = 0.0
    broken: Exception | None = None
    admitted: list[list[str]] = field(default_factory=list)
    settled: list[list[Receipt]] = field(default_factory=list)

    async def admit_all(self, worker: int, admissions: Sequence[Admission]) -> list[Answer]:
        await asyncio.sleep(self.delay_s)
        self.admitted.append([admission.key for admission in admissions])
        return [self.answers.get(admission.key, GRANTED) for admission in admissions]

    async def admit(self, worker: int, admission: Admission) -> Completion | None:
        await asyncio.sleep(self.delay_s)
        return None

    async def settle(self, worker: int, receipts: Sequence[Receipt]) -> None:
        if self.broken:
            raise self.broken
        self.settled.append(list(receipts))


def admission(key: str) -> Admission:
    return Admission(key, 10, 0.0, "m")


def receipt(key: str) -> Receipt:
    return Receipt(key, "m", "task", 1, 0.0, Completion("yes", 3, 1, 0.0))


@pytest.mark.parametrize("gather_s", [0.0, 0.01])
async def test_calls_of_one_moment_travel_together_and_each_hears_its_own_answer(gather_s):
    refused = BudgetExhausted("all used")
    desk = Desk({"b": KNOWN, "c": (None, refused, False)})
    ledger = BatchingLedger(0, desk, gather_s)
    heard = await asyncio.gather(*(ledger.admit(admission(key)) for key in "abc"), return_exceptions=True)
    assert heard == [None, KNOWN[0], refused]
    await asyncio.gather(ledger.settle(receipt("a")), ledger.settle(receipt("z")))
    await ledger.settle(receipt("y"))
    assert desk.admitted == [["a", "b", "c"]]
    assert [[r.key for r in batch] for batch in desk.settled] == [["a", "z"], ["y"]]


async def test_everyone_in_a_batch_hears_that_it_was_not_settled():
    ledger = BatchingLedger(0, Desk(broken=OSError("disk full")), 0.0)
    heard = await asyncio.gather(*(ledger.settle(receipt(key)) for key in "ab"), return_exceptions=True)
    assert [str(error) for error in heard] == ["disk full", "disk full"]


@pytest.mark.parametrize(
    ("answer", "cancelled_after_s", "given_back"),
    [
        (GRANTED, 0.025, True),
        (WAIT, 0.075, True),
        (WAIT, 0.025, False),
        (KNOWN, 0.025, False),
    ],
    ids=["granted", "granted after a wait", "not granted yet", "answered"],
)
async def test_a_call_granted_to_a_cancelled_caller_is_given_back(answer, cancelled_after_s, given_back):
    desk = Desk({"a": answer}, delay_s=0.05)
    asked = asyncio.create_task(BatchingLedger(0, desk, 0.0).admit(admission("a")))
    await asyncio.sleep(cancelled_after_s)
    asked.cancel()
    await asyncio.sleep(0.15)
    assert asked.cancelled()
    assert desk.admitted == [["a"]]
    unsent = [(r.key, r.attempts, r.completion, r.error) for batch in desk.settled for r in batch]
    assert unsent == [("a", 0, None, CANCELLED)] * given_back


async def test_what_a_cancelled_caller_settles_is_settled_all_the_same():
    desk = Desk()
    ledger = BatchingLedger(0, desk, 0.01)
    told = [asyncio.create_task(ledger.settle(receipt(key))) for key in "ab"]
    await asyncio.sleep(0)
    told[0].cancel()
    await asyncio.gather(*told, return_exceptions=True)
    assert (told[0].cancelled(), told[1].result()) == (True, None)
    assert [[r.key for r in batch] for batch in desk.settled] == [["a", "b"]]


def test_an_inline_run_writes_the_calls_of_one_turn_at_once(tmp_path, monkeypatch):
    batches: list[int] = []
    append = Journal.append
    monkeypatch.setattr(
        Journal, "append", lambda self, rows: [batches.append(len(rows.get("calls", ()))), append(self, rows)]
    )
    evo.evolve(
        {"data": toy_rows(60), "scorer": "choice"},
        prompts=["What is the tone?"],
        model="fake/toy",
        method="steady-state",
        budget={"calls": 300},
        concurrency=10,
        executor="inline",
        storage=str(tmp_path),
    )
    batches = [size for size in batches if size]
    assert sum(batches) == 300
    assert max(batches) == 10
    assert len(batches) < 300 / 3
