from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from beams import (
    DEV,
    DEV_NUMBERS,
    TRAIN_NUMBERS,
    better,
    competitors,
    made_by,
    play,
    quality,
    root,
    seeds,
    selection,
)
from breeding import TRAIN

from evo.model import Prompt
from evo.ports import Evidence, Proposal
from operators.bandits import Name
from operators.protegi import ProTeGi
from operators.rewrites import Paraphrase
from operators.seeds import Seed
from operators.stages import Stage
from operators.textual_gradients import CRITIQUE, GradientEdit, TextualGradient

SMALL = ProTeGi(rounds=1, beam_size=2, eval_rounds=4, eval_prompts_per_round=4, samples_per_eval=4, confirm=False)
PLAIN = ProTeGi(rounds=1, confirm=False)


def texts(individuals: Any) -> list[str]:
    return [one.prompt.text for one in individuals]


def test_the_paper_s_sequence_is_followed() -> None:
    played = play(SMALL, seeds(2, 4, 6))
    kinds = [
        [step.operator.name if isinstance(step, Proposal) else "evidence" for _, step in stage]
        for stage in played.stages
    ]
    births = [["textual-gradient"] * 8, ["gradient-edit"] * 8, ["paraphrase"] * 20]
    before = kinds.index(births[0])
    assert kinds[0] == ["seed"] * 3
    assert kinds[before : before + 3] == births
    assert kinds[before - 1] == ["evidence"] * 2  # the members on the minibatch
    assert {name for stage in kinds[1 : before - 1] + kinds[before + 3 :] for name in stage} == {"evidence"}
    assert len(kinds[before + 3]) == 2 + 2 * 8
    assert [played.state.round, played.state.phase] == [2, "rest"]
    assert SMALL.finished(played.state)
    assert SMALL.ask(played.state, 999, np.random.default_rng(0)) == (None, played.state)


def test_seeds_are_scored_on_the_same_rows_and_the_best_become_the_beam() -> None:
    played = play(SMALL, seeds(2, 14, 6), stages=1)
    assert len({step.examples for _, step in played.of(Seed)}) == 1
    assert set(played.of(Seed)[0][1].examples) < DEV_NUMBERS
    played = play(SMALL, seeds(2, 14, 6, 17), stages=3)
    assert texts(SMALL.living(played.state)) == ["Seed 3 17", "Seed 1 14"]


def test_few_seeds_are_scored_without_a_contest() -> None:
    played = play(SMALL, seeds(5, 5), stages=2)
    rows = {len(step.examples) for _, step in played.of(Seed)}
    assert rows == {4}
    assert len(played.state.members) == 2


def test_all_members_are_tried_on_one_minibatch_of_train_rows() -> None:
    played = play(replace(PLAIN, minibatch_size=5), seeds(2, 4, 6), stages=2)
    steps: list[Any] = [step for _, step in played.stages[-1]]
    (rows,) = {step.examples for step in steps}
    assert len(rows) == 5
    assert set(rows) < TRAIN_NUMBERS
    assert [step.individual.number for step in steps] == [member.number for member in played.state.members]
    assert len(steps) == 3


@pytest.mark.parametrize(
    ("method", "task"),
    [(ProTeGi(minibatch_rows="dev"), seeds(2, 4)), (ProTeGi(), seeds(2, 4, train=()))],
)
def test_minibatches_may_come_from_the_dev_rows_where_known_outcomes_are_used(method: ProTeGi, task: Any) -> None:
    played = play(method, task)
    shown = {row for _, step in played.of(TextualGradient) for row in step.operator.errors}
    assert shown
    assert shown < DEV_NUMBERS
    asked = Counter((step.individual.number, row) for _, step in played.of(Evidence) for row in step.examples)
    assert max(asked.values()) == 1


def test_a_minibatch_is_drawn_anew_for_each_round() -> None:
    method = ProTeGi(rounds=3, minibatch_size=4)
    played = play(method, seeds(2, 4, 6))
    minibatches = {tuple(row.number for row in step.operator.rows) for _, step in played.of(TextualGradient)}
    assert len(minibatches) == 3


def test_errors_are_shown_in_groups_and_each_reason_leads_to_edits_against_it() -> None:
    played = play(ProTeGi(gradients_per_error=2, steps_per_gradient=3), seeds(6, 8))
    reasons = played.stage(TextualGradient)
    for number in (0, 1):
        wrong = {row.number for row in TRAIN if not quality(played.known[number].prompt.text, row.number)}
        mine = [step for _, step in reasons if step.edges == ((number, "base"),)]
        assert len(mine) == 4 * 2
        assert all(set(step.operator.errors) <= wrong and len(step.operator.errors) == 4 for step in mine)
        assert len({step.operator.errors for step in mine}) >= 3
        assert all(one.operator == other.operator for one, other in zip(mine[::2], mine[1::2], strict=True))
    assert {step.examples for _, step in reasons} == {()}
    edits = [step for _, step in played.stage(GradientEdit)]
    assert [step.edges for step in edits[::3]] == [(*step.edges, (n, "gradient")) for n, step in reasons]
    assert edits[::3] == edits[1::3] == edits[2::3]
    assert [step.operator.errors for step in edits[::3]] == [step.operator.errors for _, step in reasons]
    assert all(step.parents[1].prompt.part(CRITIQUE).startswith("Reason") for step in edits)
    assert {step.examples for step in edits} == {()}


def test_the_edits_and_the_prompt_itself_are_paraphrased() -> None:
    played = play(ProTeGi(mc_samples_per_step=3), seeds(6, 8))
    varied = Counter(step.edges[0][0] for _, step in played.stage(Paraphrase))
    assert varied == Counter([0, 1, *(number for number, _ in played.stage(GradientEdit))] * 3)
    assert {step.edges[0][1] for _, step in played.stage(Paraphrase)} == {"base"}


def test_a_prompt_without_errors_in_the_minibatch_is_only_paraphrased() -> None:
    played = play(ProTeGi(rounds=1), seeds(20, 6))
    assert {step.edges for _, step in played.of(TextualGradient)} == {((1, "base"),)}
    assert Counter(step.edges[0][0] for _, step in played.stage(Paraphrase))[0] == 2
    perfect = play(ProTeGi(rounds=2), seeds(20))
    assert perfect.of(TextualGradient) == perfect.of(GradientEdit) == []
    assert len(perfect.of(Paraphrase)) == 2 + 2 * 3


def test_without_groups_there_are_paraphrases_alone() -> None:
    played = play(ProTeGi(rounds=1, n_gradients=0), seeds(6, 8))
    assert played.of(TextualGradient) == []
    assert len(played.of(Paraphrase)) == 4


def test_what_failed_has_no_children() -> None:
    def write(number: int, step: Proposal) -> Prompt | None:
        lost = isinstance(step.operator, (TextualGradient, GradientEdit)) and number % 2
        return None if lost else better(number, step)

    played = play(ProTeGi(rounds=1), seeds(6, 8), write=write)
    reasons, edits = played.stage(TextualGradient), played.stage(GradientEdit)
    assert [step.edges[1][0] for _, step in edits] == [number for number, _ in reasons if number % 2 == 0]
    varied = {step.edges[0][0] for _, step in played.stage(Paraphrase)}
    assert varied == {0, 1, *(number for number, _ in edits if number % 2 == 0)}


@pytest.mark.parametrize("evaluator", get_args(Name))
def test_eight_successors_of_each_member_and_the_members_compete_within_the_budget(evaluator: Any) -> None:
    method = replace(PLAIN, eval_rounds=2, samples_per_eval=8, evaluator=evaluator)
    played = play(method, seeds(6, 8, 10))
    asked = [step for _, step in selection(played)]
    newborn = competitors(played) - {0, 1, 2}
    assert Counter(root(played, number) for number in newborn) == {0: 8, 1: 8, 2: 8}
    assert 27 <= sum(len(step.examples) for step in asked) <= method.budget == 128
    assert DEV_NUMBERS.issuperset(row for step in asked for row in step.examples)
    first = {step.examples for step in asked if step.individual.number in newborn and not step.individual.ok}
    assert len(first) == 1  # the same rows for all
    assert {step.individual.number for step in asked if step.examples == min(first)} >= newborn


def test_the_successors_that_compete_are_drawn() -> None:
    chosen = {frozenset(competitors(play(PLAIN, seeds(6), seed=seed))) for seed in range(8)}
    assert len(chosen) > 4
    assert len(frozenset.union(*chosen)) > 12


@pytest.mark.parametrize("seed", range(3))
def test_a_prompt_competes_once_however_often_it_was_written(seed: int) -> None:
    def write(number: int, step: Proposal) -> Prompt | None:
        if isinstance(step.operator, Paraphrase):
            return Prompt.of("Seed 0 6" if number % 2 else "Again 9")
        return better(number, step)

    for most, families in ((5, {1: 5, 0: 4}), (4, {1: 4, 0: 4})):  # copies take nobody's place among those drawn
        played = play(replace(PLAIN, max_expansion_factor=most), seeds(6, 8), write=write, seed=seed)
        newborn = competitors(played) - {0, 1}
        assert len({played.known[number].prompt for number in newborn}) == len(newborn)
        assert Counter(root(played, number) for number in newborn) == families
        assert {played.known[number].operator for number in newborn if not root(played, number)} == {GradientEdit.name}


def test_with_reject_on_errors_the_best_of_sixteen_on_the_errors_compete() -> None:
    def write(number: int, step: Proposal) -> Prompt | None:
        if not step.parents or isinstance(step.operator, TextualGradient):
            return better(number, step)
        return Prompt.of(f"Child {number} {number % 20}")

    played = play(replace(PLAIN, reject_on_errors=True, n_gradients=6), seeds(1), write=write)
    born = next(place for place, stage in enumerate(played.stages) if made_by(stage[0][1], Paraphrase))
    rejecting: list[Any] = [step for _, step in played.stages[born + 1]]
    assert len(rejecting) == 16 < len(played.of(GradientEdit)) + len(played.of(Paraphrase))
    wrong = {row.number for row in TRAIN if not quality("1", row.number)}
    assert {frozenset(step.examples) for step in rejecting} == {frozenset(wrong)}
    candidates = [played.known[step.individual.number] for step in rejecting]
    ranked = sorted(candidates, key=lambda one: (-one.practice.mean, one.prompt.length, one.number))
    assert competitors(played) - {0} == {one.number for one in ranked[:8]}


def test_no_more_than_sixteen_errors_decide_who_is_rejected() -> None:
    task = seeds(0, train=(), dev=DEV)
    played = play(replace(PLAIN, reject_on_errors=True, n_gradients=6, minibatch_size=40), task)
    born = next(place for place, stage in enumerate(played.stages) if made_by(stage[0][1], Paraphrase))
    rejecting: list[Any] = [step for _, step in played.stages[born + 1]]
    assert {len(step.examples) for step in rejecting} == {16}
    assert len({step.examples for step in rejecting}) == 1


def test_the_next_beam_is_the_best_by_scores_and_not_by_ranks() -> None:
    played = play(replace(PLAIN, evaluator="uniform"), seeds(6, 8))
    competed = [played.known[number] for number in competitors(played)]
    ranked = sorted(competed, key=lambda one: (-one.fitness, one.prompt.length, one.number))
    assert played.state.members == tuple(ranked[:4])
    assert [one.fitness for one in ranked] == [int(one.prompt.text.split()[-1]) / 20 for one in ranked]


def test_the_best_of_each_beam_is_scored_on_all_dev_rows_where_asked() -> None:
    task = seeds(6, 8, 10)
    plain = replace(SMALL, evaluator="uniform")
    assert max(one.evaluation.count for one in play(plain, task).state.members) < len(DEV)
    confirming = replace(plain, confirm=True)
    played = play(confirming, task)
    best, second = played.state.members
    assert best.evaluation.count == len(DEV)
    assert second.evaluation.count < len(DEV)
    assert [number for number, _ in played.stages[-1]] == [played.stages[-1][0][0]]
    (_, last), *_ = played.stages[-1]
    assert isinstance(last, Evidence)
    assert last.individual.number == best.number
    assert DEV_NUMBERS - {*last.examples} == {*last.individual.evaluation.scores}


def test_the_number_of_calls_is_that_of_the_formula() -> None:
    sizes: Any = {"n_gradients": 3, "gradients_per_error": 2, "steps_per_gradient": 2, "minibatch_size": 6}
    budget: Any = {"eval_rounds": 27, "eval_prompts_per_round": 2, "samples_per_eval": 2}
    method = replace(PLAIN, beam_size=3, **sizes, **budget, evaluator="uniform")
    played = play(method, seeds(2, 3, 4))
    members, reasons, edits, arms = 3, 3 * 2, 3 * 2 * 2, 3 + 3 * 8
    assert len(played.of(TextualGradient)) == members * reasons
    assert len(played.of(GradientEdit)) == members * edits
    assert len(played.of(Paraphrase)) == members * 2 * (edits + 1)
    evidence = [step for _, step in played.of(Evidence)]
    assert [len(step.examples) for step in evidence if TRAIN_NUMBERS.issuperset(step.examples)] == [6] * members
    shared = next({*step.examples} for _, step in selection(played) if step.individual.parents)
    known = len(shared & {*played.of(Seed)[0][1].examples})
    assert method.budget == arms * 4
    assert sum(len(step.examples) for _, step in selection(played)) == method.budget - members * known


def test_rejecting_on_errors_costs_what_the_formula_adds() -> None:
    sizes: Any = {"n_gradients": 6, "minibatch_size": 6, "max_expansion_factor": 3, "beam_size": 2}
    played = play(replace(PLAIN, reject_on_errors=True, **sizes), seeds(0, 0))  # every row of a minibatch is an error
    trials = [step for _, step in played.of(Evidence) if TRAIN_NUMBERS.issuperset(step.examples)]
    assert sum(len(step.examples) for step in trials) == 2 * 6 + 2 * (2 * 3) * 6


def test_a_round_leaves_nothing_behind_but_the_beam() -> None:
    sizes = []
    for rounds in (3, 9):
        played = play(ProTeGi(rounds, evaluator="uniform"), seeds(2, 3, 4), write=equally_good)
        sizes.append(len(pickle.dumps(played.state)))
        empty: Any = {"stage": Stage(), "minibatch": (), "families": (), "arms": (), "contest": None}
        assert replace(played.state, **empty) == played.state
    assert sizes[1] < 1.1 * sizes[0]


def equally_good(number: int, step: Proposal) -> Prompt | None:
    child = better(number, step)
    return child if child is None or not step.parents else child.with_text(f"Child {number} 4")
