from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.model import Evaluation, Individual, Outcome, Prompt
from operators.sieve import Sieve

ROWS = tuple(range(40))


def candidate(number: int, quality: float, rows: tuple[int, ...] = (), operator: str = "induce-forward") -> Individual:
    """Return an individual that gets row r right when r's place among ten is below its quality."""
    return tried(Individual(number, Prompt.of(f"prompt {number}"), operator), quality, rows)


def tried(one: Individual, quality: float, rows: tuple[int, ...]) -> Individual:
    scored = Evaluation.of(Outcome(row, float(row % 10 < 10 * quality)) for row in rows)
    return one.with_evidence(scored, Evaluation())


def run(sieve: Sieve, quality: dict[int, float]) -> tuple[Sieve, list[tuple[int, int]]]:
    """Return the closed sieve, and of each stage with evidence how many were scored on how many rows."""
    stages = []
    sieve = sieve.advanced()
    while not sieve.closed:
        wanted = sieve.wanted
        stages.append((len(wanted), len(wanted[0].examples)))
        sieve = sieve.informed([tried(w.individual, quality[w.individual.number], w.examples) for w in wanted])
        sieve = sieve.advanced()
    return sieve, stages


def begun(quality: dict[int, float], *, seeds: tuple[int, ...] = (), **arguments: Any) -> Sieve:
    given = {"subset": 10, "keep": 0.5, "finalists": 2, **arguments}
    sieve = Sieve(ROWS, depth=given["subset"], **given)
    return sieve.joined(
        candidate(number, value, ROWS[: given["subset"]], "seed" if number in seeds else "induce-forward")
        for number, value in quality.items()
    )


def numbers(individuals: Any) -> list[int]:
    return [one.number for one in individuals]


QUALITY = {number: number / 10 for number in range(11)}


def test_the_better_half_goes_on_to_rows_nobody_has_seen_until_few_remain() -> None:
    sieve, stages = run(begun(QUALITY), QUALITY)
    assert stages == [(6, 10), (3, 10), (2, 10)]
    assert numbers(sieve.runners) == [10, 9]
    assert all(one.evaluation.count == 40 for one in sieve.runners)
    assert numbers(sieve.ranking) == list(range(10, -1, -1))
    assert [one.evaluation.count for one in sieve.ranking] == [40] * 2 + [30] + [20] * 3 + [10] * 5


def test_everyone_of_a_stage_is_scored_on_the_same_rows() -> None:
    sieve = begun(QUALITY).advanced()
    assert {evidence.examples for evidence in sieve.wanted} == {ROWS[10:20]}


def test_few_candidates_go_to_all_rows_at_once_and_rows_that_run_out_end_it() -> None:
    quality = {0: 0.5, 1: 0.6}
    assert run(begun(quality), quality)[1] == [(2, 30)]
    sieve, stages = run(begun(QUALITY, keep=1.0), QUALITY)
    assert stages == [(11, 10)] * 3
    assert len(sieve.runners) == 11
    whole = begun(QUALITY, subset=40)
    assert whole.closed
    assert whole.advanced() == whole


@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_the_best_seed_is_scored_on_all_rows_even_when_it_was_dropped(keep: float) -> None:
    without, with_seeds = (run(begun(QUALITY, seeds=seeds, keep=keep), QUALITY) for seeds in ((), (0, 1)))
    assert numbers(with_seeds[0].runners) == [*numbers(without[0].runners), 1]
    assert with_seeds[0].runners[-1].evaluation.count == 40
    assert [count for count, _ in with_seeds[1][:-1]] == [count for count, _ in without[1][:-1]]
    assert 0 in numbers(with_seeds[0].dropped)
    best = run(begun(QUALITY, seeds=(10, 0)), QUALITY)[0]
    assert numbers(best.runners) == [10, 9]


def test_a_text_runs_once_and_the_oldest_is_it() -> None:
    twin = replace(candidate(20, 1.0, ROWS[:10]), prompt=candidate(3, 0).prompt)
    sieve = begun({3: 0.5, 4: 0.5}).joined([twin])
    assert numbers(sieve.runners) == [3, 4]
    assert numbers(begun(QUALITY).advanced().joined([replace(twin, number=21)]).runners) == list(range(10, 4, -1))


def test_a_newcomer_is_first_scored_on_the_rows_it_lacks() -> None:
    sieve = begun(QUALITY).advanced().joined([candidate(30, 0.9, ROWS[5:15])]).advanced()
    lacking = {evidence.individual.number: evidence.examples for evidence in sieve.wanted}
    assert lacking[30] == (*ROWS[:5], *ROWS[15:20])


def test_evidence_on_other_rows_does_not_count_in_a_comparison() -> None:
    lucky = candidate(30, 0.1, ROWS[:10]).with_evidence(
        Evaluation.of(Outcome(row, 1.0) for row in ROWS[10:]), Evaluation()
    )
    assert numbers(begun({1: 0.3, 2: 0.2}).joined([lucky]).ranking) == [1, 2, 30]


def test_without_a_score_one_is_last_and_no_row_is_tried_twice() -> None:
    lost = Individual(30, Prompt.of("x"), "induce-forward")
    lost = lost.with_evidence(Evaluation.of(Outcome(row, None, error="down") for row in ROWS[:10]), Evaluation())
    sieve = begun({1: 0.0, 2: 0.2}).joined([lost])
    assert numbers(sieve.ranking) == [2, 1, 30]
    assert sieve.wanted == ()


@settings(max_examples=60, deadline=None)
@given(
    qualities=st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.9]), min_size=1, max_size=30),
    subset=st.integers(1, 45),
    keep=st.floats(0, 1),
    finalists=st.integers(1, 6),
)
def test_it_always_ends_with_few_on_all_rows_and_forgets_nobody(
    qualities: list[float], subset: int, keep: float, finalists: int
) -> None:
    quality = dict(enumerate(qualities))
    sieve, stages = run(begun(quality, subset=subset, keep=keep, finalists=finalists), quality)
    assert len(stages) <= 40
    assert sorted(numbers(sieve.ranking)) == sorted(quality)
    assert all(one.evaluation.count == 40 for one in sieve.runners)
    counts = [one.evaluation.count for one in sieve.ranking]
    assert counts == sorted(counts, reverse=True)
