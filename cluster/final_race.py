"""The final race: the best few on the dev rows they lack, block by block, before one of them is tested.

A search compares prompts on few rows, and who leads then was lucky for a part. Where racing gives everybody all dev
rows there is nothing to do. Rounds on paired rows as in successive rejects (Audibert, Bubeck and Munos 2010), with a
t-test to say who is out.

Where folds stand in for a test, the gain over the best seed prompt is measured on dev rows. That one then races, too,
and is never out, so that the gain rests on all rows the race comes to.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace

from cluster.remote import AnyBroker
from cluster.sides import Side, calls_of, score, side
from evo.commission import Commission
from evo.errors import BudgetExhausted
from evo.model import Evaluation, by_fitness
from evo.replay import read_individuals
from evo.rivals import paired, untried
from evo.schema import FINAL_STEP, evaluation_rows, measurement_row
from evo.t_test import p_above
from evo.verdict import finalists, ranking

BLOCK = 30
"""Dev rows between two looks at who is out."""
DROP = 0.05
"""A prompt is out when a t-test against the leader gives less. One look of several, so this is no error rate."""


async def race(order: Commission, broker: AnyBroker) -> None:
    """Give the best of all islands dev rows until one is left, or all rows are tried, or the budget ends."""
    await broker.enter_race()
    rows = order.task.examples("dev")
    baseline = _baseline(order)
    field = _field(order, rows, baseline)
    while len(field) > 1 and (block := _next_block(field, rows)):
        calls = calls_of(order.task, field, block)
        count = bisect.bisect_right(calls, await broker.affordable(calls[-1])) - 1
        try:
            found = await score(broker, field, block[:count])
        except BudgetExhausted:
            return
        field = [_with(one, evaluation) for one, evaluation in zip(field, found, strict=True)]
        await _log(broker, field, found)
        if count < len(block):
            return
        field = _survivors(field, baseline)


def _baseline(order: Commission) -> int | None:
    """Return the best seed prompt where dev rows measure the gain over it and there is a race; None elsewhere."""
    if order.settings.task.split.folds is None or order.settings.final_race == 1:
        return None
    return finalists(order.path, order.kin_of).baseline.number


def _field(order: Commission, rows: Sequence[int], baseline: int | None) -> list[Side]:
    best = ranking(order.path, order.settings.final_race)
    numbers = best if baseline is None or baseline in best else [*best, baseline]
    found = read_individuals(order.path, numbers=numbers)
    return [side(order, one, untried(one, rows), island=one.island) for one in found]


def _next_block(field: Sequence[Side], rows: Sequence[int]) -> list[int]:
    """Return the next rows of the shared order that anyone lacks."""
    return [row for row in rows if any(row in one.untried for one in field)][:BLOCK]


def _with(one: Side, found: Evaluation) -> Side:
    tried = one.untried.difference(outcome.example for outcome in found.outcomes)
    return replace(one, individual=one.individual.with_evidence(found, Evaluation()), untried=tried)


def _survivors(field: Sequence[Side], baseline: int | None = None) -> list[Side]:
    """Return the baseline, and all but those that the leader is surely better than, by the rows both have."""
    leader = min(field, key=lambda one: by_fitness(one.individual)).individual
    return [
        one for one in field if one.individual.number == baseline or p_above(paired(leader, one.individual)) >= DROP
    ]


async def _log(broker: AnyBroker, field: Sequence[Side], found: Sequence[Evaluation]) -> None:
    evaluations = [
        row
        for one, new in zip(field, found, strict=True)
        for row in evaluation_rows(one.individual.number, new.outcomes, "dev", FINAL_STEP)
    ]
    measurements = [measurement_row(FINAL_STEP, one.individual) for one in field]
    await broker.log({"evaluations": evaluations, "measurements": measurements})
