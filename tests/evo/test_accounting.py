from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from bank import bank

import evo.accounting as module
from evo.accounting import Accounted, Slots, admission_of, pause_s
from evo.budget import Usage
from evo.errors import BudgetExhausted, LlmError
from evo.model import Completion, Request
from evo.ports import Price

ASK = Request.user("Is it?", max_tokens=5)


def busy(**more: object) -> LlmError:
    return LlmError("busy", transient=True, **more)


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return waits


def failing(script, *errors: Exception):
    left = list(errors)
    return script(lambda request: left.pop(0) if left else "yes")


def accounted(inner, opened, **more) -> Accounted:
    return Accounted(inner, opened.ledger, Slots(4), "task", 7, **more)


async def test_a_passing_failure_is_sent_again_after_as_long_as_the_provider_asks(tmp_path, script, slept):
    inner = failing(script, busy(retry_after_s=12.5), busy(), busy())
    with bank(tmp_path / "run", calls=10) as opened:
        assert (await accounted(inner, opened).complete(ASK)).text == "yes"
        assert slept[0] == 12.5
        assert 0.5 <= slept[1] <= 1.0
        assert 1.0 <= slept[2] <= 2.0
        (row,) = opened.calls()
        assert (row["attempts"], row["error"], row["individual"], row["purpose"]) == (4, "", 7, "task")
        assert opened.account.spent == Usage(4, 9, 0.0)
        assert opened.account.reserved.calls == opened.account.reserved.tokens == 0


async def test_what_was_billed_for_failures_is_spent_and_what_nobody_knows_is_spent_at_its_bound(
    tmp_path, script, slept
):
    inner = failing(script, busy(tokens=6, usd=0.25), busy(tokens=None, usd=None))
    with bank(tmp_path / "run", tokens=1000) as opened:
        bound = admission_of(ASK, inner.identity, Price(0.0, 0.0)).tokens
        inner.price = Price(0.0, 0.0)
        assert (await accounted(inner, opened).complete(ASK)).text == "yes"
        assert opened.account.spent == Usage(3, 9 + 6 + bound, 0.25)
        assert opened.account.reserved == Usage()


async def test_a_lasting_failure_is_sent_once_and_recorded(tmp_path, script, slept):
    inner = failing(script, LlmError("no such model"))
    with bank(tmp_path / "run") as opened:
        with pytest.raises(LlmError, match="no such model"):
            await accounted(inner, opened).complete(ASK)
        assert slept == []
        (row,) = opened.calls()
        assert (row["attempts"], row["error"], row["text"]) == (1, "no such model", None)
        assert (await accounted(inner, opened).complete(ASK)).text == "yes"  # a failure is not an answer to remember


@pytest.mark.parametrize("attempts", [1, 3])
async def test_attempts_are_bound(tmp_path, script, slept, attempts):
    inner = script(lambda request: busy())
    with bank(tmp_path / "run") as opened:
        with pytest.raises(LlmError, match="busy"):
            await accounted(inner, opened, attempts=attempts).complete(ASK)
        assert len(inner.requests) == attempts == len(slept) + 1
        assert [row["attempts"] for row in opened.calls()] == [attempts]
        assert opened.account.spent == Usage(attempts, 0, 0.0)


async def test_a_retry_that_no_longer_fits_ends_with_the_budget_and_settles(tmp_path, script, slept):
    inner = script(lambda request: busy())
    with bank(tmp_path / "run", calls=2) as opened:
        with pytest.raises(BudgetExhausted):
            await asyncio.wait_for(accounted(inner, opened).complete(ASK), 10)
        assert opened.account.spent == Usage(2, 0, 0.0)
        assert opened.account.reserved.calls == opened.account.reserved.tokens == 0
        assert [(row["attempts"], row["error"]) for row in opened.calls()] == [(2, "busy")]


class Stuck:
    identity, can_choose, can_embed, price = "stuck", False, False, None

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def aclose(self) -> None: ...


async def test_retries_that_no_longer_fit_say_nothing_of_the_model(tmp_path, script, slept):
    inner = script(lambda request: "yes" if request == ASK else busy())
    with bank(tmp_path / "run", calls=21) as opened:
        model = Accounted(inner, opened.ledger, Slots(20), "task", 7)
        await model.complete(ASK)
        calls = (model.complete(Request.user(f"row {number}")) for number in range(20))
        found = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
        assert {type(error) for error in found} == {BudgetExhausted}
        assert opened.ledger.given_up is None


async def test_a_call_cancelled_on_its_way_is_settled_and_counted(tmp_path):
    with bank(tmp_path / "run", calls=3) as opened:
        stuck = Stuck()
        call = asyncio.create_task(accounted(stuck, opened).complete(ASK))
        await stuck.begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert opened.account.spent == Usage(1, 0, 0.0)
        assert opened.account.reserved.calls == 0
        assert [row["error"] for row in opened.calls()] == ["cancelled"]


async def test_a_call_cancelled_before_it_got_a_slot_was_never_sent(tmp_path):
    with bank(tmp_path / "run", calls=3) as opened:
        stuck = Stuck()
        llm = Accounted(stuck, opened.ledger, Slots(0), "task")
        call = asyncio.create_task(llm.complete(ASK))
        await asyncio.sleep(0.01)
        assert opened.account.reserved.calls == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not stuck.begun.is_set()
        assert opened.account.spent.calls == opened.account.reserved.calls == 0
        assert opened.calls() == []


async def test_a_model_that_crashes_is_settled_too(tmp_path, script):
    inner = script(lambda request: ZeroDivisionError("a bug in the model's client"))
    with bank(tmp_path / "run", calls=1) as opened:
        with pytest.raises(ZeroDivisionError):
            await accounted(inner, opened).complete(ASK)
        assert opened.ledger.in_flight == opened.account.reserved.calls == 0
        assert opened.account.spent.calls == 1


async def test_a_known_answer_is_not_sent_and_slots_bound_what_is(tmp_path, script):
    inner, most, now = script(), 0, 0

    class Counting:
        identity, can_choose, can_embed, price = "counting", False, False, Price(0.0, 0.0)

        async def complete(self, request: Request) -> Completion:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1
            return await inner.complete(request)

        async def aclose(self) -> None: ...

    with bank(tmp_path / "run") as opened:
        llm = accounted(Counting(), opened)
        asks = [Request.user(f"row {number % 20}") for number in range(60)]
        await asyncio.gather(*(llm.complete(ask) for ask in asks))
        assert len(inner.requests) == len({ask.text for ask in inner.requests}) == 20
        assert most == 4


async def test_a_call_has_started_when_it_was_sent_and_not_when_it_began_to_wait_for_a_slot(tmp_path, script):
    class Slow:
        def __init__(self, inner):
            self.inner, self.identity, self.price = inner, inner.identity, inner.price

        async def complete(self, request):
            await asyncio.sleep(0.1)
            return await self.inner.complete(request)

    with bank(tmp_path / "run", calls=9) as opened:
        model = Accounted(Slow(script(lambda request: "yes")), opened.ledger, Slots(1), "task", 7)
        await asyncio.gather(*(model.complete(Request.user(f"row {number}")) for number in range(2)))
    first, second = sorted(row["started_at"] for row in opened.calls())
    assert (second - first).total_seconds() > 0.09


async def test_when_time_is_over_only_the_calls_just_admitted_are_still_sent(tmp_path):
    release, sent = asyncio.Event(), 0

    class Slow:
        identity, can_choose, can_embed, price = "model", False, False, Price(0.0, 0.0)

        async def complete(self, request: Request) -> Completion:
            nonlocal sent
            sent += 1
            await release.wait()
            return Completion("yes", 1, 1, 0.0)

        async def aclose(self) -> None: ...

    with bank(tmp_path / "run", seconds=1000) as opened:
        llm = accounted(Slow(), opened)
        calls = [asyncio.create_task(llm.complete(Request.user(f"row {number}"))) for number in range(60)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert sent == 4
        opened.account.kept_s = 1000.0
        release.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        answered = [end for end in ends if isinstance(end, Completion)]
        assert len(answered) == sent == 8
        assert sum(isinstance(end, BudgetExhausted) for end in ends) == 52
        assert opened.account.reserved.calls == 0


async def test_an_answer_with_an_unpaired_surrogate_is_mended_before_anyone_sees_it(tmp_path, script):
    inner = script(lambda request: "fine \ud83d\ude00 and broken \ud800")
    with bank(tmp_path / "run") as opened:
        reply = (await accounted(inner, opened).complete(ASK)).text
        reply.encode()
        assert reply.startswith("fine \N{GRINNING FACE} and broken ")
        assert opened.calls()[0]["text"] == reply
        assert (await accounted(inner, opened).complete(ASK)).text == reply


async def test_an_answer_recalled_from_another_run_is_logged_for_whom_it_was(tmp_path, script):
    inner = script()
    with bank(tmp_path / "one", run="one") as first:
        await accounted(inner, first).complete(ASK)
    with bank(tmp_path / "two", run="two") as second:
        await accounted(inner, second).complete(ASK)
        (row,) = second.calls()
        assert (row["recalled"], row["individual"], row["purpose"], row["model"]) == (True, 7, "task", inner.identity)
    assert len(inner.requests) == 1


@pytest.mark.parametrize("text", ["", "plain", "日本語", "\ud800"])
def test_a_reservation_bounds_what_a_call_can_use(text):
    asked = admission_of(Request.user(text, max_tokens=9), "m", Price(0.5, 2.0))
    assert asked.tokens >= len(text.encode("utf-8", "surrogatepass")) + 9
    assert asked.usd == pytest.approx((asked.tokens - 9) * 0.5 + 9 * 2.0)
    assert admission_of(Request.user(text), "m", None).usd is None


def test_choices_are_reserved_by_their_length():
    few, many = (admission_of(Request.user("x", choices=c), "m", None).tokens for c in (("a", "b"), ("long one", "b")))
    assert many - few == 7


def test_pauses_grow_are_jittered_and_bounded():
    rng = np.random.default_rng(0)
    for attempt in range(1, 20):
        ceiling = min(30.0, 0.5 * 2 ** (attempt - 1))
        drawn = {pause_s(attempt, None, rng) for _ in range(20)}
        assert all(ceiling / 2 <= pause <= ceiling for pause in drawn)
        assert len(drawn) > 1
    assert pause_s(1, 100.0, rng) == 100.0


def test_an_embedding_is_admitted_without_output():
    text, reply = admission_of(ASK, "m", Price(1.0, 1.0)), ASK.max_tokens
    vector = admission_of(Request.user(ASK.text, max_tokens=5, embedding=True), "m", Price(1.0, 1.0))
    assert (vector.tokens, vector.usd) == (text.tokens - reply, text.tokens - reply)


async def test_slots_grow_at_once_and_shrink_as_calls_end():
    slots, most = Slots(2), []
    inside = 0

    async def call() -> None:
        nonlocal inside
        async with slots.queue, slots:
            inside += 1
            most.append(inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(call() for _ in range(6)))
    assert max(most) == 2
    slots.resize(5)
    most.clear()
    await asyncio.gather(*(call() for _ in range(20)))
    assert max(most) == 5
    slots.resize(1)
    await asyncio.sleep(0)
    most.clear()
    await asyncio.gather(*(call() for _ in range(6)))
    assert max(most) == 1
    slots.resize(0)
    slots.close()


class Straggler:
    """A model whose first attempt at a call takes for ever, the next ones no time."""

    identity, can_choose, can_embed, price = "straggler", False, False, None

    def __init__(self, second: Completion | LlmError) -> None:
        self.sent = self.cancelled = 0
        self.second = second

    async def complete(self, request: Request) -> Completion:
        self.sent += 1
        try:
            await asyncio.sleep(30 if self.sent == 1 else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.second, LlmError):
            raise self.second
        return self.second

    async def aclose(self) -> None: ...


async def test_a_straggler_is_sent_a_second_time_and_both_are_counted(tmp_path):
    with bank(tmp_path / "run", calls=10) as opened:
        llm = Straggler(Completion("yes", 8, 1, 0.0))
        assert (await accounted(llm, opened, hedge_after_s=0.01).complete(ASK)).text == "yes"
        assert (llm.sent, llm.cancelled) == (2, 1)
        assert opened.account.spent.calls == 2
        assert opened.account.reserved.calls == 0
        assert [row["attempts"] for row in opened.calls()] == [2]


async def test_what_is_answered_in_time_is_sent_once(tmp_path, script):
    inner = script()
    with bank(tmp_path / "run") as opened:
        assert (await accounted(inner, opened, hedge_after_s=5.0).complete(ASK)).text == "yes"
        assert len(inner.requests) == opened.account.spent.calls == 1


@pytest.mark.parametrize("room", ["budget", "slots"])
async def test_a_straggler_is_waited_for_where_there_is_no_room_for_a_second(tmp_path, room):
    with bank(tmp_path / "run", calls=1 if room == "budget" else 10) as opened:
        llm = Straggler(Completion("yes", 8, 1, 0.0))
        slots = Slots(1 if room == "slots" else 4)
        call = asyncio.create_task(Accounted(llm, opened.ledger, slots, "task", hedge_after_s=0.01).complete(ASK))
        await asyncio.sleep(0.05)
        assert llm.sent == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert opened.account.spent.calls == 1


async def test_while_the_first_may_still_answer_a_second_that_fails_ends_nothing(tmp_path):
    with bank(tmp_path / "run", calls=10) as opened:
        llm = Straggler(busy())
        call = asyncio.create_task(accounted(llm, opened, hedge_after_s=0.01).complete(ASK))
        await asyncio.sleep(0.05)
        assert (llm.sent, call.done()) == (2, False)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert opened.account.spent.calls == 2
        assert opened.account.reserved.calls == 0


async def test_a_call_begins_when_the_model_begins_with_it(tmp_path, script):
    async def complete(request: Request) -> Completion:
        await asyncio.sleep(0.3)  # others' calls
        return Completion("yes", 7, 2, latency_s=0.1)

    inner = script()
    inner.complete = complete
    with bank(tmp_path / "run") as opened:
        began = time.time()
        await accounted(inner, opened).complete(ASK)
        (row,) = opened.calls()
        assert row["started_at"].timestamp() - began > 0.15
