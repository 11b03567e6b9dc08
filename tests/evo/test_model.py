from __future__ import annotations

import dataclasses
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import born

from evo.errors import ConfigError, LlmError
from evo.model import (
    Budget,
    Evaluation,
    Individual,
    Outcome,
    Prompt,
    Request,
    Score,
    best_of,
    by_fitness,
    individual_number,
    island_of,
    sequence_of,
)
from evo.ports import Proposal
from evo.randomness import child_rng, draw_seed

OUTCOMES = st.lists(st.builds(Outcome, st.integers(0, 9), st.none() | st.floats(0, 1)), max_size=12)


@given(island=st.integers(0, 2**22), sequence=st.integers(0, 2**40 - 1))
def test_a_number_holds_island_and_sequence(island, sequence):
    number = individual_number(island, sequence)
    assert (island_of(number), sequence_of(number)) == (island, sequence)
    assert number < 2**63


@given(first=OUTCOMES, second=OUTCOMES)
def test_merged_evidence_is_sorted_by_example_and_the_later_counts(first, second):
    merged = Evaluation.of(first).merge(Evaluation.of(second))
    assert merged == Evaluation.of([*first, *second])
    assert [o.example for o in merged.outcomes] == sorted({o.example for o in [*first, *second]})
    assert all(merged.merge(one) == merged for one in (Evaluation(), merged))


@given(outcomes=OUTCOMES)
def test_a_missing_score_is_left_out_and_never_zero(outcomes):
    evaluation = Evaluation.of(outcomes)
    present = [o.score for o in evaluation.outcomes if o.score is not None]
    assert evaluation.count == len(present) == len(evaluation.scores)
    assert evaluation.count + len(evaluation.missing) == len(evaluation.outcomes)
    rounding = 1e-12  # the mean of three equal scores can lie beside them by the last bit
    if present:
        assert min(present) - rounding <= evaluation.mean <= max(present) + rounding
    else:
        assert math.isnan(evaluation.mean)
    failures = evaluation.failures(3)
    assert len(failures) <= 3
    assert [o.score for o in failures] == sorted(score for score in present if score < 1)[:3]


@pytest.mark.parametrize(("costs", "total"), [([], 0.0), ([0.5, 0.25], 0.75), ([0.5, None], None)])
def test_an_unknown_price_makes_the_sum_unknown(costs, total):
    assert Evaluation(tuple(Outcome(i, 1.0, cost_usd=c) for i, c in enumerate(costs))).cost_usd == total


def test_the_best_has_evidence_and_ties_go_to_the_shorter_then_the_older():
    some = [born(4, "longer", [1]), born(3, "b", [1]), born(2, "a", [1]), born(1, "x", [None]), born(0, "y", [0.5])]
    assert [one.number for one in sorted(some, key=by_fitness)] == [2, 3, 4, 0, 1]
    assert best_of(some).number == 2
    with pytest.raises(ValueError, match="none of 1 individuals has a score yet"):
        best_of([some[3]])


def test_prompts_are_known_by_their_content():
    prompt = Prompt((("instruction", "a"), ("stage", "b")))
    assert prompt.hash == Prompt((("instruction", "a"), ("stage", "b"))).hash
    assert len({prompt.hash, prompt.with_text("b").hash, Prompt.of("a").hash, prompt.with_part("new", "").hash}) == 4
    assert prompt.with_part("stage", "c").parts == (("instruction", "a"), ("stage", "c"))
    assert prompt.with_part("third", "c").part("third") == "c"
    with pytest.raises(KeyError, match="no part 'x' in this prompt; it has"):
        prompt.part("x")
    Prompt.of("\ud800").hash  # noqa: B018 - any text has one


def test_every_field_of_a_request_is_part_of_its_key():
    changed = {
        "messages": (("user", "b"),),
        "temperature": 0.5,
        "top_p": 0.5,
        "max_tokens": 7,
        "seed": 1,
        "stop": ("x",),
        "choices": ("x",),
        "replicate": 1,
        "embedding": True,
    }
    assert set(changed) == {field.name for field in dataclasses.fields(Request)}
    base = Request.user("a")
    others = {dataclasses.replace(base, **{name: value}).key("m") for name, value in changed.items()}
    assert len({base.key("m"), base.key("n"), *others}) == len(changed) + 2


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_outside_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\].*; rescale it"):
        Score(value)


@pytest.mark.parametrize(
    "given", [{"value": "1"}, {"value": None}, {"answer": 7}, {"reason": None}, {"parsed": 1}], ids=str
)
def test_a_score_of_other_types_is_refused(given):
    ((name, value),) = given.items()
    with pytest.raises(TypeError, match=f"a score's {name} is a .*, but a scorer gave {value!r}"):
        Score(**{"value": 1.0, **given})


@pytest.mark.parametrize("value", [True, 1, np.float32(1)], ids=repr)
def test_a_score_of_any_number_is_one_that_the_log_can_hold(value):
    assert type(Score(value).value) is float


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds", "births"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_cap_of_nothing_is_refused(name, value):
    with pytest.raises(ValueError, match=f"budget {name} must be positive, got {value}; leave it out"):
        Budget(**{name: value})


def test_a_proposal_needs_a_role_for_each_parent_and_knows_its_generation():
    parents = (born(1, generation=2), born(2, generation=5))
    proposal = Proposal(None, parents, ("base", "mate"))
    assert (proposal.edges, proposal.generation) == (((1, "base"), (2, "mate")), 6)
    assert Proposal(None).generation == 0
    with pytest.raises(ValueError, match="a role for each of 2 parents"):
        Proposal(None, parents, ("base",))


def test_data_cannot_be_changed():
    for thing in (Prompt.of("a"), Outcome(0, 1.0), Evaluation(), born(1), Request.user("a"), Budget()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, dataclasses.fields(thing)[0].name, None)


@pytest.mark.parametrize("error", [ConfigError("a"), LlmError("b", transient=True, fatal=True, retry_after_s=3.5)])
def test_errors_travel_between_processes_whole(error):
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_an_individual_without_evidence_is_not_ok():
    assert not Individual(1, Prompt.of("a"), "seed").ok
    assert not born(1, "a", [None]).ok
    assert born(1, "a", [0.0]).ok


def test_luck_hangs_on_its_arguments_alone_also_in_another_process():
    draws = [child_rng(1, "ask", 0, 3).random(), child_rng(1, "ask", 0, 3).random()]
    assert draws[0] == draws[1]
    others = [child_rng(2, "ask", 0, 3), child_rng(1, "race", 0, 3), child_rng(1, "ask", 3, 0), child_rng(1, "ask", 0)]
    assert len({draws[0], *(rng.random() for rng in others)}) == 5
    script = "from evo.randomness import child_rng; print(repr(float(child_rng(1, 'ask', 0, 3).random())))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert float(told) == draws[0]
    assert all(0 <= draw_seed(np.random.default_rng(seed)) < 2**31 for seed in range(50))


def test_a_request_without_an_embedding_has_the_key_it_had_before_there_were_any():
    request = Request.user("Hi", temperature=0.5, seed=3, choices=("a", "b"))
    assert request.key("m") == "2ae2baa9becfe9bd2bc8686454542a67"
