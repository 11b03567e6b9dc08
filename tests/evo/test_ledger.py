from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from bank import admission, answer, bank, receipt

import evo.ledger
import evo.pacing
from evo.budget import Account, Usage
from evo.errors import BudgetExhausted, ConfigError, EvoError, Interrupted
from evo.flights import LOST
from evo.model import Budget
from evo.receipts import CANCELLED, Admission, Limits
from evo.store import spent_of

PATIENCE_S = 10
CAPS = [{"calls": 200}, {"tokens": 9000}, {"usd": 0.4}, {"calls": 300, "tokens": 12000, "usd": 0.9}]


async def use(bank, key: str, rng: np.random.Generator, log: Counter) -> str:
    """Make one call as `Accounted` does, with random luck; return what became of it."""
    want = admission(key, int(rng.integers(1, 200)), float(rng.random() / 100))
    try:
        if await bank.ledger.admit(want) is not None:
            return "known"
        attempts, paid = 1, None
        try:
            while True:
                log[key] += 1
                await asyncio.sleep(0 if rng.random() < 0.5 else rng.random() / 500)
                if rng.random() < 0.75:
                    used = int(rng.integers(1, want.tokens + 1))
                    paid = answer(tokens=used, usd=want.usd * used / want.tokens)
                    return "paid"
                if attempts == 4:
                    return "failed"
                await bank.ledger.again(want, Usage(1))
                attempts += 1
        finally:
            await bank.ledger.settle(receipt(key, paid, attempts=attempts))
    except BudgetExhausted:
        return "refused"


@pytest.mark.parametrize("caps", CAPS, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
async def test_512_calls_at_once_never_pass_a_cap_and_never_wait_for_ever(tmp_path, caps, seed):
    rng, sent = np.random.default_rng(seed), Counter()
    with bank(tmp_path / "run", **caps) as opened:
        work = [use(opened, f"k{number % 400}", rng, sent) for number in range(512)]
        fates = Counter(await asyncio.wait_for(asyncio.gather(*work), PATIENCE_S))
        assert fates["refused"] > 0, "the caps were never met: nothing was tested"
        assert fates["paid"] > 10
        assert opened.account.reserved == Usage(0, 0, pytest.approx(0, abs=1e-9))
        assert opened.ledger.in_flight == 0
        rows = opened.calls()
        assert opened.account.spent.calls == sum(row["attempts"] for row in rows) == sum(sent.values())
        assert opened.account.spent.tokens == sum(
            (row["prompt_tokens"] or 0) + (row["output_tokens"] or 0) + row["lost_tokens"] for row in rows
        )
        assert opened.account.spent.usd == pytest.approx(sum((row["cost_usd"] or 0) + row["lost_usd"] for row in rows))
        answered = [row["key"] for row in rows if row["text"] is not None]
        assert len(answered) == len(set(answered)) == fates["paid"]


async def test_the_same_call_asked_50_times_at_once_is_sent_once(tmp_path):
    with bank(tmp_path / "run", calls=1) as opened:
        asked = [asyncio.create_task(opened.ledger.admit(admission("k"))) for _ in range(50)]
        await asyncio.sleep(0.01)
        (leader,) = [task for task in asked if task.done()]
        assert leader.result() is None
        await opened.ledger.settle(receipt("k", answer("hello")))
        others = await asyncio.wait_for(asyncio.gather(*(t for t in asked if t is not leader)), PATIENCE_S)
        assert {other.text for other in others} == {"hello"}
        assert len(opened.calls()) == opened.account.spent.calls == 1
        assert opened.ledger.tally.shared == 49


async def test_a_failed_flight_lets_the_next_one_go(tmp_path):
    with bank(tmp_path / "run") as opened:
        assert await opened.ledger.admit(admission("k")) is None
        second = asyncio.create_task(opened.ledger.admit(admission("k")))
        await asyncio.sleep(0)
        assert not second.done()
        await opened.ledger.settle(receipt("k", None, error="busy"))
        assert await asyncio.wait_for(second, PATIENCE_S) is None
        await opened.ledger.settle(receipt("k", answer()))
        assert [row["error"] for row in opened.calls()] == ["busy", ""]


async def test_a_waiter_that_is_cancelled_takes_nobody_with_it(tmp_path):
    with bank(tmp_path / "run") as opened:
        assert await opened.ledger.admit(admission("k")) is None
        one, other = (asyncio.create_task(opened.ledger.admit(admission("k"))) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        await opened.ledger.settle(receipt("k", answer()))
        assert (await asyncio.wait_for(other, PATIENCE_S)).text == "yes"


async def test_a_call_that_was_never_sent_gives_its_reservation_back_and_leaves_no_row(tmp_path):
    with bank(tmp_path / "run", calls=1) as opened:
        await opened.ledger.admit(admission("k"))
        await opened.ledger.settle(receipt("k", None, error="cancelled", attempts=0))
        assert opened.account.spent == opened.account.reserved == Usage()
        assert opened.calls() == []
        assert await opened.ledger.admit(admission("other")) is None


async def test_a_call_that_does_not_fit_waits_for_those_under_way(tmp_path):
    with bank(tmp_path / "run", tokens=100) as opened:
        await opened.ledger.admit(admission("big", 90))
        small = asyncio.create_task(opened.ledger.admit(admission("small", 50)))
        await asyncio.sleep(0)
        assert not small.done()
        await opened.ledger.settle(receipt("big", answer(tokens=20)))
        assert await asyncio.wait_for(small, PATIENCE_S) is None
        with pytest.raises(BudgetExhausted, match="100 tokens"):
            await opened.ledger.admit(admission("huge", 81))  # will not fit, whatever "small" turns out to use


async def test_the_only_call_under_a_cap_of_one_fails_instead_of_waiting_for_itself(tmp_path):
    with bank(tmp_path / "run", calls=1) as opened:
        await opened.ledger.admit(admission("k"))
        with pytest.raises(BudgetExhausted, match="all 1 model calls"):
            await asyncio.wait_for(opened.ledger.again(admission("k"), Usage(1)), PATIENCE_S)
        await opened.ledger.settle(receipt("k", None, error="busy", attempts=1))
        assert opened.account.spent == Usage(1)
        assert opened.account.reserved == Usage()


async def test_two_calls_that_both_must_be_sent_again_do_not_wait_for_each_other(tmp_path):
    with bank(tmp_path / "run", tokens=100) as opened:
        for key in "ab":
            await opened.ledger.admit(admission(key, 50))
        again = [opened.ledger.again(admission(key, 50), Usage(1)) for key in "ab"]
        await asyncio.wait_for(asyncio.gather(*again), PATIENCE_S)
        assert opened.account.reserved.tokens == 100
        assert opened.account.spent == Usage(2)


async def test_what_a_lost_worker_had_under_way_counts_at_its_bound_and_is_in_the_log(tmp_path):
    with bank(tmp_path / "run", tokens=1000) as opened:
        await opened.ledger.admit(Admission("k", 10, 0.5, "model", "task", 7))
        await opened.ledger.again(Admission("k", 10, 0.5, "model", "task", 7), Usage(1, 3))
        opened.ledger.abandon(["k"])
        assert (opened.account.spent, opened.account.reserved) == (Usage(2, 13, 0.5), Usage())
        (row,) = opened.calls()
        assert (row["error"], row["attempts"], row["lost_tokens"], row["individual"]) == (LOST, 2, 13, 7)
    assert spent_of(tmp_path / "run") == Usage(2, 13, 0.5)


async def test_a_lost_workers_reservation_is_free_again_and_its_waiters_go(tmp_path):
    with bank(tmp_path / "run", calls=2) as opened:
        await opened.ledger.admit(admission("k"))
        other = asyncio.create_task(opened.ledger.admit(admission("k")))
        await asyncio.sleep(0)
        opened.ledger.abandon(["k", "never seen"])
        assert await asyncio.wait_for(other, PATIENCE_S) is None


async def test_an_unknown_price_is_refused_under_a_cap_in_usd_and_the_message_says_the_mend(tmp_path):
    with bank(tmp_path / "run", usd=1.0) as opened:
        with pytest.raises(ConfigError, match=r"price of model, which is unknown; set model.price, or .*cap calls"):
            await opened.ledger.admit(admission("k", usd=None))
        assert await opened.ledger.admit(admission("k", usd=0.5)) is None
        await opened.ledger.settle(receipt("k", answer(usd=None)))
        assert opened.account.spent.usd == 0.5  # the bound, where the true price was not said
        assert [row["cost_usd"] for row in opened.calls()] == [0.5]
        assert opened.cache.get("k")[0].cost_usd is None
    with bank(tmp_path / "other", calls=5) as opened:
        await opened.ledger.admit(admission("free", usd=None))
        await opened.ledger.settle(receipt("free", answer(usd=None)))
        assert opened.account.spent == Usage(1, 4, None)


async def test_answers_of_an_earlier_run_count_as_calls_and_cost_nothing(tmp_path):
    with bank(tmp_path / "one", run="one", usd=1.0) as first:
        for key in "abc":
            await first.ledger.admit(admission(key, usd=0.2))
            await first.ledger.settle(receipt(key, answer(key, tokens=7, usd=0.2)))
    with bank(tmp_path / "two", run="two", calls=2, usd=0.1) as second:
        assert [(await second.ledger.admit(admission(key, usd=0.2))).text for key in "aab"] == ["a", "a", "b"]
        assert second.account.spent == Usage(2, 14, 0.0)
        assert [(row["recalled"], row["attempts"], row["text"]) for row in second.calls()] == [
            (True, 1, "a"),
            (True, 1, "b"),
        ]
        assert (second.ledger.tally.recalled, second.ledger.tally.shared) == (2, 1)
        with pytest.raises(BudgetExhausted, match="all 2 model calls"):
            await second.ledger.admit(admission("c", usd=0.0))


async def test_the_last_answer_of_a_burst_reaches_other_runs_without_another_call(tmp_path, monkeypatch):
    monkeypatch.setattr(evo.ledger, "HELD_S", 0.01)
    with bank(tmp_path / "a", run="a") as first, bank(tmp_path / "b", run="b") as second:
        await first.ledger.admit(admission("k"))
        await first.ledger.settle(receipt("k", answer()))
        assert second.cache.get("k") is None
        await asyncio.sleep(0.05)
        assert second.cache.get("k") == (answer(), False)


async def test_a_recalled_answer_waits_for_room_like_a_call_that_is_sent(tmp_path):
    with bank(tmp_path / "one", run="one") as first:
        await first.ledger.admit(admission("k"))
        await first.ledger.settle(receipt("k", answer(tokens=30)))
    with bank(tmp_path / "two", run="two", tokens=100) as second:
        await second.ledger.admit(admission("long", 90))
        recalled = asyncio.create_task(second.ledger.admit(admission("k", 40)))
        await asyncio.sleep(0)
        await second.ledger.settle(receipt("long", answer(tokens=20)))
        assert (await asyncio.wait_for(recalled, PATIENCE_S)).text == "yes"


async def test_the_deadline_refuses_and_what_is_kept_for_the_test_is_not_given_away(tmp_path):
    with bank(tmp_path / "run", calls=10, seconds=60) as opened:
        opened.account.kept = Usage(9)
        await opened.ledger.admit(admission("a"))
        await opened.ledger.settle(receipt("a", answer()))
        with pytest.raises(BudgetExhausted, match="set aside for the final race and test"):
            await opened.ledger.admit(admission("b"))
        opened.account.kept, opened.account.kept_s = Usage(), 61.0
        with pytest.raises(BudgetExhausted, match="60 seconds are over"):
            await opened.ledger.admit(admission("b"))
        opened.account.kept_s = 0.0
        assert await opened.ledger.admit(admission("b")) is None


def test_time_of_earlier_attempts_counts():
    account = Account(Budget(seconds=5), elapsed_s=5)
    assert account.refusal(Usage()) == "the 5 seconds are over"
    assert Account(Budget(seconds=5), elapsed_s=4).refusal(Usage()) == ""
    assert account.elapsed_s >= 5 > (account.left_s or 0)


async def test_a_stop_refuses_new_calls_repeats_and_those_that_wait_until_it_is_lifted(tmp_path):
    with bank(tmp_path / "run", calls=2) as opened:
        for key in "ab":
            await opened.ledger.admit(admission(key))
        waiting = asyncio.create_task(opened.ledger.admit(admission("c")))
        repeat = asyncio.create_task(opened.ledger.again(admission("b"), Usage(1)))
        await asyncio.sleep(0)
        await opened.ledger.settle(receipt("a", answer()))
        opened.ledger.stop(Interrupted("enough"))
        ends = await asyncio.wait_for(asyncio.gather(waiting, repeat, return_exceptions=True), PATIENCE_S)
        assert all(isinstance(end, EvoError) for end in ends)
        with pytest.raises(Interrupted, match="enough"):
            await opened.ledger.admit(admission("a"))  # known, but nothing new is to begin
        opened.ledger.stop(None)
        assert (await opened.ledger.admit(admission("a"))).text == "yes"


async def test_calls_are_on_disk_before_settling_returns(tmp_path):
    with bank(tmp_path / "run") as opened:
        started = time.perf_counter()
        for number in range(50):
            await opened.ledger.admit(admission(str(number)))
            await opened.ledger.settle(receipt(str(number), answer()))
            assert len(opened.calls()) == number + 1
        assert time.perf_counter() - started < PATIENCE_S


def failed(key: str, **more: object):
    return receipt(key, None, error="busy", transient=True, **more)


async def test_a_model_must_answer_once_before_its_calls_go_out_side_by_side(tmp_path):
    with bank(tmp_path / "run", proven=False) as opened:
        assert await opened.ledger.admit(admission("a")) is None
        others = [asyncio.create_task(opened.ledger.admit(admission(str(number)))) for number in range(5)]
        another_model = await asyncio.wait_for(opened.ledger.admit(admission("b", model="other")), PATIENCE_S)
        assert another_model is None
        assert not any(task.done() for task in others)
        await opened.ledger.settle(receipt("a", answer()))
        assert await asyncio.wait_for(asyncio.gather(*others), PATIENCE_S) == [None] * 5
        assert opened.ledger.given_up is None


@pytest.mark.parametrize("end", ["failed", "cancelled", "lost"])
async def test_when_the_first_call_to_a_model_comes_to_nothing_the_next_one_goes(tmp_path, end):
    with bank(tmp_path / "run", proven=False) as opened:
        assert await opened.ledger.admit(admission("a")) is None
        waiting = [asyncio.create_task(opened.ledger.admit(admission(key))) for key in "bc"]
        await asyncio.sleep(0)
        if end == "lost":
            opened.ledger.abandon(["a"])
        else:
            await opened.ledger.settle(failed("a", attempts=1 if end == "failed" else 0))
        done, waiting = await asyncio.wait(waiting, timeout=0.05)
        assert [task.result() for task in done] == [None]
        assert len(waiting) == 1
        assert opened.ledger.given_up is None
        waiting.pop().cancel()


async def test_a_model_that_never_answers_is_given_up_after_two_calls(tmp_path):
    with bank(tmp_path / "run", proven=False) as opened:
        for key in "ab":
            assert opened.ledger.given_up is None
            assert await asyncio.wait_for(opened.ledger.admit(admission(key)), PATIENCE_S) is None
            await opened.ledger.settle(failed(key))
        assert "2 calls to model failed and none was answered, the last with: busy" in str(opened.ledger.given_up)


async def test_a_model_that_answered_is_given_up_only_when_patience_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(evo.pacing, "QUIET_S", 0.0)
    with bank(tmp_path / "run") as opened:
        for number in range(24):
            key = str(number)
            await asyncio.wait_for(opened.ledger.admit(admission(key)), PATIENCE_S)
            fine = number % 4 == 3
            await opened.ledger.settle(receipt(key, answer()) if fine else failed(key))
        lasting = [f"refused {number}" for number in range(40)]
        for key in lasting:  # this row is refused for good: no sign of a model that is down
            await opened.ledger.admit(admission(key))
            await opened.ledger.settle(receipt(key, None, error="content filter"))
        assert opened.ledger.given_up is None
        hasty = Limits(patience_s=0.0)
        for number in range(4):
            assert opened.ledger.given_up is None
            await opened.ledger.admit(replace(admission(f"down {number}"), limits=hasty))
            await opened.ledger.settle(failed(f"down {number}"))
        assert "patience_s 0" in str(opened.ledger.given_up)
        assert "then `evo resume` goes on" in str(opened.ledger.given_up)


@pytest.mark.parametrize(
    ("caps", "billed", "counted"),
    [
        ({"tokens": 1000}, Usage(1, 7, 0.25), Usage(1, 7, 0.25)),
        ({"usd": 10.0}, Usage(1, 7, None), Usage(1, 7, 0.5)),
        ({"tokens": 1000}, None, Usage(1, 10, 0.5)),
        ({"usd": 10.0}, None, Usage(1, 10, 0.5)),
        ({"calls": 10}, None, Usage(1)),
    ],
)
async def test_what_failed_attempts_took_counts_and_stays_in_the_log(tmp_path, caps, billed, counted):
    with bank(tmp_path / "run", **caps) as opened:
        await opened.ledger.admit(admission("a", usd=0.5))
        await opened.ledger.settle(receipt("a", None, error="empty", billed=billed))
        assert (opened.account.spent, opened.account.reserved) == (counted, Usage())
        await opened.ledger.admit(admission("b", usd=0.5))
        await opened.ledger.again(admission("b", usd=0.5), billed)
        await opened.ledger.settle(receipt("b", answer(tokens=4, usd=0.125), attempts=2))
        total = counted + counted + Usage(1, 4, 0.125)
        assert (opened.account.spent, opened.account.reserved) == (total, Usage())
        assert [row["lost_tokens"] for row in opened.calls()] == [counted.tokens] * 2
        assert opened.cache.get("b")[0].tokens == 4, "the answer's own tokens stay its own"
    assert spent_of(tmp_path / "run") == total


async def test_an_attempt_that_ended_before_it_was_repeated_counts_once(tmp_path):
    with bank(tmp_path / "run", calls=1, tokens=1000) as opened:
        await opened.ledger.admit(admission("k"))
        with pytest.raises(BudgetExhausted):
            await opened.ledger.again(admission("k"), Usage(1, 7))
        await opened.ledger.settle(receipt("k", None, error="empty", billed=Usage(1, 7)))
        assert opened.account.spent == spent_of(tmp_path / "run") == Usage(1, 7)


async def test_calls_given_up_on_their_way_say_nothing_of_the_model(tmp_path):
    with bank(tmp_path / "run", proven=False) as opened:
        for key in "abc":
            await asyncio.wait_for(opened.ledger.admit(admission(key)), PATIENCE_S)
            await opened.ledger.settle(receipt(key, None, error=CANCELLED))
        assert opened.ledger.given_up is None
