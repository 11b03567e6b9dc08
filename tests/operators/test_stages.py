from __future__ import annotations

from itertools import permutations

from breeding import failed, individual

from evo.model import Evaluation, Individual, Outcome
from evo.ports import Evidence, Proposal
from operators.seeds import Seed
from operators.stages import Stage, rows_of

OLD = individual(3, "An old one.")  # scored on row 0
BIRTH = Proposal(Seed(OLD.prompt))
PLAN = (BIRTH, Evidence(OLD, (4, 5)), BIRTH)


def tried(*rows: int, score: float | None = 0.5) -> Individual:
    return OLD.with_evidence(Evaluation.of(Outcome(row, score) for row in rows), Evaluation())


def asked() -> Stage:
    stage = Stage(PLAN)
    for place, number in enumerate((10, 11, 12)):
        step, stage = stage.ask(number)
        assert step == PLAN[place]
    return stage


def test_steps_are_asked_for_in_the_order_of_the_plan_and_only_once() -> None:
    stage = asked()
    assert stage.ask(13) == (None, stage)
    assert stage.numbers == (10, 3, 12)
    assert not stage.closed


def test_the_order_of_telling_does_not_matter() -> None:
    ends = (individual(10, "One."), tried(4, 5), failed(12))
    stages = set()
    for order in permutations(ends):
        stage = asked()
        for one in order:
            assert stage.awaits(one)
            stage = stage.tell(one)
            assert not stage.awaits(one)
        assert stage.closed
        stages.add((stage.told, stage.results))
    assert len(stages) == 1
    assert stage.results == (ends[0], ends[1], None)
    assert stage.living == (ends[1], ends[0])


def test_evidence_is_awaited_until_all_rows_asked_for_were_tried() -> None:
    stage = asked()
    assert not stage.awaits(OLD)
    assert not stage.awaits(tried(4))
    assert stage.awaits(tried(4, 5, score=None))


def test_only_what_was_asked_for_is_awaited() -> None:
    assert not Stage(PLAN).awaits(individual(10, "One."))
    assert not asked().awaits(individual(11, "One."))
    assert Stage(PLAN).results == (None, None, None)


def test_a_stage_without_steps_is_closed() -> None:
    assert Stage().closed
    assert not Stage(PLAN).closed


def test_rows_tried_are_those_of_dev_and_train_with_or_without_a_score() -> None:
    practised = tried(4, score=None).with_evidence(Evaluation(), Evaluation.of([Outcome(9, 1.0)]))
    assert rows_of(practised) == {0, 4, 9}
