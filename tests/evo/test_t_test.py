"""Values by hand or from printed tables of Student's t; nothing here needs scipy."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.t_test import p_above, student_tail


@pytest.mark.parametrize("t", [-3.0, -0.5, 0.0, 0.7, 2.0, 40.0])
def test_one_and_two_degrees_have_closed_forms(t: float) -> None:
    assert student_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, abs=1e-14)
    assert student_tail(t, 2) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), abs=1e-14)


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [
        (2.353, 3, 0.05),
        (3.747, 4, 0.01),
        (2.571, 5, 0.025),
        (1.440, 6, 0.1),
        (1.812, 10, 0.05),
        (0.879, 10, 0.2),
        (0.854, 29, 0.2),
        (2.045, 29, 0.025),
        (3.396, 29, 0.001),
        (2.042, 30, 0.025),
        (1.671, 60, 0.05),
        (1.984, 100, 0.025),
        (0.842, 299, 0.2),
    ],
)
def test_the_printed_tables_agree(t: float, freedom: int, tail: float) -> None:
    assert student_tail(t, freedom) == pytest.approx(tail, rel=5e-3)


@given(t=st.floats(-50, 50), freedom=st.integers(1, 300))
def test_the_tail_is_a_symmetric_falling_probability(t: float, freedom: int) -> None:
    assert 0 <= student_tail(t, freedom) <= 1
    assert student_tail(t, freedom) + student_tail(-t, freedom) == pytest.approx(1)
    assert student_tail(t + 0.01, freedom) <= student_tail(t, freedom) + 1e-15


def test_many_degrees_are_nearly_normal() -> None:
    assert student_tail(1.959964, 5000) == pytest.approx(0.025, abs=1e-4)


def test_no_degree_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 degree of freedom, got 0"):
        student_tail(1.0, 0)


def test_a_paired_test_by_hand() -> None:
    # differences 1, 2, 3: mean 2, standard deviation 1, t = 2 / (1 / sqrt 3) = 2 sqrt 3 with 2 degrees
    assert p_above([1, 2, 3]) == pytest.approx(0.5 - 2 * math.sqrt(3) / (2 * math.sqrt(14)))
    # 1, 0, 0, 1, 0, less a margin of 1/5: mean 1/5 above it, variance 3/10, t = (1/5) / sqrt(3/50) with 4 degrees
    t = float(Fraction(1, 5)) / math.sqrt(3 / 50)
    assert p_above([1, 0, 0, 1, 0], margin=0.2) == pytest.approx(student_tail(t, 4))
    assert p_above([-1, 0, 0, -1, 0], margin=-0.2) == pytest.approx(1 - student_tail(t, 4))


@pytest.mark.parametrize(
    ("differences", "margin", "p"),
    [([], 0, 1), ([1.0], 0, 1), ([0, 0, 0], 0, 1), ([0, 0, 0], -0.01, 0), ([1, 1], 0, 0), ([-1, -1], 0, 1)],
)
def test_differences_that_do_not_vary_decide_by_their_sign(differences: list[float], margin: float, p: float) -> None:
    assert p_above(differences, margin) == p
