from __future__ import annotations

import math
from dataclasses import replace

import pytest
from breeding import ask_all, brief, failed, tell_all
from climbing import LONG, bases, begun, edits_of, first_with, iterate, scored

from evo.randomness import child_rng
from operators.climb import Climb
from operators.grips import Grips


def accepted(method: Grips, state: Climb, *scores: float | None) -> float:
    """Return the share of all luck there is with which an iteration's best candidate becomes the base."""
    _, state = ask_all(method, state, 1000)
    told = [failed(1000 + n) if score is None else scored(1000 + n, score) for n, score in enumerate(scores)]
    lots = [(n + 0.5) / 200 for n in range(200)]
    after = [tell_all(method, replace(state, luck=lot), told) for lot in lots]
    return sum(bases(one) != bases(state) for one in after) / len(lots)


def test_annealing_accepts_worse_ones_by_chance_and_less_and_less_often() -> None:
    method = Grips(mode="annealing", patience=50, num_candidates=2)
    state = begun(method, 0.5)
    assert accepted(method, state, 0.45, 0.1) == pytest.approx(math.exp(-5 / 10), abs=0.005)
    assert accepted(method, state, 0.3, 0.3) == pytest.approx(math.exp(-20 / 10), abs=0.005)
    for turn in range(5):
        _, state = iterate(method, state, 10 * turn + 10, None, None)
    assert state.age == 5
    assert accepted(method, state, 0.45, 0.1) == pytest.approx(math.exp(-5 / (10 / math.e)), abs=0.005)
    assert accepted(Grips(patience=50, num_candidates=2), state, 0.499, 0.1) == 0


def test_luck_is_drawn_once_for_each_iteration_evenly() -> None:
    method = Grips(mode="annealing", num_candidates=2, patience=500)
    state, lots = begun(method, 0.5), []
    for number in range(10, 210, 2):
        (_, asked) = ask_all(method, state, number)
        assert asked.luck == method.ask(state, number, child_rng(7, "ask", number))[1].luck
        lots.append(asked.luck)
    assert len(set(lots)) == 100
    assert 0 < min(lots) < 0.1
    assert 0.9 < max(lots) <= 1
    assert sum(lots) / 100 == pytest.approx(0.5, abs=0.1)


def test_annealing_accepts_what_is_as_good_or_better_always_even_when_cold() -> None:
    method = Grips(mode="annealing", num_candidates=1, patience=9)
    cold = replace(begun(method, 0.5), age=10**6)
    assert accepted(method, cold, 0.5) == 1
    assert accepted(method, cold, 0.51) == 1
    assert accepted(method, cold, 0.4999) == 0
    assert accepted(method, cold, None) == 0


def test_annealing_begins_patience_anew_when_it_accepts_and_keeps_the_best_alive() -> None:
    method = Grips(mode="annealing", num_candidates=1)
    _, state = iterate(method, begun(method, 0.5), 10, 0.0)
    assert (bases(state), state.failures) == ([0], 1)
    _, state = iterate(method, state, 20, 0.5)
    assert (bases(state), state.failures) == ([20], 0)
    worse = next(after for n in range(30, 90) if bases(after := iterate(method, state, n, 0.45)[1]) == [n])
    assert worse.failures == 0
    assert {one.number for one in method.living(worse)} == {0, *bases(worse)}


def test_a_beam_expands_every_member_and_keeps_the_best_of_all() -> None:
    method = Grips(mode="beam", beam=3, num_candidates=2)
    births, state = iterate(method, begun(method, 0.5, 0.4), 10, 0.2, 0.6)
    assert bases(state) == [11, 0, 10]
    births, state = iterate(method, state, 20, 0.1, 0.6, 0.7, 0.65, 0.1, 0.5)
    assert [birth.edges[0][0] for birth in births] == [11, 11, 0, 0, 10, 10]
    assert bases(state) == [22, 23, 11]
    assert state.failures == 0
    _, state = iterate(method, state, 30, 0.7, 0.7, 0.1, 0.1, 0.1, 0.1)
    assert (bases(state), state.failures) == ([22, 30, 31], 1)  # others in the beam are no success
    _, state = iterate(method, state, 40, *[0.7] * 6)
    assert bases(state) == [22, 30, 31]
    assert method.finished(state)


def test_a_prompt_is_in_the_beam_once() -> None:
    method = Grips(mode="beam", beam=3, num_candidates=3)
    _, state = ask_all(method, begun(method, 0.5), 10)
    state = tell_all(method, state, [scored(10 + n, 0.6, ("the same", "the same", LONG)[n]) for n in range(3)])
    assert bases(state) == [10, 12, 0]


def test_every_line_of_a_beam_has_lost_its_own_phrases() -> None:
    method = Grips(mode="beam", beam=2, num_candidates=1, patience=9)
    births, place, first, state = first_with(method, begun(method, 0.5), "delete")
    assert place == 0
    gone = edits_of(births[0])[0][1]
    state = tell_all(method, state, [scored(first, 0.4, LONG)])
    assert [[lost.phrase for lost in line.deleted] for line in state.lines] == [[], [gone]]


def test_where_the_search_starts() -> None:
    assert bases(begun(Grips(start_from="first"), 0.1, 0.9)) == [0]
    assert bases(begun(Grips(), 0.1, 0.9, 0.9)) == [1]
    method = Grips(start_from="first")
    _, state = ask_all(method, method.start(brief(3)), 0)
    state = tell_all(method, state, [failed(0), scored(1, 0.2), scored(2, 0.9)])
    assert bases(state) == [1]
    assert {one.number for one in method.living(state)} == {1, 2}


def test_after_patience_a_new_search_may_start_from_the_next_seed() -> None:
    method = Grips(restart="seeds", iterations=None, patience=1, num_candidates=1)
    state = begun(method, 0.3, 0.5, 0.4)
    started = [bases(state)]
    for number in range(10, 14):
        _, state = iterate(method, state, number, 0.2)
        started.append(bases(state))
        assert (state.age, state.failures) == (0, 0)
        assert not method.finished(state)
    assert started == [[1], [2], [0], [1], [2]]
    _, state = iterate(method, state, 20, 0.9)
    _, state = iterate(method, state, 30, 0.1)
    assert {one.number for one in method.living(state)} == {0, 20}  # the best so far lives on


def test_after_patience_a_new_search_may_start_from_the_best_with_nothing_deleted() -> None:
    method = Grips(restart="best", iterations=4, patience=1)
    _, place, first, state = first_with(method, begun(method, 0.5), "delete")
    state = tell_all(method, state, [scored(first + n, 0.6 if n == place else 0.1) for n in range(5)])
    assert len(state.lines[0].deleted) == 1
    for turn in range(1, 4):
        assert not method.finished(state)
        _, state = iterate(method, state, 2000 + 10 * turn, *[0.2] * 5)
        assert bases(state) == [first + place]
        assert state.lines[0].deleted == ()
    assert method.finished(state)
