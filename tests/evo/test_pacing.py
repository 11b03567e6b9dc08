"""The pace of calls, by a clock of our own."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from bank import admission, answer, bank, receipt

from evo.budget import Usage
from evo.errors import BudgetExhausted
from evo.pacing import BACK_OFF, FAILURES, QUIET_S, Pacing
from evo.receipts import NO_LIMITS, Limits, Setback

PATIENCE_S = 10
BUSY = Setback(error="slow down", busy=True)
DOWN = Setback(error="connection refused")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacing(clock: Clock) -> Pacing:
    return Pacing(clock)


def take(pacing: Pacing, count: int, limits: Limits = NO_LIMITS, *, first: int = 0, tokens: int = 10) -> list[str]:
    """Take as many leases as there is room for, at most ``count``; return their keys."""
    keys: list[str] = []
    while len(keys) < count and pacing.room("m", limits):
        keys.append(f"{first + len(keys)}")
        pacing.take("m", keys[-1], tokens)
    return keys


def test_without_limits_there_is_room_for_all(pacing):
    assert len(take(pacing, 5000)) == 5000


def test_no_more_calls_are_under_way_than_the_limit_and_each_that_ends_makes_room(pacing):
    keys = take(pacing, 10, Limits(concurrency=3))
    assert len(keys) == 3
    pacing.answered("m", keys[0], 5)
    pacing.release("m", keys[1])
    assert pacing.room("m") == 2
    assert pacing.room("another") > 1000


def test_the_lowest_of_all_limits_holds_whoever_asks(pacing):
    assert pacing.room("m", Limits(concurrency=8)) == 8
    assert pacing.room("m", Limits(concurrency=2)) == 2
    assert pacing.room("m", Limits(concurrency=8)) == 2


def test_a_lease_of_which_nothing_is_heard_ends_by_itself(pacing, clock):
    limits = Limits(concurrency=2, lease_s=60)
    take(pacing, 1, limits)
    clock.now += 30
    take(pacing, 1, limits, first=1)
    assert pacing.room("m") == 0
    clock.now += 31
    assert pacing.room("m") == 1
    clock.now += 30
    assert pacing.room("m") == 2


@pytest.mark.parametrize("a_minute", [1, 7, 60, 300, 6000])
def test_in_no_minute_more_calls_begin_than_allowed_and_nearly_as_many(pacing, clock, a_minute):
    rng, begun = np.random.default_rng(a_minute), []
    while clock.now < 1000 + 300:
        for key in take(pacing, 10**6, Limits(requests_per_minute=a_minute)):
            begun.append(clock.now)
            pacing.answered("m", key, 1)
        clock.now += float(rng.uniform(0, 0.05))
    times = np.array(begun)
    most = max(int(((times >= t) & (times < t + 60)).sum()) for t in times[:: max(1, len(times) // 500)])
    assert most <= a_minute
    assert len(times) >= 0.95 * 5 * a_minute - 1


def test_tokens_are_held_to_their_minute_by_what_calls_really_take(pacing, clock):
    used = []
    for _ in range(600):
        for key in take(pacing, 100, Limits(tokens_per_minute=6000), tokens=400):  # a bound: they take a quarter
            used.append((clock.now, 100))
            pacing.answered("m", key, 100)
        clock.now += 0.5
    total = sum(tokens for _, tokens in used)
    assert total <= 6000 * 5 * 1.02
    assert total >= 6000 * 5 * 0.9


def test_a_busy_provider_is_given_what_it_bears_at_once_and_more_again_slowly(pacing):
    keys = take(pacing, 100)
    for key in keys[8:]:  # it serves eight and refuses the others
        assert pacing.failed("m", key, BUSY) is None
    assert pacing.room("m") == 0
    for key in keys[:8]:
        pacing.answered("m", key, 1)
    bears = pacing.room("m")
    assert 5 <= bears <= 8
    under_way = take(pacing, 100, first=1000)
    for number in range(80):  # ten times as many as it bears
        pacing.answered("m", under_way.pop(0), 1)
        under_way += take(pacing, 100, first=2000 + 10 * number)
    assert bears < len(under_way) <= bears + 3


def test_calls_refused_together_lower_the_limit_by_its_factor_once(pacing, clock):
    keys = take(pacing, 100)
    for key in keys[:10]:
        pacing.failed("m", key, BUSY)
    assert len(keys) - 10 + pacing.room("m") == 90
    for key in keys[10:]:
        pacing.answered("m", key, 1)
    allowed = pacing.room("m")
    assert BACK_OFF * 89 <= allowed <= 90
    clock.now += 1
    again = take(pacing, 1000, first=500)
    pacing.failed("m", again[0], BUSY)
    for key in again[1:]:
        pacing.answered("m", key, 1)
    assert pacing.room("m") < allowed * BACK_OFF + 2


def test_nothing_goes_out_before_the_time_a_provider_names(pacing, clock):
    (key,) = take(pacing, 1)
    pacing.failed("m", key, Setback(busy=True, retry_after_s=7.0))
    clock.now += 6.9
    assert pacing.room("m") == 0
    clock.now += 0.2
    assert pacing.room("m") == 1


def down(pacing: Pacing, clock: Clock, limits: Limits = NO_LIMITS) -> None:
    """Let a model answer once, and then fail until its circuit opens."""
    keys = take(pacing, FAILURES + 1, limits)
    pacing.answered("m", keys[0], 1)
    clock.now += QUIET_S
    for key in keys[1:-1]:
        assert pacing.failed("m", key, DOWN) is None
        assert pacing.pauses() == ()
    pacing.failed("m", keys[-1], DOWN)


def test_a_model_that_stops_answering_is_paused_and_tried_by_one_call_at_a_time(pacing, clock):
    down(pacing, clock)
    assert pacing.room("m") == 0
    (words,) = pacing.pauses()
    assert "4 attempts in a row at m failed, the last with: connection refused; next try in 2 s" in words
    assert "ends resumable in 600 s; Ctrl-C" in words
    waits = []
    for number in range(7):
        began = clock.now
        while not pacing.room("m"):
            clock.now += 0.5
        waits.append(clock.now - began)
        assert len(take(pacing, 5, first=100 + number)) == 1
        assert pacing.failed("m", f"{100 + number}", DOWN) is None
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    clock.now += 60
    (probe,) = take(pacing, 5, first=200)
    pacing.answered("m", probe, 1)
    assert pacing.room("m") > 1000
    assert pacing.pauses() == ()


def test_failures_between_answers_open_no_circuit(pacing, clock):
    for number in range(200):
        clock.now += 0.5
        for key in take(pacing, 4, first=10 * number)[1:]:
            pacing.failed("m", key, DOWN)
        pacing.answered("m", f"{10 * number}", 1)
    assert pacing.pauses() == ()


def test_a_try_that_vanishes_does_not_close_the_model_for_ever(pacing, clock):
    down(pacing, clock, Limits(lease_s=30))
    clock.now += 2
    take(pacing, 5, Limits(lease_s=30), first=100)
    assert pacing.room("m") == 0
    clock.now += 31
    assert pacing.room("m") == 1


@pytest.mark.parametrize("said", [DOWN, BUSY], ids=["nothing", "to come back later"])
def test_patience_has_an_end_with_everything_kept_whatever_a_try_is_told(pacing, clock, said):
    down(pacing, clock, Limits(patience_s=100))
    error = None
    while error is None:
        assert clock.now < 1000 + 200
        clock.now += 1
        for key in take(pacing, 1, first=int(clock.now)):
            error = pacing.failed("m", key, said)
    assert 100 <= clock.now - 1000 <= 165
    assert "m has not answered for" in str(error)
    assert "then `evo resume` goes on" in str(error)


def test_a_busy_provider_opens_no_circuit_while_it_can_be_asked_less(pacing):
    pacing.answered("m", "0", 1)
    for wave in range(30):
        for key in take(pacing, 64, first=100 * wave)[1:]:
            assert pacing.failed("m", key, BUSY) is None
    assert pacing.pauses() == ()


# --- in the ledger ---


def limited(key: str, **limits: float):
    return admission(key).__class__(key, 10, 0.0, "model", limits=Limits(**limits))


async def test_calls_over_the_limit_wait_their_turn_and_all_get_it(tmp_path):
    with bank(tmp_path / "run") as opened:
        under_way = most = 0

        async def call(number: int) -> None:
            nonlocal under_way, most
            key = str(number)
            assert await opened.ledger.admit(limited(key, concurrency=4)) is None
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            await opened.ledger.settle(receipt(key, answer()))

        await asyncio.wait_for(asyncio.gather(*(call(number) for number in range(60))), PATIENCE_S)
        assert most == 4
        assert opened.account.spent.calls == 60


async def test_who_waits_for_a_pace_hears_of_a_stop_and_of_a_budget_that_is_over(tmp_path):
    with bank(tmp_path / "run", calls=1) as opened:
        await opened.ledger.admit(limited("a", concurrency=1))
        waiting = asyncio.create_task(opened.ledger.admit(limited("b", concurrency=1)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await opened.ledger.settle(receipt("a", answer()))
        with pytest.raises(BudgetExhausted):
            await asyncio.wait_for(waiting, PATIENCE_S)
    with bank(tmp_path / "other") as opened:
        await opened.ledger.admit(limited("c", concurrency=1))
        waiting = asyncio.create_task(opened.ledger.admit(limited("d", concurrency=1)))
        await asyncio.sleep(0)
        opened.ledger.stop(BudgetExhausted("over"))
        with pytest.raises(BudgetExhausted, match="over"):
            await asyncio.wait_for(waiting, PATIENCE_S)


async def test_the_time_that_is_over_reaches_those_that_wait_for_a_model_that_is_down(tmp_path):
    with bank(tmp_path / "run", seconds=0.2) as opened:
        await opened.ledger.admit(limited("a", concurrency=1))
        with pytest.raises(BudgetExhausted, match="seconds are over"):
            await asyncio.wait_for(opened.ledger.admit(limited("b", concurrency=1)), PATIENCE_S)


async def test_no_longer_is_rested_than_the_budget_lasts_whatever_a_provider_asks_for(tmp_path):
    with bank(tmp_path / "run", seconds=0.2) as opened:
        await opened.ledger.admit(admission("a"))
        asks = Setback(3600, "slow down", busy=True, retry_after_s=3600)
        with pytest.raises(BudgetExhausted, match="seconds are over"):
            await asyncio.wait_for(opened.ledger.again(admission("a"), None, asks), PATIENCE_S)


async def test_a_call_of_a_lost_worker_frees_its_lease(tmp_path):
    with bank(tmp_path / "run") as opened:
        await opened.ledger.admit(limited("a", concurrency=1))
        waiting = asyncio.create_task(opened.ledger.admit(limited("b", concurrency=1)))
        await asyncio.sleep(0)
        opened.ledger.abandon(["a"])
        assert await asyncio.wait_for(waiting, PATIENCE_S) is None


async def test_a_hedge_counts_the_attempt_it_stands_beside_at_its_bound(tmp_path):
    with bank(tmp_path / "run", tokens=100) as opened:
        ask = admission("a", tokens=30)
        await opened.ledger.admit(ask)
        assert await opened.ledger.hedge(ask)
        assert (opened.account.spent, opened.account.reserved) == (Usage(1, 30, 0.0), Usage(1, 30, 0.0))
        await opened.ledger.settle(receipt("a", answer(tokens=4), attempts=2))
        assert opened.account.spent == Usage(2, 34, 0.0)
        assert opened.account.reserved == Usage()
        (row,) = opened.calls()
        assert (row["attempts"], row["lost_tokens"], row["error"]) == (2, 30, "")


async def test_hedges_keep_to_the_pace_and_their_leases_end_with_their_call(tmp_path):
    with bank(tmp_path / "run") as opened:
        asks = [limited(key, concurrency=3) for key in "ab"]
        for ask in asks:
            await opened.ledger.admit(ask)
        assert [await opened.ledger.hedge(ask) for ask in asks] == [True, False]
        assert opened.account.spent.calls == 1
        await opened.ledger.settle(receipt("a", answer(), attempts=2))
        assert opened.ledger.pacing.room("model") == 2


async def test_a_hedge_is_no_call_for_nothing_where_there_is_no_cap(tmp_path):
    with bank(tmp_path / "run") as opened:
        ask = admission("a", tokens=30)
        await opened.ledger.admit(ask)
        await opened.ledger.hedge(ask)
        assert opened.account.spent.tokens == 30


async def test_there_is_no_hedge_where_budget_or_pace_have_no_room(tmp_path):
    with bank(tmp_path / "run", calls=1) as opened:
        await opened.ledger.admit(admission("a"))
        assert not await opened.ledger.hedge(admission("a"))
        assert (opened.account.spent.calls, opened.account.reserved.calls) == (0, 1)
    with bank(tmp_path / "other") as opened:
        await opened.ledger.admit(limited("a", concurrency=1))
        assert not await opened.ledger.hedge(limited("a", concurrency=1))
