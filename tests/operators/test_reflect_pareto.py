from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from breeding import DEV, individual
from reflecting import ALL_DEV, ALL_TRAIN, ONE, level, world

from evo.model import Prompt
from evo.ports import Evidence, Proposal
from operators.pareto import ReflectPareto
from operators.reflection import Reflect

# --- the steps of the paper ------------------------------------------------------------------------------------------


def test_a_parent_is_scored_then_reflected_on_then_its_child_is_scored_on_the_same_rows() -> None:
    made = world(replies=["child 6"])
    assert made.members == ["seed 5"]
    evidence, birth, comparison, following = made.steps(4)
    assert isinstance(evidence, Evidence)
    assert evidence.individual.number == 0
    assert len(evidence.examples) == 3
    assert set(evidence.examples) <= set(ALL_TRAIN)
    assert isinstance(birth, Proposal)
    assert isinstance(birth.operator, Reflect)
    assert {row.number for row in birth.operator.rows} == set(birth.examples or ()) == set(evidence.examples)
    assert birth.roles == ("base",)
    assert birth.part == "instruction"
    (request,) = made.llm.requests
    for row in evidence.examples:
        assert f"train text {row}\nReply: answer {row}" in request.text
    assert (comparison.individual.prompt.text, comparison.examples) == ("child 6", ALL_DEV)
    assert made.members == ["child 6", "seed 5"]
    assert isinstance(following, Evidence)
    assert not set(following.examples) & set(evidence.examples)


@pytest.mark.parametrize("child", ["child 5", "child 4"])
def test_a_child_that_does_not_beat_its_parent_on_the_minibatch_is_never_scored_on_dev(child: str) -> None:
    made = world(replies=[child])
    made.steps(2)
    assert made.members == ["seed 5"]
    assert made.state.trials == ()
    assert made.state.waiting == ()
    assert made.step().individual.prompt.text == "seed 5"


def test_a_child_as_good_as_its_parent_may_be_let_in() -> None:
    made = world(replace(ONE, acceptance_criterion="improvement_or_equal"), replies=["child 5", "child 4"])
    made.steps(3)
    assert made.members == ["seed 5", "child 5"]
    made.steps(2)
    assert made.members == ["seed 5", "child 5"]


def test_only_the_sum_on_the_shared_minibatch_decides() -> None:
    bad: set[int] = set()

    def scores(prompt: Prompt, row: int) -> float:
        return 0.1 if prompt.text == "child 9" and row in bad else level(prompt, row)

    made = world(replies=["child 9"], scores=scores)
    step = made.ask()
    assert isinstance(step, Evidence)
    bad |= {step.examples[0], *ALL_DEV}  # worse on one row of three and on all of dev
    made.end(1)
    made.steps(2)
    assert made.members == ["seed 5", "child 9"]


def test_calls_are_those_of_the_formula_where_nothing_is_known_yet() -> None:
    made = world(replace(ONE, reflection_minibatch_size=4), replies=["worse 1", "child 6"])
    assert made.rows == len(DEV)
    made.steps(2)
    assert (made.rows, len(made.llm.requests)) == (len(DEV) + 4 + 4, 1)
    made.steps(2)
    assert (made.rows, len(made.llm.requests)) == (len(DEV) + 2 * (4 + 4), 2)
    made.steps(1)
    assert (made.rows, len(made.llm.requests)) == (2 * len(DEV) + 2 * (4 + 4), 2)


def test_no_score_is_asked_for_twice() -> None:
    made = world(replies=["child 6", "child 1", "child 2", "child 7"], seeds=("seed 5", "seed 4"))
    asked: Counter[tuple[str, int]] = Counter()
    accepted = reflections = 0
    while reflections < 20:
        step = made.step()
        if isinstance(step, Evidence):
            asked.update((step.individual.prompt.text, row) for row in step.examples)
            accepted += step.examples == ALL_DEV
        else:
            reflections += 1
    assert max(asked.values()) == 1
    assert accepted == 2
    assert len(made.llm.requests) == reflections
    assert made.rows == 2 * len(DEV) + 3 * reflections + asked.total()
    assert asked.total() <= accepted * len(DEV) + 3 * reflections


# --- minibatches -----------------------------------------------------------------------------------------------------


def test_a_parent_without_a_mistake_on_the_minibatch_is_left_in_peace() -> None:
    weak = set(ALL_TRAIN[-2:])
    made = world(seeds=("seed 1",), scores=lambda prompt, row: 0.0 if row in weak else 1.0)
    births = [step for step in made.steps(12) if isinstance(step, Proposal)]
    assert births
    assert all(weak & set(birth.examples or ()) for birth in births)
    eager = world(replace(ONE, skip_perfect_score=False), scores=lambda prompt, row: 1.0)
    assert isinstance(eager.steps(2)[1], Proposal)


def test_the_search_rests_when_nobody_has_anything_left_to_learn() -> None:
    made = world(seeds=("seed 1", "seed 2"), scores=lambda prompt, row: 1.0 if row in ALL_TRAIN else 0.5)
    steps = 0
    while made.ask() is not None:
        made.end(made.number - 1)
        steps += 1
    assert steps <= 6  # both seeds are tied, so one is dominated: an epoch and its rest
    assert made.llm.requests == []
    assert not ONE.finished(made.state)
    made.state = ONE.tell(made.state, individual(90, "immigrant 9"))
    assert made.step().individual.number == 90


def test_without_train_rows_minibatches_are_of_dev_rows_and_parents_cost_nothing() -> None:
    made = world(replies=["child 6"], task={"train": ()})
    birth, comparison = made.steps(2)
    assert isinstance(birth, Proposal)
    assert set(birth.examples or ()) <= set(ALL_DEV)
    assert {*comparison.examples, *(birth.examples or ())} == set(ALL_DEV)
    assert len(comparison.examples) == len(DEV) - 3
    assert made.rows == 2 * len(DEV)
    assert made.members == ["child 6", "seed 5"]


def test_rows_a_parent_has_no_score_on_are_left_out() -> None:
    def scores(prompt: Prompt, row: int) -> float | None:
        return None if prompt.text == "seed 5" and row in ALL_TRAIN and row % 2 else level(prompt, row)

    made = world(replies=["child 9"], scores=scores)
    made.steps(3)
    assert made.members == ["child 9", "seed 5"]
    nothing = world(scores=lambda prompt, row: None if row in ALL_TRAIN else 0.5)
    assert all(isinstance(step, Evidence) for step in nothing.steps(3))
    assert nothing.llm.requests == []


@pytest.mark.parametrize(("failures", "members"), [(1, ["child 9", "seed 5"]), (2, ["seed 5"])])
def test_a_child_without_all_scores_is_asked_once_more_and_then_dropped(failures: int, members: list[str]) -> None:
    calls: Counter[int] = Counter()

    def scores(prompt: Prompt, row: int) -> float | None:
        if prompt.text == "child 9" and row in ALL_TRAIN:
            calls[row] += 1
            if row == next(iter(calls)) and calls[row] <= failures:
                return None
        return level(prompt, row)

    made = world(replies=["child 9"], scores=scores)
    parent, birth, again = made.steps(3)
    assert again.individual.prompt.text == "child 9"
    assert again.examples == parent.examples[:1] == birth.examples[:1]
    assert made.members == ["seed 5"]
    if failures == 1:
        made.step()
    assert made.members == members
    assert [trial for trial in made.state.trials if trial.child] == []


# --- parents ---------------------------------------------------------------------------------------------------------


def specialists(prompt: Prompt, row: int) -> float:
    """Scores: 'wide' is best on 8 dev rows, 'left' on 3, 'right' on 1, 'even' nowhere; on train rows nobody is."""
    best = {"wide": range(8), "left": range(8, 11), "right": range(11, 12)}.get(prompt.text, range(0))
    return 1.0 if row in best else 0.9 if prompt.text == "even" and row in ALL_DEV else 0.1


def parents(method: ReflectPareto, count: int = 600) -> Counter[str]:
    made = world(method, ("wide", "left", "right", "even"), scores=specialists)
    steps = [method.ask(made.state, 99, np.random.default_rng(seed))[0] for seed in range(count)]
    assert all(isinstance(step, Evidence) for step in steps)
    return Counter(step.individual.prompt.text for step in steps if isinstance(step, Evidence))


def test_parents_are_drawn_from_the_front_by_the_rows_they_are_best_on() -> None:
    drawn = parents(ONE)
    assert set(drawn) == {"wide", "left", "right"}
    for name, rows in (("wide", 8), ("left", 3), ("right", 1)):
        assert drawn[name] / 600 == pytest.approx(rows / 12, abs=0.06)


def test_other_selections_take_the_fittest_or_now_and_then_anyone() -> None:
    assert set(parents(replace(ONE, candidate_selection_strategy="current_best"))) == {"even"}
    drawn = parents(replace(ONE, candidate_selection_strategy="epsilon_greedy", epsilon=0.4))
    assert drawn["even"] / 600 == pytest.approx(0.6 + 0.4 / 4, abs=0.06)
    assert set(drawn) == {"wide", "left", "right", "even"}


def test_a_full_pool_keeps_the_fittest_and_the_front() -> None:
    made = world(replace(ONE, population=4), ("wide", "left", "right", "even"), scores=specialists)
    assert [one.prompt.text for one in made.state.members] == ["even", "wide", "left", "right"]
    small = world(replace(ONE, population=2), ("right", "left", "even", "wide"), scores=specialists)
    assert small.members == ["even", "wide"]
    assert dict(small.state.front).keys() == {2, 3}
    plain = world(replace(ONE, population=3), ("seed 1", "seed 2", "seed 3", "seed 4", "seed 5"))
    assert plain.members == ["seed 5", "seed 4", "seed 3"]


def test_a_prompt_lives_only_once() -> None:
    made = world(seeds=("seed 5", "seed 7"), replies=["seed 7"])
    made.state = replace(made.state, front=((0, 1),))  # so that the weaker one is the parent
    made.steps(2)
    assert made.members == ["seed 7", "seed 5"]
    assert made.state.waiting == ()
