from __future__ import annotations

import pickle

import numpy as np

from operators.told import Told


def told(numbers: list[int]) -> Told:
    grown = Told()
    for number in numbers:
        grown = grown.add(number)
    return grown


def test_it_holds_what_was_added_and_no_more() -> None:
    numbers = np.random.default_rng(0).integers(0, 2000, 1000).tolist()
    grown = told(numbers)
    assert [number for number in range(2000) if number in grown] == sorted({*numbers})
    assert sorted(grown) == sorted({*numbers})


def test_adding_leaves_the_old_set_as_it_was_and_adding_twice_changes_nothing() -> None:
    old = told([1, 2, 3])
    new = old.add(4)
    assert (4 in old, 4 in new) == (False, True)
    assert new.add(2) is new


def test_sets_are_equal_whatever_the_order_of_adding() -> None:
    numbers = list(range(100))
    forth, back = told(numbers), told(numbers[::-1])
    assert forth == back
    assert hash(forth) == hash(back)
    assert forth != told(numbers[1:])
    assert pickle.loads(pickle.dumps(forth)) == back


def test_the_work_of_adding_grows_with_the_logarithm_of_the_size() -> None:
    grown, copied = Told(), 0
    for number in range(20_000):
        before = {id(layer) for layer in grown.layers}
        grown = grown.add(number)
        copied += sum(len(layer) for layer in grown.layers if id(layer) not in before)
    assert copied <= 20_000 * 16
    assert len(grown.layers) <= 15
