"""What operators' births came to: counted by hand, and recounted from the individuals of whole runs."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from records import born, write

from evo import Run, evolve
from evo.budget import Usage
from evo.journal import Journal
from evo.model import DROPPED, FAILED, MIGRATION, NO_PROMPT, Completion, Individual, Outcome, Prompt
from evo.operator_ledger import SCHEMA, operator_ledger
from evo.receipts import Receipt
from evo.schema import call_row, edge_rows, evaluation_rows, individual_row
from evo.statistics import difference_interval
from evo.verdict import SEED
from fitness.toy import toy_rows


def ledger(folder: Path) -> dict[str, dict]:
    return {row["operator"]: row for row in operator_ledger(folder).to_pylist()}


def edited(number: int, scores: Iterable[float | None], *parents: tuple[int, str], **more: object) -> Individual:
    return born(number, str(more.pop("text", "")), scores, *parents, **{"operator": "edit", "generation": 1, **more})


SEEDS = [born(0, "first", [1, 0, 0, 0]), born(1, "second", [0, 0, 0, 0])]
BIRTHS = [
    *SEEDS,
    edited(2, [1, 1, 0, 0], (0, "mate"), (1, "base")),  # half a point above the base, whatever its place
    edited(3, [1, 1, None, 0], (0, "base")),  # on the three rows both have: 2/3 - 1/3
    edited(4, [0, 0, 0, 0], (0, "base"), text="second"),  # -1/4, and a seed's text
    Individual(5, Prompt(()), "edit", ((0, "base"),), 1, status=FAILED, note="no tag"),
    edited(6, [None, None], (0, "base"), status=FAILED),  # a prompt came, but nothing could be scored
    edited(7, [0, 0], (0, "base"), status=DROPPED),  # on the first two rows: -1/2
    edited(8, [], (0, "base")),  # born unscored
    edited(9, [1, 1], (8, "base"), (0, "mate")),  # its base has no score: not compared
    born(10, "", [1, 0, 0, 0], (8, "donor1"), (0, "donor2"), operator="cross"),  # as good as the first with a score
    edited(11, [1, 1, 1, 1], (0, "migrant_of"), operator=MIGRATION),
    born(12, "", [1.0], operator="induce"),
    born(13, "first", [1.0], operator="induce"),
]


def test_births_are_counted_and_compared_with_their_parent(tmp_path: Path) -> None:
    table = operator_ledger(write(tmp_path, BIRTHS))
    assert table.column("operator").to_pylist() == ["edit", "cross", "induce"], "highest gain first, unknown last"
    edit, cross, induce = table.to_pylist()
    names = ("tried", "valid", "failed", "duplicates", "dropped", "unscored", "compared", "improved")
    assert tuple(edit[name] for name in names) == (8, 7, 2, 1, 1, 1, 4, 2)
    assert tuple(cross[name] for name in names) == (1, 1, 0, 0, 0, 0, 1, 0)
    assert tuple(induce[name] for name in names) == (2, 2, 0, 1, 0, 0, 0, 0)
    gains = [1 / 2, 1 / 3, -1 / 4, -1 / 2]
    assert edit["gain"] == pytest.approx(sum(gains) / 4)
    interval = difference_interval(np.round(gains, 12))
    assert (edit["gain_low"], edit["gain_high"]) == (interval.low, interval.high)
    assert cross["gain"] == 0
    assert cross["gain_low"] < 0 < cross["gain_high"]
    assert [induce[name] for name in ("gain", "gain_low", "gain_high")] == [None] * 3


def test_evidence_that_came_later_counts_for_both_sides(tmp_path: Path) -> None:
    births = [born(0, "", [1, 0]), edited(1, [0, 0], (0, "base"))]
    later = [
        *evaluation_rows(0, [Outcome(2, 1.0), Outcome(3, 0.0)], "dev", step=50),
        *evaluation_rows(1, [Outcome(0, 1.0), Outcome(1, None, error="lost"), Outcome(3, 0.5)], "dev", step=51),
        *evaluation_rows(0, [Outcome(7, 0.25)], "train", step=52),
        *evaluation_rows(1, [Outcome(7, 1.0)], "train", step=53),
        *evaluation_rows(0, [Outcome(9, 1.0)], "test"),
        *evaluation_rows(1, [Outcome(9, 0.0)], "test"),
    ]
    row = ledger(write(tmp_path, births, evaluations=later))["edit"]
    # rows 0: 1 against 1, as measured again; 1: lost the second time; 3: 0.5 against 0; 7: 1 against 0.25; 9 is sealed
    assert row["gain"] == pytest.approx((0 + 0.5 + 0.75) / 3)
    assert row["improved"] == 1


def test_equal_scores_added_in_another_order_are_no_improvement(tmp_path: Path) -> None:
    old, new = [0.1, 0.2, 0.3, 0.7], [0.2, 0.7, 0.1, 0.3]
    differences = [b - a for a, b in zip(old, new, strict=True)]
    assert functools.reduce(operator.add, differences) > 0  # `sum` makes up for it from Python 3.12 on
    births = [born(0, "", old), edited(1, new, (0, "base"))]
    row = ledger(write(tmp_path, births))["edit"]
    assert (row["gain"], row["improved"], row["compared"]) == (0, 0, 1)


def call(key: str, individual: int | None, purpose: str, usd: float | None = 0.5, *, attempts: int = 1, **more) -> dict:
    answer = None if more.pop("failed", False) else Completion("x", 30, 4, usd)
    return call_row(Receipt(key, "m", purpose, individual, 0.0, answer, attempts=attempts), **more)


def test_calls_belong_to_the_operator_of_their_individual(tmp_path: Path) -> None:
    calls = [
        call("a", 2, "operator"),
        call("b", 3, "operator", attempts=3),
        call("c", 5, "operator", failed=True, attempts=2),
        call("d", 4, "operator", recalled=True),  # answered from an earlier run's log: a call, and free
        call("e", 10, "operator", usd=None),
        *(call(f"t{n}", n, "task", attempts=n) for n in (2, 3)),
        call("judged", 3, "judge"),
        call("final", 2, "task"),
        call("seed", 0, "task"),
        call("nobody", None, "task"),
        call("under way", 99, "operator"),
    ]
    final = evaluation_rows(2, [Outcome(9, 1.0, call="final")], "test")
    rows = ledger(write(tmp_path, BIRTHS, calls=calls, evaluations=final))
    names = ("calls", "tokens", "cost_usd", "task_calls", "calls_per_improvement")
    assert tuple(rows["edit"][name] for name in names) == (7, 3 * 34, 1.0, 6, (7 + 6) / 2)
    assert tuple(rows["cross"][name] for name in names) == (1, 34, None, 0, None)
    assert tuple(rows["induce"][name] for name in names) == (0, 0, 0.0, 0, None)


def test_what_failed_attempts_took_is_part_of_an_operators_cost(tmp_path: Path) -> None:
    lost = [
        call("a", 2, "operator", attempts=2, lost=Usage(1, 100, 2.0)),
        call("b", 3, "operator", failed=True, lost=Usage(1, 10, 1.0)),
        call("c", 10, "operator", failed=True, lost=Usage(1, 5, None)),
        call("t", 2, "task", attempts=2, lost=Usage(1, 1000, 50.0)),
    ]
    rows = ledger(write(tmp_path, BIRTHS, calls=lost))
    assert [rows["edit"][name] for name in ("calls", "tokens", "cost_usd")] == [3, 34 + 110, 0.5 + 3.0]
    assert [rows["cross"][name] for name in ("calls", "tokens", "cost_usd")] == [1, 5, None]


def test_every_column_is_explained() -> None:
    words = (Run.operators.__doc__ or "").replace(":", " ").replace(",", " ").replace("`", " ").split()
    assert set(SCHEMA.names) <= set(words)


def test_an_empty_run_and_one_of_seeds_alone_have_no_operators(tmp_path: Path) -> None:
    assert operator_ledger(tmp_path).equals(SCHEMA.empty_table())
    assert operator_ledger(write(tmp_path, SEEDS)).equals(SCHEMA.empty_table())


def test_the_births_of_several_islands_may_stand_in_any_order(tmp_path: Path) -> None:
    far = 3 << 40
    births = [born(far, "", [0, 0]), born(0, "", [1, 1]), edited(far + 1, [1, 0], (far, "base"))]
    assert ledger(write(tmp_path, births))["edit"]["gain"] == 0.5


def test_a_run_under_way_is_read_as_far_as_it_is_logged(tmp_path: Path) -> None:
    sealed, late = BIRTHS[:3], BIRTHS[3]
    journal = Journal(write(tmp_path, sealed))
    journal.append(
        {
            "individuals": [individual_row(late)],
            "edges": edge_rows(late),
            "evaluations": evaluation_rows(late.number, late.evaluation.outcomes, "dev"),
            "calls": [call("a", 4, "operator"), call("b", 3, "operator")],
        }
    )
    row = ledger(tmp_path)["edit"]
    journal.close()
    assert (row["tried"], row["calls"], row["gain"]) == (2, 1, pytest.approx((1 / 2 + 1 / 3) / 2))
    assert ledger(tmp_path)["edit"] == row


def run_of(storage: Path, **more: object) -> Run:
    rows = toy_rows(30)
    return evolve(
        {"data": {"train": rows[:4], "dev": rows[4:20], "test": rows[20:]}, "scorer": "choice"},
        **{
            "model": {"name": "fake/toy", "options": {"garble": 0.5, "error_on": rows[6]["input"]}, "attempts": 1},
            "prompts": ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide."],
            "executor": "inline",
            "storage": str(storage),
            "seed": 5,
            "budget": {"calls": 500},
            **more,
        },
    )


def gain(child: Individual, known: dict[int, Individual]) -> float | None:
    """Return what `paired_gains` should, from frozen data instead of arrays."""
    parents = [(known[number], role) for number, role in child.parents]
    chosen = [one for one, role in parents if role == "base"] or [one for one, _ in parents if scores(one)]
    if not chosen:
        return None
    mine, theirs = scores(child), scores(chosen[0])
    shared = mine.keys() & theirs.keys()
    return float(np.mean([mine[row] - theirs[row] for row in shared])) if shared else None


def scores(one: Individual) -> dict[int, float]:
    return one.evaluation.merge(one.practice).scores


@pytest.mark.parametrize("method", ["steady-state", "evoprompt-de", "reflect-pareto"])
def test_the_ledger_of_a_run_agrees_with_its_individuals(tmp_path: Path, method: str) -> None:
    racing = {"name": "gate", "stages": [6, 16]}
    run = run_of(tmp_path, method=method, islands=2, migration={"every": 3, "count": 1}, racing=racing)
    everyone = [run.individual(row["id"]) for row in run.individuals().to_pylist()]
    known = {one.number: one for one in everyone}
    test = {row["call"] for row in run.evaluations().to_pylist() if row["split"] == "test"}
    calls = [row for row in run.calls().to_pylist() if row["key"] not in test and row["individual"] in known]
    spent = Counter()
    for row in calls:
        spent[known[row["individual"]].operator, row["purpose"]] += row["attempts"]
    table = {row["operator"]: row for row in run.operators().to_pylist()}
    assert table.keys() == {one.operator for one in everyone} - {SEED, MIGRATION}
    assert sum(row["failed"] for row in table.values())
    later = method == "reflect-pareto"  # whose children are not raced: what they are worth is found out step by step
    assert later == bool(run.measurements().num_rows)
    assert later != bool(sum(row["dropped"] for row in table.values()))
    for name, row in table.items():
        births = [one for one in everyone if one.operator == name]
        gains = [value for one in births if (value := gain(one, known)) is not None]
        assert (row["tried"], row["failed"]) == (len(births), sum(one.status == FAILED for one in births))
        assert row["dropped"] == sum(one.status == DROPPED for one in births)
        assert (row["compared"], row["improved"]) == (len(gains), sum(value > 1e-9 for value in gains))
        assert row["gain"] == (pytest.approx(np.mean(gains)) if gains else None)
        assert (row["calls"], row["task_calls"]) == (spent[name, "operator"], spent[name, "task"])
    seen, again = {NO_PROMPT}, Counter()
    for one in everyone:
        again[one.operator] += one.prompt in seen and one.prompt != NO_PROMPT
        seen.add(one.prompt)
    assert {name: row["duplicates"] for name, row in table.items()} == {name: again[name] for name in table}
    assert sum(again.values())


def test_a_run_answered_from_an_earlier_one_has_the_same_ledger(tmp_path: Path) -> None:
    method = {"name": "evoprompt-ga", "population": 4, "generations": 2}
    first, recalled = (run_of(tmp_path, method=method, model="fake/toy", concurrency=1) for _ in range(2))
    assert all(row["recalled"] for row in recalled.calls().to_pylist())
    assert recalled.operators().equals(first.operators())
    assert sum(first.operators()["calls"].to_pylist()) > 0
