from __future__ import annotations

import numpy as np
import pytest

from evo.anytime import EProcess, better, betting


def test_wealth_of_a_hand_computed_bet() -> None:
    stakes = np.linspace(0.05, 0.95, 19)
    found = betting([1.0, -1.0, 1.0])
    assert found.e_value == pytest.approx(np.mean((1 + stakes) * (1 - stakes) * (1 + stakes)))
    assert found.p_value == pytest.approx(1 / np.mean(1 + stakes))
    assert found.n == 3


def test_nothing_seen_says_nothing() -> None:
    assert betting([]) == EProcess(1.0, 1.0, 0)
    assert better({1: 1.0}, {2: 0.0}, [1, 2]) == EProcess(1.0, 1.0, 0)


def test_only_shared_rows_count_in_their_order() -> None:
    first, second = {1: 1.0, 2: 0.0, 3: 1.0}, {1: 0.0, 3: 1.0, 2: 1.0, 4: 0.0}
    assert better(first, second, [2, 4, 1, 3]) == betting([-1.0, 1.0, 0.0])


def test_a_difference_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
        betting([0.5, 1.5])


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_looking_after_every_row_errs_no_more_often_than_promised(spread: float) -> None:
    rng = np.random.default_rng(7)
    draws = rng.choice([-spread, 0.0, spread], size=(2000, 300), p=[0.25, 0.5, 0.25])
    errors = np.mean([betting(row).p_value <= 0.05 for row in draws])
    assert errors <= 0.05


def test_a_real_gain_is_found() -> None:
    rng = np.random.default_rng(8)
    draws = rng.choice([-1.0, 0.0, 1.0], size=(300, 200), p=[0.08, 0.64, 0.28])  # twenty points better
    assert np.mean([betting(row).p_value <= 0.05 for row in draws]) > 0.8


def test_long_runs_do_not_overflow() -> None:
    found = betting([1.0] * 5000)
    assert np.isfinite(found.e_value)
    assert found.p_value < 1e-300 or found.p_value == 0.0
