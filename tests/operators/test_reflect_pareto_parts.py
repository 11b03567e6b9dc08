from __future__ import annotations

from dataclasses import replace

from reflecting import ALL_DEV, ALL_TRAIN, ONE, PARTS, World, in_parts

from evo.model import Prompt
from evo.ports import Evidence, Proposal
from operators.merging import Merge
from operators.pareto import ReflectPareto


def test_parts_take_turns_along_a_line_and_for_each_parent() -> None:
    made = in_parts(replies=["system 1", "instruction 1", "stage 1"])
    made.steps(9)
    best = made.state.members[0]
    assert dict(best.prompt.parts) == {"system": "system 1", "instruction": "instruction 1", "stage-2": "stage 1"}
    assert best.generation == 3
    parts = [step.part for step in made.steps(8) if isinstance(step, Proposal)]
    assert parts[:4] == ["system", "instruction", "stage-2", "system"]


def test_a_turn_is_not_lost_on_a_parent_that_was_skipped() -> None:
    perfect = {"now": True}
    made = in_parts(scores=lambda prompt, row: 1.0 if perfect["now"] and row in ALL_TRAIN else 0.2)
    made.steps(1)
    perfect["now"] = False
    births = [step for step in made.steps(3) if isinstance(step, Proposal)]
    assert [birth.part for birth in births] == ["system"]


def test_all_parts_at_once_or_one_at_random() -> None:
    made = in_parts(replace(ONE, module_selector="all"), replies=["a 1", "b 1", "c 1"])
    birth = made.steps(3)[1]
    assert birth.operator.parts == PARTS
    assert len(made.llm.requests) == 3
    assert dict(made.state.members[0].prompt.parts) == {"system": "a 1", "instruction": "b 1", "stage-2": "c 1"}
    made = in_parts(replace(ONE, module_selector="random"))
    parts = [step.part for step in made.steps(80) if isinstance(step, Proposal)]
    assert set(parts) == set(PARTS)
    assert parts != [PARTS[turn % 3] for turn in range(len(parts))]


def lineages(method: ReflectPareto, reply: str = "stage 9") -> World:
    """Return a world just before a merge: two children of the seed changed a part each, and the second just joined."""

    def scores(prompt: Prompt, row: int) -> float:
        parts = dict(prompt.parts)
        half = row % 2 if row in ALL_DEV else 0
        left, right = "1" in parts["system"], "1" in parts["instruction"]
        return (left and half == 0) * 0.5 + (right and half == 1) * 0.5 + (row in ALL_TRAIN) * 0.1 * (left + right)

    made = in_parts(method, replies=["system 1"], scores=scores)
    made.steps(3)
    made.state = replace(made.state, front=((0, 1),))
    made.replies = ["instruction 1"]
    made.steps(3)
    made.otherwise = reply
    return made


def test_two_lineages_are_merged_without_a_model_once_a_reflection_has_succeeded() -> None:
    made = lineages(replace(ONE, use_merge=True))
    calls = len(made.llm.requests)
    merge, comparison = made.steps(2)
    assert merge.operator == Merge()
    assert merge.roles == ("base", "mate", "ancestor")
    assert [parent.generation for parent in merge.parents] == [1, 1, 0]
    assert set(merge.examples) <= set(ALL_DEV)
    assert len(merge.examples) == 5
    assert set(comparison.examples) == set(ALL_DEV) - set(merge.examples)
    best = made.state.members[0]
    assert dict(best.prompt.parts) == {"system": "system 1", "instruction": "instruction 1", "stage-2": "the stage-2"}
    assert best.fitness == 0.5
    assert len(made.llm.requests) == calls
    assert not any(isinstance(step, Proposal) and step.operator == Merge() for step in made.steps(8))


def test_without_the_option_or_beyond_the_limit_nothing_is_merged() -> None:
    for method in (ONE, replace(ONE, use_merge=True, max_merge_invocations=0)):
        made = lineages(method)
        assert not any(isinstance(step, Proposal) and step.operator == Merge() for step in made.steps(8))


def test_a_merged_prompt_worse_than_either_parent_on_the_gate_is_dropped_and_not_tried_again() -> None:
    made = lineages(replace(ONE, use_merge=True))
    before = list(made.state.members)
    bad = made.scores
    made.scores = lambda prompt, row: 0.0 if "1" in prompt.part("system") and "1" in prompt.text else bad(prompt, row)
    assert made.step().operator == Merge()
    assert list(made.state.members) == before
    assert made.state.waiting == ()
    assert len(made.state.merges) == 1
    made.state = replace(made.state, grown=True)
    assert isinstance(made.step(), Evidence)
