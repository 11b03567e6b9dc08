"""ProTeGi with immigrants, failures, missing scores, other parts, other orders of telling, and wrong arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from beams import DEV_NUMBERS, Played, ask, better, competitors, ended, play, quality, seeds, tried
from breeding import brief, drive, failed, individual

from evo.errors import ConfigError
from evo.model import Brief, Individual, Outcome, Prompt
from evo.ports import Evidence, Proposal
from operators.bandits import Name
from operators.protegi import ProTeGi
from operators.rewrites import Paraphrase
from operators.seeds import Seed
from operators.textual_gradients import GradientEdit, TextualGradient

METHOD = ProTeGi(rounds=1, beam_size=2)
GUEST = Individual(500, Prompt.of("Guest 20"), "migration", ((7, "migrant_of"),))


def visited(*guests: Individual, after: int = 0) -> Played:
    """Return a finished search of two rounds that immigrants came to after so many stages."""
    method = replace(METHOD, rounds=2)
    played = play(method, seeds(6, 8), stages=after)
    for guest in guests:
        played.state = METHOD.tell(played.state, guest)
        played.known[guest.number] = guest
        played.stages.append([(guest.number, Evidence(guest, ()))])  # later numbers follow
    return play(method, seeds(6, 8), played=played)


@pytest.mark.parametrize("after", range(8))
def test_an_immigrant_is_scored_on_the_rows_of_the_next_selection(after: int) -> None:
    played = visited(tried(GUEST, (150, 151), quality), after=after)
    asked = [step.examples for _, step in played.of(Evidence) if step.individual.number == GUEST.number]
    others = [step.examples for _, step in played.of(Evidence) if step.individual.number != GUEST.number]
    others += [step.examples for _, step in played.of(Seed)]
    assert any({*asked[1]} == {*rows} - {150, 151} for rows in others)
    assert played.state.members[0].number == GUEST.number
    assert {*played.state.members[0].evaluation.scores} == DEV_NUMBERS  # as the best of a beam


def test_an_immigrant_without_evidence_comes_to_live_here_too() -> None:
    assert visited(GUEST).state.members[0].number == GUEST.number


def test_a_weak_immigrant_is_scored_and_not_kept() -> None:
    weak = tried(replace(GUEST, prompt=Prompt.of("Guest 1")), (150,), lambda text, row: 1.0)
    played = visited(weak)
    assert weak.number in {step.individual.number for _, step in played.of(Evidence)}
    assert weak.number not in [one.number for one in played.state.members]
    assert played.state.immigrants == ()


def test_what_is_no_prompt_or_failed_does_not_immigrate() -> None:
    critique = replace(GUEST, prompt=Prompt.of({"_critique": "It is vague."}))
    state = METHOD.start(seeds(6, 8))
    for one in (critique, failed(501)):
        state = METHOD.tell(state, one)
    assert state.immigrants == ()


def test_of_many_immigrants_the_fittest_wait() -> None:
    state = METHOD.start(seeds(6, 8))
    guests = [individual(500 + n, f"Guest {n}", n / 10) for n in (3, 9, 1, 5)]
    for guest in (*guests[:2], replace(GUEST, number=505), *[replace(one, number=one.number + 10) for one in guests]):
        state = METHOD.tell(state, guest)
    assert [one.fitness for one in state.immigrants] == [0.9, 0.9]


def test_when_no_seed_lives_immigrants_become_the_beam() -> None:
    def write(number: int, step: Proposal) -> Prompt | None:
        return None if isinstance(step.operator, Seed) else better(number, step)

    played = Played(METHOD.start(seeds(6, 8)))
    with pytest.raises(ConfigError, match="at least 1 living prompts"):
        play(METHOD, seeds(6, 8), write=write)
    asked = ask(METHOD, played)
    for number, _ in asked:
        played.state = METHOD.tell(played.state, failed(number))
    played.state = METHOD.tell(played.state, tried(GUEST, (150, 151), quality))
    played.stages.append(asked)
    ((_, step),) = ask(METHOD, played)
    assert isinstance(step, Evidence)
    assert step.individual.number == GUEST.number


def test_what_was_told_before_is_no_answer_to_a_request_for_evidence() -> None:
    played = play(METHOD, seeds(6, 8), stages=1)
    asked = ask(METHOD, played)
    assert all(isinstance(step, Evidence) for _, step in asked)
    for one in list(played.known.values()):
        assert METHOD.tell(played.state, one) == played.state
    for number, step in asked:
        before, played.state = played.state, METHOD.tell(played.state, ended(number, step, better, quality))
        assert played.state != before


def test_a_missing_score_is_no_zero() -> None:
    def score(text: str, row: int) -> float | None:
        return None if row % 2 and text.startswith("Child") else quality(text, row)

    method = replace(METHOD, evaluator="uniform", confirm=False)
    played = play(method, seeds(1, 2), score=score)
    for one in played.state.members:
        even = [quality(one.prompt.text, row) or 0.0 for row in sorted(DEV_NUMBERS) if row % 2 == 0]
        assert one.evaluation.missing
        assert one.fitness == pytest.approx(sum(even) / len(even))


def test_prompts_without_any_score_do_not_enter_the_beam() -> None:
    def score(text: str, row: int) -> float | None:
        return None if text.startswith("Child") else quality(text, row)

    played = play(METHOD, seeds(6, 8), score=score)
    assert [one.prompt.text for one in played.state.members] == ["Seed 1 8", "Seed 0 6"]


@pytest.mark.parametrize("evaluator", get_args(Name))
def test_when_no_row_can_be_scored_any_more_the_beam_stays(evaluator: Any) -> None:
    def score(text: str, row: int) -> float | None:
        return quality(text, row) if answers else None

    few: Any = {"eval_rounds": 5, "eval_prompts_per_round": 2, "samples_per_eval": 2}  # no row of the seeds comes again
    method = replace(METHOD, evaluator=evaluator, **few)
    task = replace(seeds(), seeds=tuple(Prompt.of(f"A seed that loses every tie as it is long {n}") for n in (6, 8)))
    answers = True
    played = play(method, task, score=score, stages=1)
    answers = False
    played = play(method, task, score=score, played=played)
    assert method.finished(played.state)
    assert {one.number for one in played.state.members} == {0, 1}


def test_all_births_of_a_round_work_on_one_part_and_other_parts_stay() -> None:
    prompt = Prompt.of({"system": "Be kind.", "instruction": "Sort the texts 6", "format": "One word."})
    task = Brief("Sort texts.", (prompt,), seeds(0).train, seeds(0).dev, evolve=("instruction", "system"))

    def write(number: int, step: Proposal) -> Prompt | None:
        if isinstance(step.operator, Seed):
            return step.operator.prompt
        if isinstance(step.operator, TextualGradient):
            return Prompt.of({"_critique": f"Reason {number}."})
        assert step.part is not None
        return step.parents[0].prompt.focused(step.part).with_text(f"Child {number} 9")

    parts = set()
    for seed in range(6):
        played = play(METHOD, task, write=write, score=lambda text, row: 0.5, seed=seed)
        born = [step for kind in (TextualGradient, GradientEdit, Paraphrase) for _, step in played.of(kind)]
        (part,) = {step.part for step in born}
        parts.add(part)
        assert {one.prompt.part("format") for one in played.state.members} == {"One word."}
    assert parts == {"instruction", "system"}


@pytest.mark.parametrize("shuffle", [None, 1, 2])
@pytest.mark.parametrize("evaluator", get_args(Name))
def test_a_run_is_the_same_with_any_number_of_slots_and_in_any_order(shuffle: Any, evaluator: Any) -> None:
    method = ProTeGi(rounds=2, beam_size=3, evaluator=evaluator, samples_per_eval=4, reject_on_errors=True)
    one = drive(method, brief(), 500, slots=1)
    many = drive(method, brief(), 500, slots=9, shuffle=shuffle)
    assert method.finished(one.state)
    assert one.state == many.state
    assert sorted(one.evidence) == sorted(many.evidence)


def test_an_individual_told_again_is_no_immigrant() -> None:
    played = play(METHOD, seeds(6, 8), stages=9)
    losers = [one for one in played.known.values() if one.number not in competitors(played)]
    assert losers
    for one in losers:
        assert METHOD.tell(played.state, one) == played.state


@pytest.mark.parametrize(
    "arguments",
    [
        {"rounds": 0},
        {"beam_size": 0},
        {"minibatch_size": 0},
        {"minibatch_rows": "test"},
        {"n_gradients": -1},
        {"errors_per_gradient": 0},
        {"gradients_per_error": 0},
        {"steps_per_gradient": 0},
        {"mc_samples_per_step": 0},
        {"max_expansion_factor": 0},
        {"evaluator": "thompson"},
        {"eval_rounds": 0},
        {"eval_prompts_per_round": 0},
        {"samples_per_eval": 0},
        {"c": -1},
        {"temperature": 3},
        {"max_tokens": 0},
        {"eval_rounds": 1, "eval_prompts_per_round": 1, "samples_per_eval": 39},
    ],
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="protegi expects"):
        ProTeGi(**arguments)


def test_there_must_be_seeds_and_no_more_than_the_budget_can_score() -> None:
    with pytest.raises(ConfigError, match="add some to 'prompts'"):
        METHOD.start(seeds())
    small = ProTeGi(eval_rounds=1, eval_prompts_per_round=1, samples_per_eval=40)
    with pytest.raises(ConfigError, match="one row for each prompt of a selection, got 40"):
        small.start(seeds(*[3] * 37))
    assert play(small, seeds(*[3] * 36), stages=3).state.members


def test_outcomes_of_the_minibatch_are_read_with_their_answers() -> None:
    played = play(METHOD, seeds(6, 8))
    for _, step in played.of(TextualGradient):
        known = {o.example: o for o in step.parents[0].practice.outcomes}
        assert [known[row] for row in step.operator.errors] == [
            Outcome(row, 0.0, f"answer {row}") for row in step.operator.errors
        ]
