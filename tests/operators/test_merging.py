from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from breeding import ScriptedLlm

from evo.model import Evaluation, Individual, Outcome, Prompt
from operators.merging import Merge, contested, drawn_merge, merged

ROOT = {"system": "s0", "instruction": "i0", "stage-2": "t0"}


def node(number: int, score: float, *parents: int, **parts: str) -> Individual:
    changed = {name.replace("stage2", "stage-2"): text for name, text in parts.items()}
    return Individual(
        number,
        Prompt.of({**ROOT, **changed}),
        "reflect",
        tuple((parent, "base") for parent in parents),
        evaluation=Evaluation.of(Outcome(row, score) for row in range(4)),
    )


ROOT_NODE = node(0, 0.4)
LEFT, RIGHT = node(1, 0.6, 0, system="s1"), node(2, 0.5, 0, instruction="i2")


def drawn(
    front: list[Individual], pool: list[Individual], tried: list[tuple[int, int, int]] | None = None, seed: int = 0
) -> tuple[int, ...] | None:
    found = drawn_merge(front, pool, tried or [], np.random.default_rng(seed))
    return None if found is None else tuple(one.number for one in found)


def test_of_each_part_the_side_that_changed_it_counts() -> None:
    assert merged(LEFT, RIGHT, ROOT_NODE) == Prompt.of({**ROOT, "system": "s1", "instruction": "i2"})
    assert merged(RIGHT, LEFT, ROOT_NODE) == merged(LEFT, RIGHT, ROOT_NODE)


def test_where_both_changed_a_part_the_better_ones_counts() -> None:
    left, right = node(1, 0.6, 0, system="s1", instruction="i1"), node(2, 0.7, 0, system="s2", stage2="t2")
    assert merged(left, right, ROOT_NODE) == Prompt.of({"system": "s2", "instruction": "i1", "stage-2": "t2"})
    same = node(3, 0.6, 0, system="a longer text")
    assert merged(same, LEFT, ROOT_NODE).part("system") == "s1"


def test_a_part_both_changed_alike_stays_so() -> None:
    one, other = node(1, 0.6, 0, system="s9", instruction="i1"), node(2, 0.7, 0, system="s9")
    assert merged(one, other, ROOT_NODE) == Prompt.of({**ROOT, "system": "s9", "instruction": "i1"})


async def test_merging_calls_no_model() -> None:
    llm = ScriptedLlm(lambda request: "")
    child = await Merge()([LEFT, RIGHT, ROOT_NODE], llm, np.random.default_rng(0))
    assert child == merged(LEFT, RIGHT, ROOT_NODE)
    assert llm.requests == []


def test_a_pair_needs_a_common_ancestor_and_must_not_be_one_line() -> None:
    pool = [ROOT_NODE, LEFT, RIGHT]
    assert drawn([RIGHT, LEFT], pool) == (1, 2, 0)
    assert drawn([LEFT, ROOT_NODE], pool) is None
    assert drawn([LEFT], pool) is None
    stranger = node(9, 0.9, instruction="i9")
    assert drawn([LEFT, stranger], [*pool, stranger]) is None
    grandchild = node(3, 0.7, 1, system="s1", stage2="t3")
    assert drawn([LEFT, grandchild], [*pool, grandchild]) is None
    assert drawn([RIGHT, grandchild], [*pool, grandchild]) == (2, 3, 0)


def test_an_ancestor_that_left_the_pool_no_longer_counts() -> None:
    assert drawn([LEFT, RIGHT], [LEFT, RIGHT]) is None


def test_an_ancestor_must_not_be_fitter_than_either() -> None:
    proud = node(0, 0.55)
    assert drawn([LEFT, RIGHT], [proud, LEFT, RIGHT]) is None


def test_with_a_single_part_no_pair_qualifies() -> None:
    root, one, other = (
        Individual(n, Prompt.of(f"text {n}"), "reflect", ((0, "base"),) * (n > 0), evaluation=LEFT.evaluation)
        for n in range(3)
    )
    assert drawn([one, other], [root, one, other]) is None


def test_what_was_tried_or_lives_is_not_merged_again() -> None:
    pool = [ROOT_NODE, LEFT, RIGHT]
    assert drawn([LEFT, RIGHT], pool, [(1, 2, 0)]) is None
    child = node(3, 0.1, 7, system="s1", instruction="i2")
    assert drawn([LEFT, RIGHT], [*pool, child]) is None


def test_prompts_with_other_parts_are_not_merged() -> None:
    guest = Individual(5, Prompt.of("alone"), "reflect", ((0, "base"),), evaluation=LEFT.evaluation)
    assert drawn([LEFT, guest], [ROOT_NODE, LEFT, guest]) is None


def test_ancestors_are_drawn_in_proportion_to_their_fitness() -> None:
    old, middle = node(0, 0.1), node(1, 0.3, 0, stage2="t1")
    left, right = node(2, 0.9, 1, stage2="t1", system="s2"), node(3, 0.9, 1, stage2="t1", instruction="i3")
    pool = [old, middle, left, right]
    found = Counter(drawn([left, right], pool, seed=seed) for seed in range(400))
    assert set(found) == {(2, 3, 0), (2, 3, 1)}
    assert 0.15 < found[2, 3, 0] / 400 < 0.35
    worthless = [node(0, 0.0), node(1, 0.0, 0, stage2="t1"), left, right]
    assert drawn([left, right], worthless) in found


def scored(number: int, scores: Sequence[float]) -> Individual:
    outcomes = Evaluation.of(Outcome(row, score) for row, score in enumerate(scores))
    return Individual(number, Prompt.of("x"), "reflect", evaluation=outcomes)


def test_the_gate_takes_rows_won_by_the_one_by_the_other_and_by_neither() -> None:
    one, other = scored(1, [1] * 4 + [0] * 4 + [1] * 4), scored(2, [0] * 4 + [1] * 4 + [1] * 4)
    for seed in range(20):
        rows = contested(one, other, range(12), np.random.default_rng(seed))
        assert len(set(rows)) == 5
        assert [sum(row // 4 == third for row in rows) for third in range(3)] == [2, 2, 1]


def test_other_rows_make_up_for_those_there_are_too_few_of() -> None:
    one, other = scored(1, [1.0] * 6), scored(2, [1.0] * 5 + [0.0])
    rows = contested(one, other, range(6), np.random.default_rng(0))
    assert len(set(rows)) == 5
    assert 5 in rows
    assert contested(one, scored(3, [1.0, 1.0]), range(6), np.random.default_rng(0)) == (0, 1)
