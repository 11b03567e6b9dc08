from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import LlmError
from fitness.embedding import unit


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40).filter(lambda values: math.hypot(*values) > 1e-3))
def test_a_vector_keeps_its_direction_and_gets_the_length_one(values: list[float]) -> None:
    scaled = unit(values)
    assert math.hypot(*scaled) == pytest.approx(1, abs=1e-5)
    assert [value * math.hypot(*values) for value in scaled] == pytest.approx(values, abs=1e-2)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_a_vector_without_a_direction_is_no_embedding(values: list[float]) -> None:
    with pytest.raises(LlmError, match="expected an embedding of finite numbers"):
        unit(values)
