import asyncio
import gc
import time
from dataclasses import dataclass, field, replace

import pytest

from evo.errors import BudgetExhausted, ConfigError, Interrupted, LlmError
from evo.model import Completion, Prompt, Request, Score
from evo.settings import TaskSettings
from fitness.evaluator import RowEvaluator
from fitness.scorers import Choice, Exact
from fitness.tasks import load_task
from fitness.toy import toy_rows, truth

PROMPT = Prompt.of("Sort it.")


@dataclass
class Model:
    """Answers every toy review rightly, unless told otherwise; remembers what it was asked."""

    can_choose: bool = False
    can_embed: bool = False
    wrong: object = None
    asked: list[Request] = field(default_factory=list)
    cancelled: int = 0
    identity: str = "model"
    price: object = None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        if self.wrong:
            try:
                answer = await self.wrong(request)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            if answer is not None:
                return answer
        label = truth(request.text)
        if request.choices:
            logprobs = tuple(-1.0 if choice == label else -3.0 for choice in request.choices)
            return Completion("", 7, 2, 0.25, 0.5, logprobs, (1,) * len(logprobs))
        return Completion(label, 7, 1, 0.25, 0.5)

    async def aclose(self) -> None: ...


@pytest.fixture(scope="module")
def task():
    return load_task(TaskSettings.model_validate({"data": toy_rows(100), "scorer": "fitness.scorers:Choice"}), (), 0)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    yield
    gc.collect()  # a coroutine nobody awaited warns when it is collected, and warnings are errors


def failing_on(number, error):
    """Fail one review's call, let the others take a moment."""

    async def wrong(request):
        if request.text.endswith(number):
            raise error
        await asyncio.sleep(0.01)

    return wrong


async def test_every_example_has_its_outcome_sorted_by_number(task):
    examples = task.examples("dev")
    model = Model()
    evaluation = await RowEvaluator(task, model, max_tokens=5).evaluate(PROMPT, examples)
    assert [outcome.example for outcome in evaluation.outcomes] == sorted(examples)
    assert evaluation.mean == 1.0
    assert {request.max_tokens for request in model.asked} == {5}
    first = evaluation.outcomes[0]
    request = task.request(PROMPT, first.example, temperature=0.0, max_tokens=5, choose=False)
    assert (first.call, first.tokens, first.cost_usd, first.latency_s) == (request.key("model"), 8, 0.25, 0.5)


async def test_a_model_that_tells_likelihoods_is_asked_for_them(task):
    model = Model(can_choose=True)
    evaluation = await RowEvaluator(task, model).evaluate(PROMPT, task.examples("dev"))
    assert evaluation.mean == 1.0
    assert {request.choices for request in model.asked} == {("negative", "positive")}


@pytest.mark.parametrize("scorer", [Choice(by="text"), Exact()])
async def test_a_scorer_that_wants_text_gets_text(task, scorer):
    model = Model(can_choose=True)
    evaluation = await RowEvaluator(replace(task, scorer=scorer), model).evaluate(PROMPT, task.examples("dev"))
    assert evaluation.mean == 1.0
    assert {request.choices for request in model.asked} == {()}


def test_insisting_on_likelihoods_needs_a_model_that_gives_them(task):
    insisting = replace(task, scorer=Choice(by="likelihood"))
    with pytest.raises(ConfigError, match="by: auto"):
        RowEvaluator(insisting, Model())
    RowEvaluator(insisting, Model(can_choose=True))


async def test_a_failed_call_is_an_outcome_without_score_and_stops_no_other(task):
    examples = task.examples("dev")
    ill = task.example(examples[0]).inputs["input"]
    model = Model(wrong=failing_on(ill, LlmError("server error", transient=True)))
    evaluation = await RowEvaluator(task, model).evaluate(PROMPT, examples)
    (missing,) = evaluation.missing
    assert (missing.example, missing.score, missing.error) == (examples[0], None, "server error")
    assert missing.call == next(request.key("model") for request in model.asked if request.text.endswith(ill))
    assert (evaluation.count, evaluation.mean) == (len(examples) - 1, 1.0)


ENDS = [(LlmError("bad key", fatal=True), True), (BudgetExhausted("none left"), False), (Interrupted("stop"), False)]


@pytest.mark.parametrize(("error", "cancels"), ENDS)
async def test_what_ends_the_run_is_passed_on_and_cancels_only_what_is_hopeless(task, error, cancels):
    examples = task.examples("dev")
    model = Model(wrong=failing_on(task.example(examples[3]).inputs["input"], error))
    with pytest.raises(type(error), match=str(error)):
        await RowEvaluator(task, model).evaluate(PROMPT, examples)
    assert model.cancelled == (len(examples) - 1) * cancels
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_many_fatal_errors_at_once_leave_none_unretrieved(task):
    async def wrong(request):
        await asyncio.sleep(0)
        raise BudgetExhausted("none left")

    seen = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["message"]))
    with pytest.raises(BudgetExhausted):
        await RowEvaluator(task, Model(wrong=wrong)).evaluate(PROMPT, task.examples("dev"))
    gc.collect()
    await asyncio.sleep(0)
    assert seen == []


async def test_cancelling_an_evaluation_cancels_its_calls(task):
    async def wrong(request):
        await asyncio.sleep(60)

    model = Model(wrong=wrong)
    work = asyncio.create_task(RowEvaluator(task, model).evaluate(PROMPT, task.examples("dev")))
    await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert model.cancelled == len(task.examples("dev"))
    assert asyncio.all_tasks() == {asyncio.current_task()}


@dataclass(frozen=True)
class Crashing:
    error: Exception
    wants_choices: bool = False

    async def __call__(self, completion, example):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("oops"), "scorer: ZeroDivisionError: oops"),
        (ValueError("no choices"), "scorer: ValueError: no choices"),
        (LlmError("judge is busy", transient=True), "scorer: LlmError: judge is busy"),
    ],
)
async def test_a_crash_in_a_scorer_is_that_rows_error_but_its_cost_counts(task, error, message):
    evaluation = await RowEvaluator(replace(task, scorer=Crashing(error)), Model()).evaluate(
        PROMPT, task.examples("dev")
    )
    assert {outcome.error for outcome in evaluation.missing} == {message}
    assert evaluation.count == 0
    assert evaluation.tokens == 8 * len(task.examples("dev"))


@pytest.mark.parametrize("error", [BudgetExhausted("none"), Interrupted("stop"), LlmError("key", fatal=True)])
async def test_a_judge_that_ends_the_run_is_passed_on(task, error):
    with pytest.raises(type(error)):
        await RowEvaluator(replace(task, scorer=Crashing(error)), Model()).evaluate(PROMPT, task.examples("dev"))


async def test_a_score_out_of_range_is_an_error_not_a_score(task):
    @dataclass(frozen=True)
    class Generous:
        wants_choices: bool = False

        async def __call__(self, completion, example):
            return Score(7)

    evaluation = await RowEvaluator(replace(task, scorer=Generous()), Model()).evaluate(PROMPT, (0,))
    assert evaluation.outcomes[0].score is None
    assert evaluation.outcomes[0].error.startswith("scorer: ValueError: a score lies in [0, 1]")


@pytest.mark.parametrize("verdict", [lambda: Score(1.0, answer=7), lambda: None, lambda: (1.0, "right")])
async def test_a_verdict_of_another_type_is_this_rows_error(task, verdict):
    @dataclass(frozen=True)
    class Loose:
        wants_choices: bool = False

        async def __call__(self, completion, example):
            return verdict()

    evaluation = await RowEvaluator(replace(task, scorer=Loose()), Model()).evaluate(PROMPT, (0,))
    assert evaluation.outcomes[0].score is None
    assert evaluation.outcomes[0].error.startswith("scorer: TypeError: ")


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_scorer_says_can_always_be_logged(task, fails):
    @dataclass(frozen=True)
    class Odd:
        wants_choices: bool = False

        async def __call__(self, completion, example):
            if fails:
                raise ValueError("half \ud800")
            return Score(0.0, "half \ud800", "half \ud800")

    (outcome,) = (await RowEvaluator(replace(task, scorer=Odd()), Model()).evaluate(PROMPT, (0,))).outcomes
    assert "half" in (outcome.error if fails else outcome.answer and outcome.reason)
    for text in (outcome.error, outcome.answer, outcome.reason):
        text.encode()


async def test_an_unparsed_reply_is_scored_zero_and_marked(task):
    async def wrong(request):
        return Completion("hard to say", 1, 1)

    evaluation = await RowEvaluator(task, Model(wrong=wrong)).evaluate(PROMPT, task.examples("dev"))
    assert (evaluation.mean, evaluation.unparsed) == (0.0, len(task.examples("dev")))


# --- prior normalisation ---------------------------------------------------------------------------------------------


def liking(bias: float):
    """A model that is right by a hair and likes ``negative`` by ``bias``."""

    async def wrong(request):
        label = truth(request.text)
        logprobs = tuple((choice == label) * 1.0 + (choice == "negative") * bias - 5 for choice in request.choices)
        return Completion("", 1, 1, 0.0, 0.0, logprobs, (1, 1))

    return wrong


@pytest.mark.parametrize(("normalise", "mean"), [("none", 0.5), ("prior", 1.0)])
async def test_the_prior_takes_out_a_models_liking_for_a_label(task, normalise, mean):
    model = Model(can_choose=True, wrong=liking(3.0))
    scorer = Choice(normalise=normalise)
    evaluation = await RowEvaluator(replace(task, scorer=scorer), model).evaluate(PROMPT, task.examples("dev"))
    assert evaluation.mean == pytest.approx(mean, abs=0.05)
    blanks = [request for request in model.asked if request.text.endswith("N/A")]
    assert len(blanks) == (normalise == "prior")


async def test_without_its_prior_a_row_has_no_score_and_costs_no_call(task):
    async def wrong(request):
        if request.text.endswith("N/A"):
            raise LlmError("busy", transient=True)

    model = Model(can_choose=True, wrong=wrong)
    prior = replace(task, scorer=Choice(normalise="prior"))
    evaluation = await RowEvaluator(prior, model).evaluate(PROMPT, task.examples("dev"))
    assert {outcome.error for outcome in evaluation.missing} == {"prior: busy"}
    assert len(model.asked) == 1


async def test_a_fatal_prior_is_passed_on(task):
    async def wrong(request):
        raise LlmError("key", fatal=True)

    with pytest.raises(LlmError):
        await RowEvaluator(
            replace(task, scorer=Choice(normalise="prior")), Model(can_choose=True, wrong=wrong)
        ).evaluate(PROMPT, task.examples("dev"))


async def test_a_text_model_needs_no_prior(task):
    model = Model()
    evaluation = await RowEvaluator(replace(task, scorer=Choice(normalise="prior")), model).evaluate(PROMPT, (0, 1))
    assert evaluation.mean == 1.0
    assert len(model.asked) == 2


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_all_rows_are_under_way_at_once(task):
    async def wrong(request):
        await asyncio.sleep(0.05)

    started = time.perf_counter()
    await RowEvaluator(task, Model(wrong=wrong)).evaluate(PROMPT, task.examples("dev"))
    assert time.perf_counter() - started < 1.0  # one after the other: 2.5 s


async def test_nothing_asked_gives_nothing(task):
    assert (await RowEvaluator(task, Model()).evaluate(PROMPT, ())).outcomes == ()


async def test_an_unknown_example_is_refused_before_any_call(task):
    model = Model()
    with pytest.raises(ValueError, match="from 0 to 99"):
        await RowEvaluator(task, model).evaluate(PROMPT, (0, 100))
    assert model.asked == []


async def test_a_row_costs_little_time():
    rows = load_task(
        TaskSettings.model_validate(
            {"data": toy_rows(10_000), "scorer": "fitness.scorers:Choice", "split": {"train": 0, "dev": 1, "test": 0}}
        ),
        (),
        0,
    )
    evaluator = RowEvaluator(rows, Model(can_choose=True))
    started = time.process_time()
    evaluation = await evaluator.evaluate(PROMPT, rows.examples("dev"))
    per_row_ms = (time.process_time() - started) / 10_000 * 1000
    assert evaluation.count == 10_000
    assert per_row_ms < 0.25
