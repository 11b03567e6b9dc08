"""Prompts of several parts on a task of rows: stages, locked parts, replies kept for operators."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from evo.errors import ConfigError, LlmError, OperatorError
from evo.model import Completion, Prompt, Request
from evo.settings import TaskSettings
from fitness.evaluator import REPLY_CHARS, RowEvaluator
from fitness.tasks import RowTask, load_task
from fitness.toy import toy_rows, truth

TWO_STAGES = Prompt.of({"instruction": "Think about the review.", "stage-2": "Now one word."})


def loaded(prompts=(), evolve=("instruction",), **settings) -> RowTask:
    content = {"data": toy_rows(40), "scorer": "fitness.scorers:Choice", **settings}
    return load_task(TaskSettings.model_validate(content), prompts, 0, evolve=evolve)


@dataclass
class Thinker:
    """Thinks at the first stage, answers at the second; may fail at one of them."""

    thought: str = "Hm, hm."
    fails_at: int = 0
    can_choose: bool = False
    can_embed: bool = False
    asked: list[Request] = field(default_factory=list)
    identity: str = "thinker"
    price: None = None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        stage = sum(role == "user" for role, _ in request.messages)
        if stage == self.fails_at:
            raise LlmError("gone", transient=False)
        if request.choices:
            label = truth(request.messages[0][1])
            return Completion("", 3, 1, 0.5, 0.25, tuple(-float(choice != label) for choice in request.choices))
        return Completion(self.thought if stage == 1 else truth(request.messages[0][1]), 3, 1, 0.5, 0.25)

    async def aclose(self) -> None: ...


async def test_each_stage_is_a_call_that_sees_the_replies_before_it():
    task, model = loaded(), Thinker()
    (row,) = (await RowEvaluator(task, model).evaluate(TWO_STAGES, [0])).outcomes
    first, second = model.asked
    assert second.messages == (*first.messages, ("assistant", "Hm, hm."), ("user", "Now one word."))
    assert (row.score, row.tokens, row.cost_usd, row.latency_s) == (1.0, 8, 1.0, 0.5)
    assert row.call == second.key("thinker")
    assert row.reply == f"Hm, hm.\n{row.answer}"


async def test_only_the_last_stage_asks_for_likelihoods():
    task, model = loaded(), Thinker(can_choose=True)
    (row,) = (await RowEvaluator(task, model).evaluate(TWO_STAGES, [0])).outcomes
    assert [bool(request.choices) for request in model.asked] == [False, True]
    assert row.score == 1.0


@pytest.mark.parametrize("stage", [1, 2])
async def test_a_stage_that_fails_leaves_the_row_without_a_score(stage):
    task, model = loaded(), Thinker(fails_at=stage)
    (row,) = (await RowEvaluator(task, model).evaluate(TWO_STAGES, [0])).outcomes
    assert (row.score, row.error, len(model.asked)) == (None, "gone", stage)


async def test_a_reply_that_is_only_the_answer_is_not_kept_twice_and_a_long_one_is_cut():
    (short,) = (await RowEvaluator(loaded(), Thinker(thought="positive")).evaluate(Prompt.of("P"), [0])).outcomes
    assert (short.answer, short.reply) == ("positive", "")
    (long,) = (await RowEvaluator(loaded(), Thinker(thought="so " * 9000)).evaluate(TWO_STAGES, [0])).outcomes
    assert REPLY_CHARS < len(long.reply) < REPLY_CHARS + 20
    assert long.reply.endswith(long.answer)


def test_the_blank_request_goes_through_the_stages_too():
    blank = loaded().blank_request(TWO_STAGES, ("a", "b"))
    assert [role for role, _ in blank.messages] == ["user", "assistant", "user"]
    assert blank.messages[1:] == (("assistant", "N/A"), ("user", "Now one word."))


SEEDS = (
    {"system": "You sort reviews.", "instruction": "Sort.", "format": "One word."},
    {"system": "You are strict.", "instruction": "Judge.", "format": "One word."},
)
WITH_FORMAT = {"layout": "{prompt}\n{input}\n{format}"}


def test_what_does_not_evolve_is_locked():
    task = loaded(SEEDS, **WITH_FORMAT)
    seed = task.brief.seeds[0]
    task.check(seed.with_text("Weigh it."))
    task.check(seed.with_part("system", "You are strict."))  # as another seed prompt has it
    for changed in (seed.with_part("format", "Two words."), seed.without("format"), seed.with_part("system", "x")):
        with pytest.raises(OperatorError, match="it is locked"):
            task.check(changed)


def test_what_evolves_is_free():
    task = loaded(SEEDS, ("instruction", "system"), **WITH_FORMAT)
    task.check(task.brief.seeds[0].with_part("system", "Anything."))
    assert task.brief.evolve == ("instruction", "system")


@pytest.mark.parametrize(
    ("prompts", "evolve", "words"),
    [
        (SEEDS, ("instruction",), "nothing would show its part 'format'"),
        (("Sort.",), ("system",), r"expected the parts .*, got no 'system'"),
        (({"instruction": "a", "stage-3": "b"},), ("instruction",), "expected stages in a row from stage-2"),
        (
            ({"instruction": "a", "examples": "not json"},),
            ("instruction",),
            "expected part `examples` as a JSON list of",
        ),
    ],
)
def test_seed_prompts_whose_parts_do_not_fit_are_refused(prompts, evolve, words):
    with pytest.raises(ConfigError, match=words):
        loaded(prompts, evolve)
