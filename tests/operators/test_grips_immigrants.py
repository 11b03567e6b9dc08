from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from breeding import ask_all, brief, failed, tell_all
from climbing import ALL_DEV, LONG, bases, begun, iterate, scored

from evo.errors import ConfigError
from evo.model import DROPPED, Evaluation, Individual, Outcome
from evo.ports import Evidence
from operators.climb import Climb
from operators.grips import Grips

GREEDY = Grips()
RNG = np.random.default_rng(0)


def guest(number: int, score: float, rows: Any = ALL_DEV, **more: Any) -> Individual:
    return scored(number, score, f"guest {number}, or else", rows, parents=((7, "migrant_of"),), **more)


def alive(state: Climb) -> set[int]:
    return {one.number for one in GREEDY.living(state)}


def test_immigrants_wait_for_the_end_of_the_iteration_and_the_best_of_them_may_become_the_base() -> None:
    _, state = ask_all(GREEDY, begun(GREEDY, 0.5), 10)
    state = tell_all(GREEDY, state, [guest(90, 0.6), guest(91, 0.8), guest(92, 0.7)])
    assert bases(state) == [0]
    assert alive(state) == {0, 90, 91, 92}
    state = tell_all(GREEDY, state, [scored(10 + n, 0.55) for n in range(5)])
    assert bases(state) == [91]
    assert state.lines[0].deleted == ()
    assert alive(state) == {91}
    births, _ = ask_all(GREEDY, state, 20)
    assert {birth.edges[0] for birth in births} == {(91, "base")}


def test_no_more_are_shown_as_living_than_a_beam_holds_but_all_compete() -> None:
    method = Grips(beam=3)
    _, state = ask_all(method, begun(method, 0.5), 10)
    state = tell_all(method, state, [guest(90 + n, 0.6 + n / 10) for n in range(4)])
    assert [one.number for one in method.living(state)] == [0, 90, 91]
    assert bases(tell_all(method, state, [failed(10 + n) for n in range(5)])) == [93]


def test_an_immigrant_that_is_no_better_changes_nothing_and_one_that_is_renews_patience() -> None:
    method = Grips(patience=3)
    for score, base, failures in ((0.5, 0, 1), (0.51, 90, 0)):
        _, state = ask_all(method, begun(method, 0.5), 10)
        state = method.tell(state, guest(90, score))
        state = tell_all(method, state, [scored(10 + n, 0.1) for n in range(5)])
        assert (bases(state), state.failures) == ([base], failures)


def test_between_iterations_an_immigrant_competes_at_once() -> None:
    assert bases(GREEDY.tell(begun(GREEDY, 0.5), guest(90, 0.9))) == [90]


def test_an_immigrant_is_scored_on_the_rows_it_lacks_before_it_competes() -> None:
    _, state = ask_all(GREEDY, begun(GREEDY, 0.5), 10)
    state = GREEDY.tell(state, guest(90, 0.9, (0, 3)))
    assert GREEDY.ask(state, 15, RNG) == (None, state)  # not while the iteration is under way
    state = tell_all(GREEDY, state, [failed(10 + n) for n in range(5)])
    step, state = GREEDY.ask(state, 20, RNG)
    assert isinstance(step, Evidence)
    assert (step.individual.number, step.examples) == (90, tuple(row for row in ALL_DEV if row not in (0, 3)))
    assert GREEDY.ask(state, 21, RNG) == (None, state)
    assert bases(state) == [0]
    found = step.individual.with_evidence_of(scored(90, 0.45, rows=step.examples))
    assert bases(GREEDY.tell(state, found)) == [90]  # (2 x 0.9 + 10 x 0.45) / 12 = 0.525
    poor = step.individual.with_evidence_of(scored(90, 0.4, rows=step.examples))
    after = GREEDY.tell(state, poor)
    assert bases(after) == [0]
    assert GREEDY.tell(after, poor) == after


def test_several_immigrants_are_waited_for_together() -> None:
    state = GREEDY.tell(GREEDY.tell(begun(GREEDY, 0.5), guest(91, 0.9, (0,))), guest(90, 0.8, ()))
    (first, state), number = GREEDY.ask(state, 20, RNG), 21
    (second, state) = GREEDY.ask(state, number, RNG)
    assert isinstance(first, Evidence)
    assert isinstance(second, Evidence)
    assert [first.individual.number, second.individual.number] == [90, 91]
    for order in ((first, second), (second, first)):
        after = state
        for step in order:
            assert bases(after) == [0]
            after = GREEDY.tell(after, guest(step.individual.number, 0.6 + step.individual.number / 1000))
        assert bases(after) == [91]


def test_an_immigrant_none_of_whose_calls_succeed_is_gone() -> None:
    state = GREEDY.tell(begun(GREEDY, 0.5), guest(90, 0.9, ()))
    step, state = GREEDY.ask(state, 20, RNG)
    assert isinstance(step, Evidence)
    lost = Evaluation.of(Outcome(row, None, error="busy") for row in step.examples)
    state = GREEDY.tell(state, step.individual.with_evidence(lost, Evaluation()))
    assert alive(state) == {0}
    assert state.immigrants == ()


def test_immigrants_come_before_the_seeds_are_told_and_in_their_place() -> None:
    _, state = ask_all(GREEDY, GREEDY.start(brief(2)), 0)
    state = GREEDY.tell(state, guest(90, 0.9, (0, 1)))
    assert alive(state) == {90}
    lived = tell_all(GREEDY, state, [scored(0, 0.5), failed(1)])
    assert bases(lived) == [0]
    died = tell_all(GREEDY, state, [failed(0), failed(1)])
    step, died = GREEDY.ask(died, 9, RNG)
    assert isinstance(step, Evidence)
    assert len(step.examples) == 10  # without seeds the score set is all dev rows
    died = GREEDY.tell(died, guest(90, 0.3))
    assert bases(died) == [90]
    assert len(ask_all(GREEDY, died, 10)[0]) == 5


def test_without_seeds_or_immigrants_that_live_the_user_is_told() -> None:
    _, state = ask_all(GREEDY, GREEDY.start(brief(1)), 0)
    with pytest.raises(ConfigError, match="at least 1 living prompts"):
        GREEDY.ask(GREEDY.tell(state, failed(0)), 1, RNG)


def test_copies_and_failures_do_not_immigrate() -> None:
    state = begun(GREEDY, 0.5)
    copy, dropped = scored(90, 0.9, f"{LONG} 0"), guest(91, 0.9, status=DROPPED)
    for stranger in (copy, dropped, failed(92)):
        assert bases(GREEDY.tell(state, stranger)) == [0]
    waiting = GREEDY.tell(state, guest(93, 0.9, ()))
    twin = scored(94, 0.9, "guest 93, or else")
    assert [one.number for one in GREEDY.tell(waiting, twin).immigrants] == [93]


def test_the_last_iteration_s_immigrants_are_still_judged_and_later_ones_are_not() -> None:
    method = Grips(patience=1)
    _, state = ask_all(method, begun(method, 0.5), 10)
    state = method.tell(state, guest(90, 0.9, (0,)))
    state = tell_all(method, state, [scored(10 + n, 0.1) for n in range(5)])
    assert not method.finished(state)
    step, state = method.ask(state, 20, RNG)
    assert isinstance(step, Evidence)
    beaten = method.tell(state, guest(90, 0.2))
    assert method.finished(beaten)
    late = method.tell(beaten, guest(95, 1.0))
    assert method.finished(late)
    assert (bases(late), late.immigrants) == ([0], ())
    better = method.tell(state, guest(90, 0.7))
    assert not method.finished(better)


def test_a_beam_takes_immigrants_in_by_points() -> None:
    method = Grips(mode="beam", beam=2, num_candidates=2)
    _, state = iterate(method, begun(method, 0.5), 10, 0.7, 0.6)
    state = method.tell(state, guest(90, 0.65))
    assert (bases(state), state.failures) == ([10, 90], 0)
    state = method.tell(state, guest(91, 0.1))
    assert bases(state) == [10, 90]


def test_annealing_is_no_way_in_for_worse_immigrants() -> None:
    method = Grips(mode="annealing")
    assert all(bases(method.tell(begun(method, 0.5), guest(90, score))) == [0] for score in (0.5, 0.499))
