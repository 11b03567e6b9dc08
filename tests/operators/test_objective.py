from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from breeding import individual

from evo.model import Evaluation, Example, Individual, Outcome, Prompt
from operators.objective import Points

LABELS = ("good", "bad")
ROWS = tuple(Example(n, {"input": f"text {n}"}, "good" if n < 8 else "bad", LABELS) for n in range(10))


def one(number: int, answers: Sequence[str | None], rows: Sequence[Example] = ROWS) -> Individual:
    """Return an individual that gave these answers; None: the call failed, empty: nothing could be read."""
    outcomes = [
        Outcome(row.number, None, error="busy")
        if answer is None
        else Outcome(row.number, float(answer.casefold() == row.target), answer=answer, parsed=bool(answer))
        for row, answer in zip(rows, answers, strict=True)
    ]
    return Individual(number, Prompt.of(f"prompt {number}"), "seed", evaluation=Evaluation.of(outcomes))


def points(*individuals: Individual, labels: Any = LABELS, objective: Any = "balanced") -> dict[int, float]:
    return Points(ROWS, labels, objective).of(individuals)


def test_a_rare_label_counts_as_much_as_a_frequent_one() -> None:
    constant, mixed = one(0, ["good"] * 10), one(1, ["good"] * 4 + ["bad"] * 6)
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert points(constant, mixed) == pytest.approx({0: 50.0, 1: 75.0 + 10 * entropy})
    assert points(constant, mixed, objective="accuracy") == pytest.approx({0: 80.0, 1: 60.0})


def test_the_entropy_is_in_nats() -> None:
    inverted = one(0, ["bad"] * 8 + ["good"] * 2)
    assert points(inverted)[0] == pytest.approx(-10 * (0.8 * math.log(0.8) + 0.2 * math.log(0.2)))


def test_a_prompt_that_always_says_one_label_loses_to_one_as_accurate_that_does_not() -> None:
    always, sometimes = one(0, ["good"] * 10), one(1, (["good"] * 4 + ["bad"] * 4 + ["good", "bad"]))
    found = points(always, sometimes)
    assert found[0] == pytest.approx(50.0)
    assert found[1] == pytest.approx(50.0 + 10 * math.log(2))


def test_replies_without_a_label_are_wrong_but_no_label() -> None:
    silent, chatty = one(0, ["good"] * 8 + ["", ""]), one(1, ["good"] * 8 + ["Paris", "I do not know"])
    assert points(silent, chatty) == pytest.approx({0: 50.0, 1: 50.0})
    assert points(one(2, [""] * 10)) == {2: 0.0}


def test_labels_are_known_whatever_their_case_and_marks() -> None:
    mixed = one(0, ["Good."] * 4 + ["GOOD"] * 4 + ["bad", "Bad"])  # "Good." has no score here, but is a label
    assert points(mixed)[0] == pytest.approx(75 - 10 * (0.8 * math.log(0.8) + 0.2 * math.log(0.2)))
    cases = one(1, ["A"] * 5 + ["a"] * 5)
    assert points(cases, labels=("A", "a"))[1] == pytest.approx(10 * math.log(2))


def test_without_labels_the_mean_score_counts() -> None:
    half = individual(0, "x", evaluation=Evaluation.of([Outcome(0, 0.25, answer="7"), Outcome(1, 0.75, answer="8")]))
    assert points(half, labels=()) == {0: 50.0}


def test_everyone_is_compared_on_the_rows_all_have_a_score_on() -> None:
    lucky = one(0, ["good"] * 8 + [None, None])  # never saw the rows that are hard
    whole = one(1, ["good"] * 8 + ["good", "good"])
    assert points(lucky, whole) == {0: 100.0, 1: 100.0}
    assert points(whole) == {1: 50.0}


def test_one_whose_calls_failed_does_not_shrink_the_comparison() -> None:
    whole, broken = one(0, ["good"] * 10), one(1, [None] * 6 + ["good", "good", None, None])
    assert points(whole, broken) == {0: 50.0}
    assert points(broken) == {1: 100.0}
    assert points(one(2, [None] * 10)) == {}


def test_rows_of_other_splits_do_not_count() -> None:
    stranger = individual(0, "x", evaluation=Evaluation.of([Outcome(77, 1.0)]))
    assert points(stranger) == {}
    assert points() == {}
