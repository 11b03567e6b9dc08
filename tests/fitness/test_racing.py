import numpy as np
import pytest
from individuals import child
from individuals import scored as individual

from evo.errors import ConfigError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.rivals import Rivals, Tally
from fitness.racing import Full, Gate, ParentGate, Subset

ORDER = (5, 3, 9, 1, 7)
RNG = np.random.default_rng(0)


def newborn(*outcomes: Outcome) -> Individual:
    return Individual(1, Prompt.of("p"), "seed", evaluation=Evaluation.of(outcomes))


def scored(*numbers: int) -> list[Outcome]:
    return [Outcome(number, 1.0) for number in numbers]


def test_full_asks_for_everything_once_in_order():
    assert Full().next(newborn(), Rivals(), ORDER, RNG) == ORDER
    assert Full().next(newborn(*scored(*ORDER)), Rivals(), ORDER, RNG) == ()


def test_what_failed_is_not_asked_again():
    failed = [Outcome(number, None, error="timeout") for number in ORDER]
    assert Full().next(newborn(*failed), Rivals(), ORDER, RNG) == ()
    assert Subset(2).next(newborn(*failed[:1]), Rivals(), ORDER, RNG) == (3,)


def test_what_is_known_already_is_left_out():
    assert Full().next(newborn(*scored(9, 5)), Rivals(), ORDER, RNG) == (3, 1, 7)


def test_subset_takes_the_first_of_the_order_once():
    assert Subset(3).next(newborn(), Rivals(), ORDER, RNG) == (5, 3, 9)
    assert Subset(3).next(newborn(*scored(5, 3, 9)), Rivals(), ORDER, RNG) == ()
    assert Subset(50).next(newborn(), Rivals(), ORDER, RNG) == ORDER


def test_sizes_for_the_estimate():
    assert (Full().size(80), Subset().size(80), Subset().size(500)) == (80, 80, 100)
    assert (ParentGate().size(80), ParentGate(n=50).size(80)) == (80, 50)


@pytest.mark.parametrize("n", [0, -3])
def test_a_subset_of_nothing_is_refused(n):
    with pytest.raises(ConfigError, match="n of at least 1"):
        Subset(n)


def test_gate_opens_for_a_newborn_that_is_not_behind_the_median_rival():
    rivals = [newborn(Outcome(5, value), Outcome(3, value), Outcome(9, 0.0)) for value in (0.0, 0.5, 1.0)]
    gate = Gate((2, 4))
    assert gate.next(newborn(), Rivals(tuple(rivals)), ORDER, RNG) == (5, 3)
    assert gate.next(newborn(Outcome(5, 1.0), Outcome(3, 0.0)), Rivals(tuple(rivals)), ORDER, RNG) == (9, 1)
    assert gate.next(newborn(Outcome(5, 0.4), Outcome(3, 0.5)), Rivals(tuple(rivals)), ORDER, RNG) is None
    assert gate.next(newborn(*scored(5, 3, 9, 1)), Rivals(tuple(rivals)), ORDER, RNG) == ()


def test_gate_is_open_without_rivals_and_without_evidence():
    gate = Gate((2, 4))
    assert gate.next(newborn(Outcome(5, 0.0), Outcome(3, 0.0)), Rivals(), ORDER, RNG) == (9, 1)
    lost = [Outcome(5, None, error="timeout"), Outcome(3, None, error="timeout")]
    assert gate.next(newborn(*lost), Rivals((newborn(*scored(5, 3)),)), ORDER, RNG) == (9, 1)


def test_each_stage_has_its_own_bar():
    rival = newborn(Outcome(5, 0.0), Outcome(3, 1.0), Outcome(9, 1.0), Outcome(1, 1.0))
    gate = Gate((1, 2, 4))
    assert gate.next(newborn(Outcome(5, 0.0)), Rivals((rival,)), ORDER, RNG) == (3,)
    assert gate.next(newborn(Outcome(5, 0.0), Outcome(3, 0.5)), Rivals((rival,)), ORDER, RNG) is None
    assert gate.next(newborn(Outcome(5, 0.0), Outcome(3, 1.0)), Rivals((rival,)), ORDER, RNG) == (9, 1)


@pytest.mark.parametrize("stages", [(), (0, 5), (5, 5), (9, 4)])
def test_gate_checks_its_stages(stages):
    with pytest.raises(ConfigError, match="stages that grow"):
        Gate(stages)


PARENT = individual(0, {5: 1.0, 3: 0.0, 9: 1.0, 1: None})


def gated(policy: ParentGate, one: Individual, *parents: Individual) -> tuple[int, ...] | None:
    return policy.next(one, Rivals(parents=parents), ORDER, np.random.default_rng(1))


def test_the_minibatch_is_of_rows_the_parent_has_a_score_on():
    drawn = {gated(ParentGate(2), child(1), individual(0, dict.fromkeys(ORDER, 0.5)))}
    for seed in range(30):
        rows = ParentGate(2).next(child(1), Rivals(parents=(PARENT,)), ORDER, np.random.default_rng(seed))
        assert len(set(rows)) == 2
        assert set(rows) <= {5, 3, 9}
        drawn.add(rows)
    assert len(drawn) > 2


@pytest.mark.parametrize(
    ("scores", "ties", "expected"),
    [
        ({5: 1.0, 3: 0.5}, False, (9, 1, 7)),
        ({5: 0.5, 3: 0.5}, False, None),
        ({5: 0.5, 3: 0.5}, True, (9, 1, 7)),
        ({5: 0.5, 3: 0.4}, True, None),
        ({5: None, 3: None}, False, (9, 1, 7)),
        ({5: None, 3: 0.1}, False, (9, 1, 7)),
    ],
)
def test_a_child_goes_on_that_is_better_than_its_parent_on_the_rows_both_have(scores, ties, expected):
    assert gated(ParentGate(2, ties=ties), child(1, scores), PARENT) == expected


def test_of_several_parents_the_base_is_the_bar():
    weak = individual(7, {5: 0.0, 3: 0.0})
    one = child(1, {5: 0.5, 3: 0.5}, parents=((7, "mate"), (0, "base")))
    assert gated(ParentGate(2), one, weak, PARENT) is None
    assert gated(ParentGate(2), child(1, {5: 0.5, 3: 0.5}, parents=((7, "donor1"),)), weak) == (9, 1, 7)


def test_nobody_is_held_up_without_a_parent_to_compare_with():
    assert gated(ParentGate(2), individual(1)) == ORDER
    assert gated(ParentGate(2, n=4), child(1), individual(0)) == ORDER[:4]
    assert gated(ParentGate(2, n=4), child(1, dict.fromkeys(ORDER[:4], 0.0)), PARENT) == ()


@pytest.mark.parametrize("policy", [Full(), Subset(3), Gate((2, 4)), ParentGate()])
def test_these_policies_give_the_living_nothing_more(policy):
    assert policy.more([individual(1, [1.0])], Tally(admitted=1000, generation=3), ORDER, RNG) is None


@pytest.mark.parametrize(("arguments", "words"), [({"minibatch": 0}, "minibatch of at least 1"), ({"n": 2}, "n of at")])
def test_parent_gate_checks_its_arguments(arguments, words):
    with pytest.raises(ConfigError, match=words):
        ParentGate(**arguments)
