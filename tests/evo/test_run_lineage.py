"""Questions to a run that is still going, or has measured more since a birth."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import born, write

from evo import EvoError, Run
from evo.ancestry import Ancestry
from evo.folder import RunFolder
from evo.model import DROPPED, Outcome, Prompt
from evo.schema import evaluation_rows, measurement_row
from evo.settings import RunSettings


@pytest.fixture
def run(tmp_path) -> Run:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    path = RunFolder.create(settings, base=Path(), title="t", fingerprint="f").path
    write(path, [born(0, "Sort.", [0.0, 1.0]), born(1, "Judge.", [1.0, 1.0])])
    return Run(path)


def test_what_is_born_meanwhile_is_seen_and_the_index_is_kept_while_nothing_is(run):
    assert run.lineage(0).descendants == []
    index = run.ancestry
    assert run.ancestry is index
    write(run.path, [born(2, "Sort it.", [1.0, 1.0, 1.0], (0, "base"), (1, "mate"), generation=1)])
    assert run.lineage(0).descendants == [2]
    assert run.lineage(2).common_ancestor(run.individual(0)) == 0
    assert run.lineage(0).common_ancestor(1) is None
    assert run.lineage().number == run.best.number == 2
    assert run.lineage(run.best).ancestors == [0, 1]


def test_the_fittest_parent_is_so_by_what_is_known_now(run):
    write(run.path, [born(2, "", [1.0], (0, "base"), (1, "mate"))])
    assert run.lineage(2).line_numbers() == [1, 2]
    later = [measurement_row(9, born(0, "", [1.0, 1.0])), measurement_row(10, born(1, "", [0.0, 1.0]))]
    write(run.path, [], measurements=[*later[:1], measurement_row(8, born(1, "", [1.0])), *later[1:]])
    assert run.lineage(2).line_numbers() == [0, 2]
    assert run.individuals()["fitness"].to_pylist() == [1.0, 0.5, 1.0]
    write(
        run.path, [born(3, "", [1.0, 1.0], (2, "base"), status=DROPPED), born(4, "", [0.0], (3, "base"), (1, "mate"))]
    )
    assert run.lineage(4).line_numbers() == [1, 4], "who did not stay in the race comes last"


def test_why_compares_dev_and_train_rows_and_never_test_rows(run):
    scored = [Outcome(7, 1.0), Outcome(8, 0.0)]
    rows = [*evaluation_rows(0, scored, "train"), *evaluation_rows(1, [Outcome(7, 0.0), Outcome(8, 0.0)], "train")]
    rows += [*evaluation_rows(1, [Outcome(9, 0.0)], "test"), *evaluation_rows(2, [Outcome(9, 1.0)], "test")]
    write(
        run.path, [born(2, "", [1.0, None], (0, "base"))], evaluations=[*rows, *evaluation_rows(2, scored[:1], "train")]
    )
    (step,) = run.lineage(2).why()
    assert step.gain is not None
    assert (step.gain.n, step.gain.mean) == (2, 0.5), "rows 0 and 7"
    assert (step.changes, step.won, step.lost, step.role) == (((0, 1.0),), (0,), (), "base")
    write(run.path, [born(3, "", [], (2, "base"))])
    assert run.lineage(3).why()[-1].gain is None


def test_two_individuals_are_compared_word_by_word(run):
    (part,) = run.diff(0, run.individual(1))
    assert [(change.kind, change.text) for change in part.changes] == [
        ("removed", "Sort"),
        ("added", "Judge"),
        ("same", "."),
    ]
    assert run.individual(0).prompt == Prompt.of("Sort.")


@pytest.mark.parametrize("number", [77, -1, 2**63, 10**40])
def test_a_stranger_is_refused(run, number):
    for ask in (run.lineage, lambda n: run.diff(0, n), lambda n: run.lineage(0).common_ancestor(n)):
        with pytest.raises(EvoError, match=f"no individual {number} in"):
            ask(number)


def test_compacting_changes_no_answer(run):
    write(run.path, [born(2, "Sort it.", [1.0], (0, "base"))])
    before = (run.lineage(2).line(), run.lineage(2).origin(), run.sql("FROM edges").to_pylist())
    run.compact()
    assert (run.lineage(2).line(), run.lineage(2).origin(), run.sql("FROM edges").to_pylist()) == before
    assert Ancestry(run.path).numbers.tolist() == [0, 1, 2]
