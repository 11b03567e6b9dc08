"""A cap in USD over models whose price, or whose use, is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evo import ConfigError, evolve, resume
from evo.model import Completion, Request
from evo.ports import Price
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

ROWS = toy_rows(40)


class Silent(FakeLlm):
    """Has a price, and does not say what an answer used."""

    price = Price(1e-6, 1e-6)

    async def complete(self, request: Request) -> Completion:
        return replace(await super().complete(request), cost_usd=None)


class Unpriced(Silent):
    """Has no price either."""

    price = None


@pytest.fixture
def go(tmp_path):
    def go_it(model: type[FakeLlm], **budget: float):
        return evolve(
            {"data": {"dev": ROWS[:20], "test": ROWS[20:]}, "scorer": "choice"},
            prompts=["Judge the review.", "What is the tone?"],
            model=f"{__name__}:{model.__name__}",
            budget=budget,
            executor="inline",
            storage=str(tmp_path / "runs"),
            cache=False,
        )

    return go_it


def test_a_model_without_a_price_is_refused_with_the_mend(go):
    with pytest.raises(ConfigError, match=r"needs the price of .*; set model.price, or leave budget.usd out and cap"):
        go(Unpriced, usd=0.5, calls=100)


def test_what_a_reply_does_not_say_counts_as_the_most_it_can_have_cost_and_the_run_resumes(go):
    run = go(Silent, usd=0.5, calls=100)
    assert 0 < run.spent.usd <= 0.5
    assert all(row["cost_usd"] > 0 for row in run.calls().to_pylist())
    more = resume(run, budget={"usd": 0.5, "calls": 150})
    assert more.spent.calls > 100


def test_a_cap_in_usd_put_on_a_run_of_unknown_cost_is_refused_and_leaves_it_as_it_was(go):
    run = go(Unpriced, calls=100)
    before = run.settings
    with pytest.raises(ConfigError, match=r"what its calls so far cost is unknown; resume it without one .*usd=null"):
        resume(run, budget={"usd": 0.5, "calls": 150})
    assert run.settings == before
    assert resume(run, budget={"calls": 150}).spent.calls > 100
