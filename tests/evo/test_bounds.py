"""What a call may use at most, once a reply was longer than asked for, and what counts where a reply says nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from bank import bank, receipt

from evo.accounting import Accounted, Slots, admission_of
from evo.bounds import Bounds, counted
from evo.budget import Usage
from evo.errors import BudgetExhausted
from evo.model import Completion, Request
from evo.ports import Price
from evo.receipts import Admission

PRICE = Price(1.0, 10.0)


def asked(prompt: int = 100, output: int = 20, **more: object) -> Admission:
    usd = PRICE.cost(prompt, output)
    return replace(Admission("k", prompt + output, usd, "m", output_tokens=output, output_usd=PRICE.output_usd), **more)


@pytest.mark.parametrize(
    "used",
    [Completion("x", 30, 500), Completion("x", 1, 500), Usage(1, 500)],
    ids=["more than reserved", "the prompt was shorter", "a failure that was billed"],
)
def test_a_reply_longer_than_asked_for_raises_what_later_calls_of_that_model_reserve(used):
    bounds = Bounds()
    assert bounds.most(asked()) == Usage(1, 120, 300.0)
    bounds.learn(asked(), used)
    most = bounds.most(asked(prompt=50))
    assert most.tokens >= 50 + 500
    assert most.usd >= PRICE.cost(50, 500)
    assert bounds.most(asked(usd=None)).usd is None
    assert bounds.most(asked(model="other")) == Usage(1, 120, 300.0)
    longer = asked(output=900)
    assert bounds.most(longer) == Usage(1, longer.tokens, longer.usd)


@pytest.mark.parametrize("used", [None, Completion("x", 90, 20), Usage(1, 120), Completion("x", 0, 0)])
def test_a_reply_within_its_bound_teaches_nothing(used):
    bounds = Bounds()
    bounds.learn(asked(), Completion("x", 50, 400))
    before = bounds.most(asked())
    bounds.learn(asked(), used)
    assert bounds.most(asked()) == before


def test_an_embedding_is_reserved_no_reply():
    bounds, vector = Bounds(), asked(output=0)
    bounds.learn(asked(), Completion("x", 50, 400))
    assert bounds.most(vector) == Usage(1, 100, 100.0)


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (Completion("x", 7, 3), (7, 3)),
        (Completion("x", 0, 0), (100, 20)),
        (Completion("x", 7, 0), (7, 20)),
        (Completion("", 0, 0, embedding=(1.0,)), (100, 0)),
        (Completion("", 7, 0, embedding=(1.0,)), (7, 0)),
    ],
    ids=str,
)
def test_tokens_that_a_reply_does_not_say_are_those_reserved(answer, tokens):
    found = counted(answer, asked(), Usage(1, 120, 300.0), priced=True)
    assert (found.prompt_tokens, found.output_tokens, found.cost_usd) == (*tokens, 300.0)
    assert counted(answer, asked(), Usage(1, 120, 300.0)).cost_usd is None


async def test_a_server_that_ignores_max_tokens_passes_a_cap_once(tmp_path, script):
    cost = PRICE.cost(20, 5000)
    model = script(lambda request: Completion("yes", 20, 5000, cost), PRICE)
    ask = Request.user("row 10", max_tokens=8)
    cap = 3.5 * (admission_of(ask, "m", PRICE).usd + PRICE.cost(0, 5000))
    with bank(tmp_path / "run", proven=False) as opened:
        opened.account.budget = replace(opened.account.budget, usd=cap)
        llm = Accounted(model, opened.ledger, Slots(64), "task")
        calls = [llm.complete(Request.user(f"row {number}", max_tokens=8)) for number in range(10, 74)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(end, BudgetExhausted) for end in ends) == 64 - len(model.requests)
        assert len(model.requests) >= 3
        assert opened.account.spent.usd <= cap


async def test_an_attempt_that_failed_and_was_billed_beyond_its_bound_teaches_too(tmp_path):
    first, second, third = (asked(key=key, usd=0.0) for key in "abc")
    with bank(tmp_path / "run", proven=False) as opened:
        await opened.ledger.admit(first)
        await opened.ledger.again(first, Usage(1, 700))
        assert opened.account.reserved.tokens == 100 + 700
        await opened.ledger.settle(receipt("a", Completion("x", 50, 10), model="m", attempts=2))
        await opened.ledger.admit(second)
        await opened.ledger.settle(receipt("b", None, model="m", error="empty", billed=Usage(1, 900)))
        await opened.ledger.admit(third)
        assert opened.account.reserved.tokens == 100 + 900


@pytest.mark.parametrize("embedding", [False, True])
async def test_a_reply_that_does_not_say_what_it_took_counts_as_reserved_and_a_cap_in_tokens_binds(
    tmp_path, script, embedding
):
    model = script(lambda request: Completion("" if embedding else "yes", 0, 0, embedding=(1.0,)))
    asks = [Request.user(f"row {number}", max_tokens=8, embedding=embedding) for number in range(10, 20)]
    bound = admission_of(asks[0], "m", None).tokens
    for run in ("one", "two"):
        with bank(tmp_path / run, run=run, tokens=4 * bound) as opened:
            llm = Accounted(model, opened.ledger, Slots(4), "task")
            ends = await asyncio.gather(*(llm.complete(ask) for ask in asks), return_exceptions=True)
            assert sum(isinstance(end, BudgetExhausted) for end in ends) == 6
            assert opened.account.spent.tokens == 4 * bound
            assert {row["prompt_tokens"] + row["output_tokens"] for row in opened.calls()} == {bound}
            assert opened.ledger.tally.recalled == 4 * (run == "two"), "what another run asked counts alike"
