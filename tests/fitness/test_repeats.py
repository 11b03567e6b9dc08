"""Rows that are asked several times: what their score is, what they cost, and how much they vary."""

from __future__ import annotations

from pathlib import Path

import pytest

import evo
from evo.cli.report import report_lines
from evo.errors import LlmError
from evo.model import Completion, Outcome, Prompt, Request
from evo.settings import ModelSettings, TaskSettings
from fitness.evaluator import RowEvaluator
from fitness.fake import FakeLlm
from fitness.repeats import merged
from fitness.tasks import RowTask, load_task
from fitness.toy import toy_rows

PROMPT = "Sort the text."


def task(repeats: int, scorer: object = "exact", models: tuple[str | dict[str, object], ...] = ()) -> RowTask:
    settings = TaskSettings.model_validate({"data": {"dev": toy_rows(12)}, "scorer": scorer, "repeats": repeats})
    return load_task(settings, [PROMPT], seed=0, models=[ModelSettings.model_validate(model) for model in models])


class Wavering(FakeLlm):
    """Says yes, no, yes, no, and fails where it is told to."""

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.broken = broken
        self.keys: set[str] = set()

    async def complete(self, request: Request) -> Completion:
        self.keys.add(request.key("model"))
        if request.replicate in self.broken:
            raise LlmError("overloaded", transient=True)
        word = "positive" if request.replicate % 2 else "negative"
        return Completion(word, 10, 2, 0.25, 1.0 + request.replicate)


async def test_a_rows_score_is_the_mean_of_calls_of_their_own() -> None:
    model = Wavering()
    found = await RowEvaluator(task(4), model).evaluate(Prompt.of(PROMPT), range(12))
    assert len(model.keys) == 48
    assert {outcome.score for outcome in found.outcomes} == {0.5}
    first = found.outcomes[0]
    assert (first.tokens, first.cost_usd, first.latency_s) == (48, 1.0, 2.5)
    assert first.spread == pytest.approx(0.577, abs=1e-3)
    assert first.reason.startswith("repeats scored ")


async def test_repeats_whose_call_failed_are_left_out_and_a_row_is_missing_where_all_failed() -> None:
    found = await RowEvaluator(task(2), Wavering(broken=(1,))).evaluate(Prompt.of(PROMPT), range(12))
    assert {outcome.score for outcome in found.outcomes} == {0.0, 1.0}
    assert {outcome.spread for outcome in found.outcomes} == {None}
    found = await RowEvaluator(task(2), Wavering(broken=(0, 1))).evaluate(Prompt.of(PROMPT), range(12))
    assert {outcome.score for outcome in found.outcomes} == {None}
    assert found.outcomes[0].error == "overloaded"


def test_one_repeat_is_itself() -> None:
    one = Outcome(3, 0.5, reason="half")
    assert merged([one]) is one


async def test_likelihoods_do_not_vary_and_are_asked_for_once() -> None:
    found = await RowEvaluator(task(5, "choice"), FakeLlm()).evaluate(Prompt.of(PROMPT), [0])
    assert found.outcomes[0].spread is None


def test_repeats_are_foreseen_and_make_another_task() -> None:
    assert task(3).calls(Prompt.of(PROMPT), [0, 1]) == (3, 3)
    assert task(1).fingerprint != task(3).fingerprint


WRITES: dict[str, object] = {"name": "fake/toy", "options": {"choose": False}}


@pytest.mark.parametrize(
    ("scorer", "models", "calls", "told"),
    [
        ("choice", ("fake/toy",), 1, True),
        ("choice", ("fake/toy", WRITES), 5, True),
        ("choice", (WRITES, "openai/gpt-5-mini"), 5, False),
        ({"name": "choice", "by": "text"}, ("fake/toy",), 5, False),
        ("exact", ("fake/toy",), 5, False),
    ],
)
def test_rows_that_all_models_score_by_likelihood_are_foreseen_once_and_a_note_says_so(
    scorer: object, models: tuple[str | dict[str, object], ...], calls: int, told: bool
) -> None:
    found = task(5, scorer, models)
    assert found.calls(Prompt.of(PROMPT), [0, 1]) == (calls, calls)
    assert told == any(note.startswith("task.repeats does nothing with fake/toy: ") for note in found.notes)
    assert not [note for note in task(1, scorer, models).notes if "repeats" in note]


def test_repeats_that_do_nothing_do_not_cut_the_final_test_short(tmp_path: Path) -> None:
    rows = toy_rows(120)
    run = evo.evolve(
        {"data": {"dev": rows[:40], "test": rows[40:]}, "scorer": "choice", "repeats": 5},
        prompts=[PROMPT, "What is the mood? Give exactly the label."],
        model="fake/toy",
        budget={"calls": 900},
        seed=1,
        executor="inline",
        storage=str(tmp_path),
    )
    result = run.result
    assert result is not None
    assert (result["status"], result["winner"]["test"]["n"]) == ("done", 80)


def test_a_run_says_how_much_repeats_differ(tmp_path: Path) -> None:
    rows = toy_rows(60)
    run = evo.evolve(
        {"data": {"dev": rows[:30], "test": rows[30:]}, "scorer": "exact", "repeats": 3},
        prompts=[PROMPT, "What is the mood? Give exactly the label."],
        model="fake/toy",
        budget={"births": 6},
        executor="inline",
        storage=str(tmp_path),
    )
    result = run.result
    assert result is not None
    assert 0.05 < result["noise"] < 0.6
    assert any(line.startswith("  noise") for line in report_lines(run))
    assert run.calls().num_rows >= 3 * run.top(1)[0].evaluation.count
    scored = [o for o in run.top(1)[0].evaluation.outcomes if o.spread]
    assert scored
    assert run.best.test is not None
    plan = evo.estimate(
        {"data": {"dev": rows[:30], "test": rows[30:]}, "scorer": "exact", "repeats": 3},
        prompts=[PROMPT, "What is the mood? Give exactly the label."],
        model="fake/toy",
        budget={"births": 6},
        executor="inline",
    )
    assert plan.calls == pytest.approx(run.spent.calls, rel=0.25)
    assert plan.tokens == pytest.approx(run.spent.tokens, rel=0.4)
