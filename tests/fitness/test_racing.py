import numpy as np
import pytest

from evo.errors import ConfigError
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.rivals import Rivals
from fitness.racing import Full, Gate, Subset

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
