from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import cluster.broker
import evo.budget
import evo.store
from cluster.broker import Broker
from evo.budget import Usage
from evo.commission import FinalCalls
from evo.errors import BudgetExhausted, EvoError, Interrupted
from evo.folder import RunFolder
from evo.journal import read_table
from evo.model import Completion, Evaluation, Individual, Outcome, Prompt, Request
from evo.receipts import CANCELLED, Admission, Receipt
from evo.schema import individual_row
from evo.settings import RunSettings
from evo.status import IslandStatus
from evo.store import spent_of

PATIENCE_S = 2
PROMPT = Prompt.of("p")


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE_S)


@pytest.fixture
def open_broker(tmp_path):
    opened: list[Broker] = []

    def open_it(path: Path | None = None, **settings: object) -> Broker:
        content = {"task": {"data": "x"}, "storage": str(tmp_path / "runs"), **settings}
        run_settings = RunSettings.model_validate(content)
        path = path or RunFolder.create(run_settings, base=tmp_path, title="t", fingerprint="f").path
        opened.append(Broker(path, run_settings, workers=settings.pop("workers", 2)))
        return opened[-1]

    yield open_it
    for broker in opened:
        if broker.store.journal is not None and not broker.store.journal._stop_sync.is_set():
            broker.store.close()


def admission(key: str, tokens: int = 10) -> Admission:
    return Admission(key, tokens, 0.0, "m")


def receipt(key: str, text: str | None = "yes", purpose: str = "task") -> Receipt:
    return Receipt(key, "m", purpose, 1, 0.0, None if text is None else Completion(text, 3, 1, 0.0))


async def work(broker: Broker, worker: int, handle) -> list[int]:
    """Be a worker: hand every job to ``handle`` and its result back; return the sizes of the jobs."""
    sizes = []
    while (job := await broker.next_job(worker)) is not None:
        sizes.append(len(job.examples))
        await broker.finish(worker, job.number, handle(job))
    return sizes


def all_right(job) -> Evaluation:
    return Evaluation.of(Outcome(example, 1.0) for example in job.examples)


@pytest.mark.parametrize(("rows", "workers"), [(1, 1), (16, 4), (17, 2), (100, 2), (500, 2), (64, 1), (65, 1)])
async def test_a_prompt_is_scored_once_on_every_row_in_shards_for_every_worker(open_broker, rows, workers):
    broker = open_broker(workers=workers)
    broker._workers = workers
    crew = [asyncio.create_task(work(broker, number, all_right)) for number in range(workers)]
    examples = list(range(1000, 1000 + rows))[::-1]
    evaluation = await soon(broker.evaluate(0, 1, PROMPT, examples))
    assert [outcome.example for outcome in evaluation.outcomes] == sorted(examples)
    await broker.close()
    sizes = [size for sizes in await soon(asyncio.gather(*crew)) for size in sizes]
    assert sum(sizes) == rows
    assert max(sizes) <= 64
    assert len(sizes) == 1 or rows > 16


async def test_when_a_shard_cannot_be_paid_the_others_end_first_and_the_error_is_told(open_broker):
    broker = open_broker()
    ended = []

    def handle(job):
        ended.append(job.examples)
        return BudgetExhausted("all used") if len(ended) == 1 else all_right(job)

    worker = asyncio.create_task(work(broker, 0, handle))
    with pytest.raises(BudgetExhausted, match="all used"):
        await soon(broker.evaluate(0, 1, PROMPT, range(60)))
    assert len(ended) == 2
    await broker.close()
    await soon(worker)


async def test_a_lost_workers_rows_are_scored_by_another_and_its_reservations_are_free(open_broker):
    broker = open_broker(budget={"calls": 2})
    asked = asyncio.create_task(broker.evaluate(0, 1, PROMPT, [5]))
    job = await soon(broker.next_job(0))
    assert await broker.admit(0, admission("k")) is None
    await broker.lose_worker(0)
    again = await soon(broker.next_job(1))
    assert again == job
    assert await soon(broker.admit(1, admission("k"))) is None
    await broker.settle(1, [receipt("k")])
    await broker.finish(1, again.number, all_right(again))
    assert (await soon(asked)).count == 1
    kinds = [e["kind"] for e in read_table(broker.store.journal.folder, "events").to_pylist()]
    assert [kind for kind in kinds if kind != "clock"] == ["started", "worker_lost"]


async def test_what_a_lost_worker_waited_for_is_not_reserved_for_it(open_broker):
    broker = open_broker()
    assert await broker.admit(0, admission("k")) is None
    dead = asyncio.create_task(broker.admit(1, admission("k")))  # the worker is killed, its question stays
    await asyncio.sleep(0)
    await broker.lose_worker(1)
    await broker.settle(0, [receipt("k", None)])
    await asyncio.sleep(0.01)
    assert await soon(broker.admit(2, admission("k"))) is None
    with pytest.raises(Interrupted):
        await soon(dead)


async def test_what_a_lost_worker_asked_and_what_comes_late_is_not_granted(open_broker):
    broker = open_broker()
    await broker.lose_worker(1)
    ((answer, error, must_wait),) = await broker.admit_all(1, [admission("k")])
    assert (answer, type(error), must_wait) == (None, Interrupted, False)
    with pytest.raises(Interrupted):
        await soon(broker.admit(1, admission("k")))
    assert await soon(broker.next_job(1)) is None
    assert await soon(broker.admit(2, admission("k"))) is None


@pytest.mark.parametrize("budget", [{"calls": 9}, {"calls": 9, "tokens": 500}], ids=str)
async def test_what_a_lost_worker_tells_late_is_not_booked_again(open_broker, budget):
    broker = open_broker(budget=budget)
    asked = asyncio.create_task(broker.evaluate(0, 1, PROMPT, [5]))
    job = await soon(broker.next_job(1))
    assert await broker.admit(1, admission("k")) is None
    await broker.lose_worker(1)
    booked = broker.account.spent
    assert booked.calls == 1, "what it may have paid for counts"
    await broker.settle(1, [receipt("k")])
    await broker.finish(1, job.number, all_right(job))
    assert broker.account.spent == booked
    assert not asked.done(), "its calls are not in the log: another does the job"
    again = await soon(broker.next_job(2))
    assert await soon(broker.admit(2, admission("k"))) is None
    await broker.settle(1, [receipt("k")])
    with pytest.raises(Interrupted):
        await soon(broker.again(1, admission("k"), None))
    assert (broker.ledger.in_flight, broker.account.reserved.calls) == (1, 1), "the other's call is still under way"
    await broker.settle(2, [receipt("k")])
    await broker.finish(2, again.number, all_right(again))
    assert (await soon(asked)).count == 1
    assert broker.account.reserved == Usage()
    assert broker.account.spent == booked + Usage(1, 4, 0.0)
    await broker.close()
    assert spent_of(broker.store.journal.folder) == broker.account.spent


async def test_a_worker_lost_while_it_waits_for_another_attempt_leaves_nothing_reserved(open_broker):
    broker = open_broker(budget={"calls": 4})
    assert await soon(broker.admit(1, admission("first"))) is None
    await broker.settle(1, [receipt("first")])
    for worker, key in ((1, "k"), (2, "a"), (2, "b")):
        assert await soon(broker.admit(worker, admission(key))) is None
    again = asyncio.create_task(broker.again(1, admission("k"), Usage(1)))
    await asyncio.sleep(0)
    assert not again.done(), "it waits for what the others leave over"
    await broker.lose_worker(1)
    with pytest.raises(Interrupted):
        await soon(again)
    await broker.settle(2, [Receipt(key, "m", "", 1, 0.0, None, CANCELLED, attempts=0) for key in "ab"])
    assert (broker.account.spent.calls, broker.account.reserved) == (2, Usage())


async def test_a_stop_ends_admission_and_the_final_test_opens_it_again(open_broker):
    broker = open_broker(budget={"calls": 100})
    await broker.stop()
    with pytest.raises(Interrupted, match="resume it to go on"):
        await broker.admit(0, admission("k"))
    assert await broker.failed_with() is None
    await broker.enter_final()
    assert await broker.admit(0, admission("k")) is None


async def test_the_first_fatal_error_is_the_runs_and_nothing_is_queued_after_it(open_broker):
    broker = open_broker()
    await broker.stop(EvoError("wrong key"))
    await broker.stop(EvoError("something else"))
    assert str(await broker.failed_with()) == "wrong key"
    with pytest.raises(Interrupted):
        await soon(broker.complete(0, 1, Request.user("hello")))
    await broker.enter_final()
    with pytest.raises(EvoError):
        await broker.admit(0, admission("k"))


async def test_a_part_of_every_cap_is_kept_for_the_final_test(open_broker):
    broker = open_broker(budget={"calls": 40, "tokens": 4000, "seconds": 1000})
    await broker.keep_for_final(FinalCalls(6))
    assert broker.account.kept.calls == 6
    for number in range(34):
        assert await broker.admit(0, admission(str(number))) is None
        await broker.settle(0, [receipt(str(number))])
    with pytest.raises(BudgetExhausted, match="set aside for the final race and test"):
        await broker.admit(0, admission("one too many"))
    await broker.record({}, IslandStatus(0))
    assert broker.account.kept == Usage(6, 6 * 4, 0.0)
    assert await broker.affordable(100) == 0
    await broker.enter_final()
    assert await broker.affordable(100) == 6
    assert await broker.affordable(4) == 4


@pytest.mark.parametrize(("calls", "kept"), [(1000, 250), (3, 0), (8, 2)])
async def test_at_most_a_quarter_is_kept(open_broker, calls, kept):
    broker = open_broker(budget={"calls": calls})
    await broker.keep_for_final(FinalCalls(10_000))
    assert broker.account.kept.calls == kept


async def test_what_a_resumed_run_keeps_for_the_test_is_judged_by_its_own_pace(open_broker, monkeypatch):
    monkeypatch.setattr(evo.store, "elapsed_of", lambda path: (500.0, 1))
    broker = open_broker(budget={"seconds": 1000})
    await broker.keep_for_final(FinalCalls(100))
    await broker.admit(0, admission("k"))
    await broker.settle(0, [receipt("k")])
    await broker.record({}, IslandStatus(0))
    assert broker.account.kept_s == evo.budget.KEPT_LEAST * 1000, "500 s for a single call would keep a quarter"


def migrant(number: int) -> Individual:
    return Individual(number, Prompt.of(f"p{number}"), "seed", evaluation=Evaluation((Outcome(0, 1.0),)))


async def test_an_island_gets_what_its_sources_offer_and_each_offer_once(open_broker):
    broker = open_broker()
    assert list(await broker.trade(0, [migrant(1), migrant(2)], [1], 2)) == []
    assert [m.number for m in await broker.trade(1, [migrant(3)], [0, 2], 2)] == [1, 2]
    assert [m.number for m in await broker.trade(2, [], [0], 2)] == [1, 2], "several may take the same offer"
    assert list(await broker.trade(1, [migrant(4)], [0, 2], 2)) == [], (
        "what it was offered already is not offered again"
    )
    assert [m.number for m in await broker.trade(0, [], [1], 2)] == [4], "the latest offer counts"


async def test_a_run_opened_again_remembers_calls_answers_money_and_time(open_broker, tmp_path):
    broker = open_broker(budget={"calls": 3, "usd": 1.0})
    path = broker.store.journal.folder
    assert await broker.admit(0, Admission("k", 10, 0.5, "m")) is None
    paid = Completion("yes", 3, 1, 0.25)
    await broker.settle(0, [Receipt("k", "m", "task", 1, 0.0, paid, attempts=2)])
    await broker.close()
    again = open_broker(path, budget={"calls": 3, "usd": 1.0})
    assert again.account.spent == Usage(2, 4, 0.25)
    assert again.store.elapsed_s > 0
    assert (await again.admit(0, admission("k"))).text == "yes"
    assert again.account.spent == Usage(2, 4, 0.25), "a resumed run pays nothing twice"
    assert again.store.journal.attempt == 1
    await again.close()
    assert open_broker(path, budget={"calls": 3}).store.journal.attempt == 2


async def test_answers_come_back_from_the_log_when_the_cache_was_deleted(open_broker, tmp_path):
    broker = open_broker()
    path = broker.store.journal.folder
    whole = Completion("", 3, 1, None, 0.5, (-1.0, -2.0), (1, 2))
    await broker.admit(0, admission("k"))
    await broker.settle(0, [Receipt("k", "m", "task", 1, 0.0, whole)])
    await broker.close()
    for file in tmp_path.glob("runs/answers.sqlite*"):
        file.unlink()
    assert await open_broker(path).admit(0, admission("k")) == whole


async def test_the_snapshot_shows_what_the_display_needs(open_broker):
    broker = open_broker(budget={"calls": 10, "seconds": 100})
    await broker.record({}, IslandStatus(1, births=3, best=0.5))
    await broker.record({}, IslandStatus(0, births=2))
    await broker.admit(0, admission("k"))
    snapshot = await broker.snapshot()
    assert [status.island for status in snapshot.islands] == [0, 1]
    assert (snapshot.phase, snapshot.in_flight, snapshot.spent) == ("search", 1, Usage())
    assert 0 < snapshot.left_s <= 100


async def test_births_that_need_no_call_end_the_search(open_broker, monkeypatch):
    monkeypatch.setattr(cluster.broker, "BARREN", 3)
    broker = open_broker(budget={"calls": 100})
    status = IslandStatus(island=0)
    assert await broker.record({"individuals": [individual_row(migrant(1)), individual_row(migrant(2))]}, status)
    assert await broker.admit(0, admission("k")) is None
    await broker.settle(0, [receipt("k")])
    assert await broker.record({"individuals": [individual_row(migrant(3)), individual_row(migrant(4))]}, status)
    assert not await broker.record({"individuals": [individual_row(migrant(5))]}, status)
    with pytest.raises(BudgetExhausted, match="repeats itself"):
        await broker.evaluate(0, 1, Prompt.of("p"), [1])


async def test_an_answer_of_an_earlier_run_is_a_call_like_one_that_is_sent(open_broker, monkeypatch):
    monkeypatch.setattr(cluster.broker, "BARREN", 2)
    first = open_broker()
    await first.admit(0, admission("k"))
    await first.settle(0, [Receipt("k", "m", "task", 1, 0.0, Completion("yes", 30, 10, 0.5))])
    await first.close()
    broker = open_broker(budget={"tokens": 1000, "usd": 10.0, "seconds": 1000})
    status, born = IslandStatus(island=0), {"individuals": [individual_row(migrant(1))]}
    await broker.keep_for_final(FinalCalls(2))
    assert await broker.record(born, status)
    assert await broker.admit(0, Admission("k", 50, 0.5, "m", "task", 1)) is not None
    assert await broker.record(born, status), "a call was needed in between"
    assert broker.account.kept == Usage(2, 2 * 40, 2 * 0.5), "the test's calls may have to be sent"
    assert broker.account.kept_s == 0, "of the time they take nothing is known"
    await broker.admit(0, Admission("k", 50, 0.5, "m", "task", 1))
    assert not await broker.record(born, status), "its own answers again are none"


async def test_only_the_latest_start_of_an_island_is_heard(open_broker):
    broker = open_broker(budget={"calls": 100})
    status = IslandStatus(island=0)
    first, second = await broker.enlist(0), await broker.enlist(0)
    with pytest.raises(Interrupted):
        await broker.record({"individuals": [individual_row(migrant(1))]}, status, first)
    assert await broker.record({"individuals": [individual_row(migrant(1))]}, status, second)
