from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from breeding import brief

import evo
from evo.errors import ConfigError
from fitness.toy import hidden_accuracy, toy_rows
from operators.bandits import Name
from operators.select import Select

ROWS = toy_rows(200)
PROMPTS = [
    *("Sort it.", "What is the mood?", "Judge.", "Which is it?", "Read it and decide.", "Say what you think of it."),
    *("Sort the review by its tone.", "Positive or negative? Answer in one word.", "Look at the text."),
    *("Name the mood of the review.", "Tell me.", "Decide whether the writer is pleased."),
]


def chosen(storage: Any, prompts: list[str] = PROMPTS, **more: Any) -> evo.Run:
    settings: dict[str, Any] = {"budget": {"calls": 5000}, "method": "select", **more}
    return evo.evolve(
        {"data": {"dev": ROWS[:120], "test": ROWS[120:]}, "scorer": "choice"},
        prompts=prompts,
        model="fake/toy",
        executor="inline",
        storage=str(storage),
        **settings,
    )


@pytest.mark.parametrize("rule", get_args(Name))
def test_every_rule_finds_a_good_one_with_fewer_calls_than_all_rows_take(tmp_path: Any, rule: str) -> None:
    run = chosen(tmp_path, method={"name": "select", "rule": rule, "rows": 30})
    assert run.status == "done"
    assert run.individuals().num_rows == len(PROMPTS)
    dev = [row for row in run.evaluations().to_pylist() if row["split"] == "dev"]
    searched = [row for row in dev if row["step"] >= 0]
    assert len(searched) <= 30 * len(PROMPTS)
    assert len({(row["individual"], row["example"]) for row in dev}) == len(dev), "no row twice"
    truth = sorted((hidden_accuracy(text) for text in PROMPTS), reverse=True)
    assert hidden_accuracy(run.best.prompt.text) >= truth[2]
    assert run.result is not None
    assert run.result["winner"]["dev"]["n"] > 60, "the final race has given it more rows"


def test_rejects_give_the_better_half_more_rows(tmp_path: Any) -> None:
    run = chosen(tmp_path, final_race=1)
    rows = {row["id"]: row["n_scored"] for row in run.individuals().to_pylist()}
    assert max(rows.values()) >= 2 * min(rows.values())


def test_few_prompts_are_all_scored_alike(tmp_path: Any) -> None:
    run = chosen(tmp_path, PROMPTS[:3], final_race=1)
    assert {row["n_scored"] for row in run.individuals().to_pylist()} == {40}


def test_an_interrupted_choice_goes_on(tmp_path: Any) -> None:
    whole = chosen(tmp_path / "a")
    cut = evo.resume(chosen(tmp_path / "b", budget={"calls": 200}), budget={"calls": 5000})
    assert cut.best.prompt == whole.best.prompt
    assert cut.individuals().num_rows == len(PROMPTS)


@pytest.mark.parametrize("arguments", [{"rule": "luck"}, {"rows": 0}, {"finalists": 0}, {"rule": "ucb", "c": -1}])
def test_wrong_arguments_are_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{list(arguments)[-1]}"):
        Select(**arguments)


def test_it_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    method = Select()
    method.ask(method.start(brief()), 0, rng)
    assert rng.bit_generator.state == before
