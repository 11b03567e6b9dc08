from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, brief, individual
from hypothesis import given
from hypothesis import strategies as st
from units_by_hand import TRAIN_ROWS, unit, world

from evo.model import Demo, Evaluation, Outcome, Prompt, demos_of, with_demos
from operators.contexts import RESAMPLED, shuffled, workings
from operators.promptbreeder import Promptbreeder

SMALL = Promptbreeder(population=6, generations=6, batch=5, seed_units=0, contexts=2, workings=3)
DEMOS = [Demo(f"text {n}", "good", f"working {n}", n) for n in range(10)]


def test_workings_are_the_individual_s_own_and_right() -> None:
    outcomes = [
        Outcome(12, 1.0, answer="good", reply=" I see sun, so good "),
        Outcome(13, 0.0, answer="bad", reply="wrong"),
        Outcome(14, 1.0, answer="bad", reply="bad\n"),
        Outcome(15, None, error="down"),
        Outcome(16, 0.5, answer="good", reply="half"),
    ]
    one = replace(individual(1, "x"), practice=Evaluation.of(outcomes))
    assert workings(one, TRAIN) == (
        Demo("train text 12", "good", "I see sun, so good", 12),
        Demo("train text 14", "bad", "", 14),
    )


@pytest.mark.parametrize(
    ("reply", "working"),
    [
        ("The sun shines.\ngood", "The sun shines."),
        ("The sun shines.\nSo it is warm.\n\n Good.\n", "The sun shines.\nSo it is warm."),
        ("The sun shines.\ngood\nGood.", "The sun shines."),  # both stages gave the answer
        ("Good\ngood", ""),
        ("It shines. " * 150 + "\ngood", ""),
        ("", ""),
    ],
)
def test_a_working_is_whole_and_the_answer_comes_once(reply: str, working: str) -> None:
    one = replace(individual(1, "x"), practice=Evaluation.of([Outcome(12, 1.0, answer="good", reply=reply)]))
    assert workings(one, TRAIN) == (Demo("train text 12", "good", working, 12),)


@given(st.integers(0, 3), st.sets(st.integers(0, 9)), st.integers(1, 3), st.integers(0, 99))
def test_contexts_are_filled_then_changed_one_at_a_time(held: int, fresh: set[int], most: int, seed: int) -> None:
    before = DEMOS[: min(held, most)]
    after = shuffled(before, [DEMOS[n] for n in sorted(fresh)], most, np.random.default_rng(seed))
    assert len(after) <= most
    assert len({demo.row for demo in after}) == len(after)
    assert {demo.row for demo in after} <= {demo.row for demo in before} | fresh
    if np.random.default_rng(seed).random() >= RESAMPLED or not fresh:
        kept = len({demo.row for demo in before} & {demo.row for demo in after})
        assert kept >= len(before) - 1
        assert kept == len(before) or len(before) == most


def test_in_one_case_of_ten_all_contexts_are_drawn_anew() -> None:
    before, fresh = DEMOS[:3], DEMOS[3:]
    gone = sum(
        not {demo.row for demo in before}
        & {demo.row for demo in shuffled(before, fresh, 3, np.random.default_rng(seed))}
        for seed in range(1000)
    )
    assert gone / 1000 == pytest.approx(RESAMPLED, abs=0.03)


def test_a_unit_s_contexts_are_correct_workings_of_its_own_line() -> None:
    here = world(SMALL, brief(2), quality=lambda one: float(one.number % 3 > 0)).run()
    seen = 0
    for number, proposal in here.copies.items():
        base = proposal.parents[0]
        own = {demo.row: demo for demo in workings(base, TRAIN)}
        inherited = set(demos_of(base.prompt))
        demos = demos_of(here.born[number].prompt)
        assert len(demos) <= 2
        for demo in demos:
            assert demo.row in TRAIN_ROWS
            assert demo in inherited or own[demo.row or 0] == demo
            author = int(demo.working.split(" on ")[0])
            assert here.quality(here.born[author]) == 1.0
            seen += 1
            line, at = {number}, number
            while here.births[at].roles[:1] == ("base",):
                at = here.births[at].parents[0].number
                line.add(at)
            assert author in line
    assert seen > 20


def test_the_zero_shot_form_has_no_contexts_and_asks_for_no_train_rows() -> None:
    here = world(replace(SMALL, contexts=0, operators={"first-order": 1}), brief(2), quality=lambda one: 1.0).run()
    assert not any(demos_of(one.prompt) for one in here.born.values())
    assert not any(set(step.examples or ()) & {*TRAIN_ROWS} for step in here.steps.values())


def test_worked_examples_of_seeds_are_no_contexts() -> None:
    seed = with_demos(Prompt.of("Sort it."), [Demo("by hand", "good")])
    few = world(replace(SMALL, seed_units=1), replace(brief(1), seeds=(seed,)), quality=lambda one: 1.0).run()
    shown = [demo for number in few.copies for demo in demos_of(few.born[number].prompt)]
    assert shown
    assert all(demo.input != "by hand" for demo in shown)
    zero = world(replace(SMALL, contexts=0), replace(brief(1), seeds=(seed,))).run()
    assert all(demos_of(zero.born[number].prompt) == demos_of(seed) for number in zero.copies)


def test_a_migrant_brings_its_contexts(monkeypatch: Any) -> None:
    guest = unit(900, "From afar.", 1.0)
    guest = replace(guest, prompt=with_demos(guest.prompt, [Demo("theirs", "good", "900 on 12", 12)]))
    here = world(replace(SMALL, generations=None), brief(2), quality=lambda one: float(one.number >= 900)).run(40)
    here.state = SMALL.tell(here.state, guest)
    here.run(160)
    children = [n for n, p in here.copies.items() if p.parents[0].number == 900]
    assert children
    demos = demos_of(here.born[children[0]].prompt)
    assert any(demo.working.startswith("900 on") for demo in demos)
