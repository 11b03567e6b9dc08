from __future__ import annotations

import pytest

from evo.errors import EvoError
from evo.model import Evaluation, Outcome, Prompt
from evo.scorer_trial import ScorerTrial


def failed(rows: int, error: str = "scorer: RuntimeError: boom") -> Evaluation:
    return Evaluation.of(Outcome(row, None, error=error) for row in range(rows))


def ending(trial: ScorerTrial, *found: Evaluation) -> list[EvoError | None]:
    return [trial.settle(Prompt.of(f"prompt {number}"), one) for number, one in enumerate(found)]


def test_a_scorer_that_fails_on_every_row_of_as_many_prompts_as_there_are_seeds_is_given_up() -> None:
    first, second = ending(ScorerTrial(2), failed(8), failed(8))
    assert first is None
    assert "failed on all of the first 16 rows, under 2 prompts, the last time with 'RuntimeError: boom'" in str(second)


@pytest.mark.parametrize(
    "found",
    [
        [failed(4), failed(4)],
        [Evaluation.of([Outcome(0, 0.0)]), failed(20), failed(20)],
        [failed(20, "overloaded"), failed(20, "overloaded")],
        [failed(20, "scorer: LlmError: busy"), failed(20, "scorer: LlmError: busy")],
        [failed(20), Evaluation.of([Outcome(0, None, error="overloaded")])],
    ],
)
def test_few_rows_one_score_and_failures_of_others_give_nobody_up(found: list[Evaluation]) -> None:
    assert ending(ScorerTrial(2), *found) == [None] * len(found)
