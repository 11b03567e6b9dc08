from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from breeding import individual
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.model import Demo, Evaluation, Individual, Outcome, Prompt, with_demos
from operators.race import Race, Rule, blocks_of, length_of

RULE = Rule(keep=2, alpha=0.2, length_penalty=0.0, longest=10)
BLOCKS = blocks_of(range(40), 10, 4)


def runner(number: int, text: str = "same", evaluation: Evaluation | None = None) -> Individual:
    return replace(individual(number, text), evaluation=evaluation or Evaluation())


def scores(hits: int, rows: Sequence[int]) -> list[Outcome]:
    """Return outcomes of one who gets the first ``hits`` of every ten rows right."""
    return [Outcome(row, float(row % 10 < hits)) for row in rows]


def run(race: Race, skill: Any, order: Any = None) -> tuple[Race, list[tuple[int, tuple[int, ...]]]]:
    """Return the closed race, and (number, rows) of all evidence it asked for; told last come, first served."""
    asked = []
    race = race.judged()
    while not race.closed:
        pending = []
        while True:
            evidence, race = race.ask()
            if evidence is None:
                break
            pending.append(evidence)
        assert pending, "the race waits for nothing"
        asked += [(one.individual.number, one.examples) for one in pending]
        for one in order(pending) if order else reversed(pending):
            found = Evaluation.of(scores(skill[one.individual.number], one.examples))
            race = race.tell(one.individual.with_evidence(found, Evaluation()))
    return race, asked


def started(skill: dict[int, int], rule: Rule = RULE, **more: Any) -> Race:
    return Race(rule, BLOCKS, tuple(runner(number) for number in skill), **more)


def test_blocks_are_consecutive_and_the_last_may_be_smaller() -> None:
    assert blocks_of(range(7), 3, 10) == ((0, 1, 2), (3, 4, 5), (6,))
    assert blocks_of(range(7), 3, 2) == ((0, 1, 2), (3, 4, 5))
    assert blocks_of(range(7), 30, 10) == (tuple(range(7)),)


def test_everyone_gets_a_block_and_the_beaten_drop_out_after_it() -> None:
    skill = {1: 9, 2: 9, 3: 2, 4: 1}
    race, asked = run(started(skill), skill)
    assert [number for number, _ in asked] == [1, 2, 3, 4]
    assert {rows for _, rows in asked} == {BLOCKS[0]}
    assert [one.number for one in race.survivors] == [1, 2]


def test_one_is_dropped_only_when_keep_others_are_better() -> None:
    # two are far ahead of three, but only one of them is a second better one to 2
    skill = {1: 9, 2: 5, 3: 0}
    one = replace(RULE, keep=1)
    assert [i.number for i in run(started(skill, one), skill)[0].survivors] == [1]
    race = started({1: 9, 2: 5, 3: 5})
    for hits in (9, 5, 5):
        evidence, race = race.ask()
        assert evidence is not None
        race = race.tell(evidence.individual.with_evidence(Evaluation.of(scores(hits, BLOCKS[0])), Evaluation()))
    assert len(race.candidates) == 3  # 2 and 3 have one better each, not two
    assert race.rounds == 1


def test_undecided_races_end_with_the_blocks_and_the_best_means_live() -> None:
    skill = {1: 5, 2: 6, 3: 6}
    race, asked = run(started(skill, replace(RULE, alpha=0.0)), skill)
    assert len(asked) == 3 * len(BLOCKS)
    assert [one.number for one in race.survivors] == [2, 3]


def test_rows_that_were_scored_before_are_not_asked_for_again() -> None:
    old = runner(1, evaluation=Evaluation.of(scores(9, range(25))))
    race = Race(RULE, BLOCKS, (old, runner(2), runner(3)))
    _, asked = run(race, {1: 9, 2: 9, 3: 9})
    assert [rows for number, rows in asked if number == 1] == [tuple(range(25, 30)), BLOCKS[3]]
    assert [rows for number, rows in asked if number == 2] == list(BLOCKS)


def test_length_costs_and_equal_scores_go_to_the_shorter() -> None:
    rule = replace(RULE, keep=1, length_penalty=0.05)
    short, long = runner(1, "short"), runner(2, "as long as 10" * 3)
    race, asked = run(Race(rule, BLOCKS, (short, long)), {1: 7, 2: 7})
    assert [one.number for one in race.survivors] == [1]
    assert len(asked) == 2 * len(BLOCKS)  # a tie is no evidence: no block drops the longer one
    free = replace(rule, length_penalty=0.0)
    assert len(run(Race(free, BLOCKS, (short, long)), {1: 7, 2: 7})[1]) == 2 * len(BLOCKS)
    assert rule.value(replace(short, evaluation=Evaluation.of(scores(7, range(10)))), range(10)) == 0.7 - 0.05 * 5 / 10


def test_length_counts_what_a_model_is_shown() -> None:
    prompt = with_demos(Prompt.of({"instruction": "12345", "_gene": "hidden"}), [Demo("abc", "d", "ef", row=1)])
    assert length_of(replace(individual(1, ""), prompt=prompt)) == 5 + 6


def test_failed_calls_are_left_out_pair_by_pair() -> None:
    rows = BLOCKS[0]
    whole = runner(1, evaluation=Evaluation.of(scores(6, rows)))
    partly = Evaluation.of([*scores(6, rows[:4]), *(Outcome(row, None, error="timeout") for row in rows[4:])])
    holed = runner(2, evaluation=partly)
    assert not RULE.better(holed, whole, rows)
    assert not RULE.better(whole, holed, rows)
    lost = runner(3, evaluation=Evaluation.of([Outcome(row, None, error="timeout") for row in rows]))
    race = Race(RULE, BLOCKS[:1], (whole, holed, lost)).judged()
    assert {one.number for one in race.survivors} == {1, 2}


def test_the_leader_gets_as_many_blocks_as_anyone_ever_had() -> None:
    skill = {1: 9, 2: 8, 3: 1, 4: 1}
    race, asked = run(started(skill, depth=3), skill)
    assert race.depth == 3
    assert [number for number, _ in asked] == [1, 2, 3, 4, 1, 1]
    assert [len(one.evaluation.outcomes) for one in race.survivors] == [30, 10]


def test_blocks_an_immigrant_brings_along_are_no_measure_for_the_leader() -> None:
    skill = {1: 9, 2: 8, 3: 1, 4: 1}
    rich = replace(runner(4, evaluation=Evaluation.of(scores(1, range(40)))), operator="migration")
    race, asked = run(replace(started(skill), candidates=(*map(runner, (1, 2, 3)), rich)), skill)
    assert [number for number, _ in asked] == [1, 2, 3]
    assert race.depth == 1


def test_a_leader_that_falls_back_gives_its_place_to_the_next() -> None:
    lucky = runner(1, evaluation=Evaluation.of([Outcome(row, 1.0) for row in BLOCKS[0]]))
    steady = runner(2, evaluation=Evaluation.of(scores(8, BLOCKS[0])))
    race = Race(RULE, BLOCKS, (lucky, steady), depth=2).judged()
    first, race = race.ask()
    assert first is not None
    assert first.individual.number == 1
    race = race.tell(first.individual.with_evidence(Evaluation.of(scores(0, first.examples)), Evaluation()))
    second, race = race.ask()
    assert second is not None
    assert second.individual.number == 2


def test_a_race_of_nobody_is_closed() -> None:
    race = Race(RULE, BLOCKS, ()).judged()
    assert race.closed
    assert race.survivors == ()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), hits=st.lists(st.integers(0, 10), min_size=1, max_size=7), keep=st.integers(1, 4))
def test_the_order_of_telling_does_not_matter_and_enough_survive(data: Any, hits: list[int], keep: int) -> None:
    skill = dict(enumerate(hits))
    rule = replace(RULE, keep=keep, length_penalty=0.05)
    one, asked = run(started(skill, rule), skill)
    other, again = run(started(skill, rule), skill, order=lambda pending: data.draw(st.permutations(pending)))
    assert one == other
    assert asked == again
    assert len(one.survivors) == min(keep, len(hits))
    assert max(hits) == skill[one.survivors[0].number]
    assert all(len(rows) == 10 for _, rows in asked)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_the_best_by_mean_is_never_dropped(alpha: float) -> None:
    skill = {1: 4, 2: 6, 3: 5, 4: 5}
    race, _ = run(started(skill, replace(RULE, alpha=alpha, keep=1)), skill)
    assert [one.number for one in race.survivors] == [2]
