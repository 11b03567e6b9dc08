"""How often a process looks for garbage while a run goes on in it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from evo.processes import COLLECT_AFTER, rare_collection


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_garbage_is_looked_for_rarely_until_the_last_run_has_ended() -> None:
    first, second = rare_collection(), rare_collection()
    first.__enter__()
    second.__enter__()
    assert gc.get_threshold() == COLLECT_AFTER
    first.__exit__(None, None, None)
    assert gc.get_threshold() == COLLECT_AFTER
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (50_000, 5, 5)], ids=["off", "rarer still"])
def test_whoever_looks_more_rarely_or_never_is_left_alone(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with rare_collection():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_what_is_set_meanwhile_stays() -> None:
    with rare_collection():
        gc.set_threshold(1234, 5, 6)
    assert gc.get_threshold() == (1234, 5, 6)
