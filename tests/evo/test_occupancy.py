"""How full the slots were, by calls whose times are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evo.occupancy import Spans, births, busiest, occupancy, percentiles


def spans(*calls: tuple[int, float, float, bool]) -> Spans:
    """Return calls of (individual, began, ended, scores)."""
    who, began, ended, scores = zip(*calls, strict=True) if calls else ((), (), (), ())
    return Spans(np.array(who, int), np.array(began, float), np.array(ended, float), np.array(scores, bool))


def test_time_is_shared_out_from_the_first_to_the_last_full_wave():
    calls = spans(
        (1, 0, 2, True),  # one alone before the first wave: not looked at
        (1, 1, 3, True),
        (2, 5, 6, False),
        (3, 8, 10, True),
        (3, 9, 10, True),
        (3, 10, 12, True),
    )
    found = occupancy(calls, 2, 0, 20)
    assert found["waves"]
    assert found["seconds"] == 9  # from 1 to 10
    assert found["mean_in_flight"] == pytest.approx((1 + 2 + 1 + 2 + 1) / 9)
    shares = {name: found[name] * 9 for name in ("full", "scoring", "operators", "none")}
    assert shares == pytest.approx({"full": 2, "scoring": 2, "operators": 1, "none": 4})


def test_without_a_full_wave_the_whole_search_is_looked_at():
    found = occupancy(spans((1, 2, 4, True)), 8, 0, 10)
    assert not found["waves"]
    assert (found["seconds"], found["mean_in_flight"], found["none"]) == pytest.approx((10, 0.2, 0.8))


def test_a_wave_that_lasts_to_the_end_of_the_search_is_cut_there():
    found = occupancy(spans((1, 1, 9, True)), 1, 0, 5)
    assert (found["seconds"], found["full"], found["mean_in_flight"]) == (4, 1, 1)


def test_of_no_call_at_all_there_is_nothing_but_idle_time():
    assert occupancy(spans(), 4, 3, 5)["none"] == 1
    assert occupancy(spans(), 4, 3, 3)["mean_in_flight"] == 0


def test_calls_of_a_birth_that_overlap_count_once_and_those_after_it_not():
    calls = spans((7, 1, 3, True), (7, 2, 4, True), (7, 9, 20, True), (7, 30, 40, True), (8, 0, 50, True))
    found = births(calls, {7: 0.0, 9: 1.0}, {7: 10.0})
    assert found == {"births": 1, "mean_s": 10, "calling": pytest.approx(0.4)}


def test_nothing_is_said_of_no_births():
    assert births(spans(), {}, {}) == {"births": 0, "mean_s": None, "calling": None}


def test_percentiles_of_nothing_are_unknown():
    assert percentiles([]) == {"p50_s": None, "p90_s": None, "p99_s": None}
    assert percentiles([1.0, 2.0, 3.0])["p50_s"] == 2


def test_the_busiest_moment_counts_no_call_that_ends_as_another_begins():
    assert busiest(spans((1, 0, 2, True), (1, 1, 3, True), (2, 2, 4, True))) == 2
    assert busiest(spans()) == 0
