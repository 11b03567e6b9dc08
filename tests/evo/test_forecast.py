"""What a run will take, predicted, beside what it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import evo
from evo.cli.forecasting import forecast_lines
from evo.commission import FinalCalls, commission
from evo.config import parse
from evo.engine import checked
from evo.errors import ConfigError, EvoError, LlmError
from evo.forecast import Forecast, unpaid_founding
from evo.model import Budget, Completion, Prompt, Request
from evo.ports import Price
from evo.rates import Rates
from evo.rehearsal import Books
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

ROWS = toy_rows(110)
TASK = {"data": {"train": ROWS[:10], "dev": ROWS[10:50], "test": ROWS[50:]}, "scorer": "choice"}
PROMPTS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide.", "Which is it?"]
STEADY = {"name": "steady-state", "operators": {"paraphrase": 1.0}}
PROMPTBREEDER = {"name": "promptbreeder", "population": 8, "generations": 3, "batch": 20}
NO_BOUND = {"calls": 100_000}


class Priced(FakeLlm):
    """Costs something."""

    price = Price(1e-5, 3e-5)
    asked: ClassVar[int] = 0

    async def complete(self, request: Request) -> Completion:
        type(self).asked += 1
        answer = await super().complete(request)
        return replace(answer, cost_usd=self.price and self.price.cost(answer.prompt_tokens, answer.output_tokens))


class Unpriced(Priced):
    """Costs nobody knows what."""

    price = None


class Dead(Priced):
    """Answers nothing."""

    async def complete(self, request: Request) -> Completion:
        type(self).asked += 1
        raise LlmError("the key is not valid", transient=True)


class Denied(Priced):
    """Refuses the key."""

    async def complete(self, request: Request) -> Completion:
        raise LlmError("the key is wrong", fatal=True)


class Grader(Priced):
    """Judges, and does not say what it took."""

    async def complete(self, request: Request) -> Completion:
        return Completion("It is so.\nGRADE: 3", 0, 0)


class Blank(Priced):
    """Writes nothing that could be judged."""

    can_choose = False

    async def complete(self, request: Request) -> Completion:
        return Completion(" ", 10, 1, 0.0)


class Uncounted(Priced):
    """Does not say what it took."""

    async def complete(self, request: Request) -> Completion:
        return replace(await super().complete(request), prompt_tokens=0, output_tokens=0, cost_usd=None)


class Mute(Priced):
    """Writes, and never an answer."""

    can_choose = False

    async def complete(self, request: Request) -> Completion:
        type(self).asked += 1
        return Completion("hm", 10, 1, 0.0)


@pytest.fixture(autouse=True)
def nobody_asked():
    for kind in (Priced, Unpriced, Dead, Mute):
        kind.asked = 0


def named(model: type[FakeLlm]) -> str:
    return f"{__name__}:{model.__name__}"


def arguments(tmp_path: Path, **more: Any) -> dict[str, Any]:
    more = {"model": "fake/toy", "budget": NO_BOUND, "prompts": PROMPTS, **more}
    return {"executor": "inline", "cache": False, "storage": str(tmp_path / "runs"), **more}


def estimated(tmp_path: Path, **more: Any) -> Forecast:
    return evo.estimate(TASK, **arguments(tmp_path, **more))


@pytest.mark.parametrize(
    "more",
    [
        {"method": {"name": "evoprompt-de", "population": 6, "generations": 4}},
        {"method": PROMPTBREEDER},
        {"method": {"name": "opro", "num_search_steps": 5}},
        {"method": {"name": "protegi", "rounds": 2}, "seed": 2},
        {"method": "ape", "prompts": []},
        {"method": "steady-state", "budget": {"births": 40}},
        {"islands": [{"method": {"name": "opro", "num_search_steps": 3}}, {"method": "ape"}], "topology": "isolated"},
    ],
    ids=str,
)
def test_calls_are_predicted_within_a_tenth_and_tokens_within_a_seventh(tmp_path, more):
    predicted, run = estimated(tmp_path, **more), evo.evolve(TASK, **arguments(tmp_path, **more))
    assert predicted.ended_by == ("births" if "budget" in more else "method")
    assert predicted.calls == pytest.approx(run.spent.calls, rel=0.1)
    assert predicted.tokens == pytest.approx(run.spent.tokens, rel=1 / 7)  # prompts grow, and the best are raced again


@pytest.mark.parametrize("prompts", [PROMPTS, [{"instruction": text, "stage-2": "Now one word."} for text in PROMPTS]])
@pytest.mark.parametrize("scorer", ["choice", {"name": "choice", "by": "text"}], ids=str)
def test_the_first_prompts_and_the_final_test_are_predicted_to_the_call(tmp_path, prompts, scorer):
    more = {"method": STEADY, "prompts": prompts, "budget": {"births": 5}}
    task = {**TASK, "scorer": scorer}
    predicted = evo.estimate(task, **arguments(tmp_path, **more))
    run = evo.evolve(task, **arguments(tmp_path, **more))
    stages = 2 if isinstance(prompts[0], dict) else 1
    assert (predicted.islands[0].founders, predicted.islands[0].births) == (5, 0)
    assert predicted.islands[0].founding_calls == predicted.search_calls == 5 * 40 * stages
    # The best seed is the winner: one side of the test is enough, and two were set aside.
    assert run.spent.calls == predicted.search_calls + predicted.final_calls // 2
    assert predicted.final_calls == 2 * 60 * stages


def test_the_price_of_a_run_is_predicted_and_an_unknown_one_is_unknown(tmp_path):
    more = {"method": STEADY, "budget": {"births": 60}}
    predicted = estimated(tmp_path, model=named(Priced), **more)
    run = evo.evolve(TASK, **arguments(tmp_path, model=named(Priced), **more))
    assert predicted.usd == pytest.approx(run.spent.usd, rel=0.1)
    assert estimated(tmp_path, model=named(Unpriced), **more).usd is None
    mixed = estimated(tmp_path, model=named(Priced), operator_model=named(Unpriced), **more)
    assert mixed.usd is None


@pytest.mark.parametrize(
    ("budget", "ended_by"),
    [({"calls": 900}, "calls"), ({"tokens": 25_000}, "tokens"), ({"usd": 0.3}, "usd"), ({"births": 20}, "births")],
    ids=str,
)
def test_the_cap_that_is_met_first_is_named_and_never_passed(tmp_path, budget, ended_by):
    loose = {"calls": 9_000, "tokens": 900_000, "usd": 9.0, "births": 900}
    predicted = estimated(tmp_path, model=named(Priced), method=STEADY, budget={**loose, **budget})
    assert predicted.ended_by == ended_by
    assert predicted.calls <= budget.get("calls", 9_000)
    assert predicted.tokens <= budget.get("tokens", 900_000)
    assert predicted.usd <= budget.get("usd", 9.0) + 1e-9
    assert predicted.islands[0].births > 0


def test_time_is_a_cap_like_another(tmp_path):
    slow = {"name": "fake/toy", "options": {"latency_ms": 100}}
    predicted = estimated(tmp_path, model=slow, method=STEADY, concurrency=5, budget={"seconds": 20, "calls": 50_000})
    assert predicted.ended_by == "seconds"
    assert predicted.calls == pytest.approx(20 * 5 / 0.1, rel=0.05)
    assert predicted.seconds <= 20


def test_every_model_is_asked_once_for_a_row_and_once_for_an_operator_and_nothing_is_written(tmp_path):
    more = {"method": STEADY, "budget": {"births": 20}, "operator_model": named(Unpriced)}
    estimated(tmp_path, model=named(Priced), **more)
    assert (Priced.asked, Unpriced.asked) == (1, 1)
    assert not (tmp_path / "runs").exists()


def test_a_dead_model_costs_one_call(tmp_path):
    with pytest.raises(EvoError, match=r"did not answer one dev row: the key is not valid; nothing more was sent"):
        estimated(tmp_path, model=named(Dead))
    with pytest.raises(EvoError, match="did not answer one operator's call: the key is not valid; nothing more"):
        estimated(tmp_path, operator_model=named(Dead))
    assert Dead.asked == 2


def judged(tmp_path: Path, judge: type[FakeLlm], **more: Any) -> Forecast:
    task = {**TASK, "scorer": {"name": "judge", "rubric": "Polite.", "max_tokens": 50}}
    more = {"method": STEADY, "budget": {"births": 8}, "judge_model": named(judge), **more}
    return evo.estimate(task, **arguments(tmp_path, **more))


@pytest.mark.parametrize(("judge", "words"), [(Dead, "the key is not valid"), (Denied, "the key is wrong")])
def test_a_judge_that_does_not_answer_stops_the_estimate_and_is_named(tmp_path, judge, words):
    with pytest.raises(
        EvoError, match=rf"^{named(judge)} did not judge one reply: {words}; nothing more .*judge_model"
    ):
        judged(tmp_path, judge)


def test_a_judge_that_is_not_asked_is_not_free(tmp_path):
    with pytest.raises(EvoError, match=f"^{named(Grader)} was not asked to judge, as the reply to a dev row was empty"):
        judged(tmp_path, Grader, model=named(Blank))


def test_a_judge_that_does_not_say_what_it_took_counts_as_the_most(tmp_path):
    found = judged(tmp_path, Grader)
    assert found.usd > 0.5 * found.calls * Priced.price.output_usd * 50 / 2
    assert any(note.startswith(f"{named(Grader)}: its replies do not say what they took") for note in found.notes)


def test_replies_that_do_not_say_what_they_took_are_predicted_as_they_count(tmp_path):
    more = {"model": named(Uncounted), "method": STEADY, "budget": {"births": 40}}
    found, run = estimated(tmp_path, **more), evo.evolve(TASK, **arguments(tmp_path, **more))
    assert found.tokens == pytest.approx(run.spent.tokens, rel=0.2)
    assert found.usd > 0
    assert sum("do not say what they took" in note for note in found.notes) == 1


def test_an_embedding_model_is_asked_once_and_its_calls_are_counted(tmp_path):
    method = {**PROMPTBREEDER, "operators": {"eda": 1.0}}
    plain = estimated(tmp_path, method=method)
    found = estimated(tmp_path, method={**method, "embeddings": True}, embedding_model=named(Priced))
    assert Priced.asked == 1
    assert found.calls > plain.calls
    assert found.usd > 0 == plain.usd
    assert found.islands[0].operator_calls_per_birth > plain.islands[0].operator_calls_per_birth


def test_offline_asks_no_model_and_says_so(tmp_path):
    predicted = estimated(tmp_path, model=named(Dead), method=STEADY, budget={"births": 20}, offline=True)
    run = evo.evolve(TASK, **arguments(tmp_path, method=STEADY, budget={"births": 20}))
    assert Dead.asked == 0
    assert (predicted.offline, predicted.usd, predicted.seconds) == (True, None, None)
    assert predicted.calls == pytest.approx(run.spent.calls, rel=0.1)
    assert predicted.tokens == pytest.approx(run.spent.tokens, rel=0.5)


@pytest.mark.parametrize("cap", [{"seconds": 30}, {"usd": 1.0}], ids=str)
def test_offline_a_cap_that_cannot_be_rehearsed_is_named_and_the_others_are_kept(tmp_path, cap, monkeypatch):
    (name,) = cap
    found = estimated(tmp_path, model=named(Priced), method=STEADY, budget={**cap, "calls": 900}, offline=True)
    assert (found.ended_by, found.calls <= 900) == ("calls", True)
    assert any(f"budget.{name}: not rehearsed offline" in note for note in found.notes)
    monkeypatch.setattr("evo.rehearsal.PATIENCE_S", 0.5)
    found = estimated(tmp_path, model=named(Priced), method=STEADY, budget=cap, offline=True)
    assert found.ended_by == "unknown"
    said = list(forecast_lines(found))
    assert not any("the least there will be" in line for line in said)
    assert any("the run may end sooner or later" in line for line in said)
    asked = estimated(tmp_path, model=named(Priced), method=STEADY, budget={**cap, "calls": 900})
    assert not any("not rehearsed" in note for note in asked.notes)


def test_what_is_wrong_with_a_reply_is_noted(tmp_path):
    mute = estimated(tmp_path, model=named(Mute), method=STEADY, budget={"births": 6})
    assert any("no answer could be read in its reply to a dev row: 'hm'" in note for note in mute.notes)
    assert any("its reply to an operator's call could not be used" in note for note in mute.notes)


def test_it_takes_what_evolve_takes(tmp_path):
    more = arguments(tmp_path, method=STEADY, budget=Budget(births=8))
    assert evo.estimate(TASK, address=None, watch=print, **more) == evo.estimate(TASK, **more)
    with pytest.raises(ConfigError, match="unknown key 'metod'"):
        estimated(tmp_path, metod="x")


def order_of(**more: Any) -> Any:
    settings, task = checked(parse({"task": TASK, "prompts": PROMPTS, "model": "fake/toy", **more}), base=Path.cwd())
    return commission(Path.cwd(), settings, Path.cwd(), task)


def test_a_budget_that_does_not_pay_the_first_prompts_is_said_with_the_numbers_and_the_mend(tmp_path):
    method = {"name": "promptbreeder", "population": 50, "batch": 40}
    said = unpaid_founding(order_of(method=method, budget={"calls": 1000}))
    # 5 seeds on 40 rows, 45 units that are each written by 2 calls and asked 2 calls a row, less what is known already
    needed = int(said.partition("take about ")[2].partition(" calls")[0].replace(",", ""))
    assert 3500 < needed <= 5 * 40 + 45 * (2 + 2 * 40)
    assert "(island 0, promptbreeder: " in said
    enough = int(said.partition("raise budget.calls to ")[2].partition(" or ")[0].replace(",", "").rstrip(","))
    assert unpaid_founding(order_of(method=method, budget={"calls": enough})) == ""
    assert estimated(tmp_path, method=method, budget={"calls": enough}).islands[0].births > 0
    assert said in estimated(tmp_path, method=method, budget={"calls": 1000}).notes


@pytest.mark.parametrize("budget", [{"calls": 2000}, {"tokens": 100}, {"births": 3}], ids=str)
@pytest.mark.parametrize("method", ["steady-state", "evoprompt-ga", "ape"])
def test_where_the_first_prompts_are_paid_or_no_cap_on_calls_is_set_nothing_is_said(method, budget):
    assert unpaid_founding(order_of(method=method, budget=budget)) == ""


def test_what_is_set_aside_is_at_most_a_quarter_and_no_cap_is_passed():
    books = Books(Budget(calls=100), FinalCalls(500, 500))
    price = Price(1.0, 1.0)
    assert [books.pay(30, 60.0, 30.0, price, task=True) for _ in range(4)] == [30, 30, 15, 0]
    assert (books.calls, books.tokens, books.ended_by) == (75, 75 * 3.0, "calls")


def test_later_stages_are_shown_what_was_said_before():
    rates = Rates(prompt=1.0, frame=100, reply=7, answer=3, written=0, price=None, latency_s=None)
    one, two = Prompt.of("x" * 10), Prompt.of({"instruction": "x" * 10, "stage-2": "y" * 5})
    assert rates.row_tokens(one) == (110, 3)
    assert rates.row_tokens(two) == (110 + 110 + 7 + 5, 6)
