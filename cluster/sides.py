"""Prompts that are scored side by side at a run's end: who lacks which rows, and what those take."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.remote import AnyBroker
from evo.commission import Commission
from evo.model import Evaluation, Individual
from evo.ports import Task


@dataclass(frozen=True, slots=True)
class Side:
    """A prompt, the place of the model it is scored with, and the rows it was never tried on."""

    individual: Individual
    model: int
    untried: frozenset[int]

    def lacking(self, rows: Iterable[int]) -> list[int]:
        """Return those of the rows it was never tried on, in their order."""
        return [row for row in rows if row in self.untried]


def side(order: Commission, individual: Individual, untried: Iterable[int], *, island: int) -> Side:
    """Return a prompt's side, scored with the task model of an island."""
    return Side(individual, order.models_of(island).task, frozenset(untried))


def calls_of(task: Task, sides: Sequence[Side], rows: Sequence[int]) -> list[int]:
    """Return how many calls the first rows take on all sides, for every number of rows from none on."""
    taken = dict.fromkeys(rows, 0)
    for one in sides:
        wanted = one.lacking(rows)
        for row, calls in zip(wanted, task.calls(one.individual.prompt, wanted), strict=True):
            taken[row] += calls
    return [0, *itertools.accumulate(taken.values())]


async def score(broker: AnyBroker, sides: Sequence[Side], rows: Sequence[int]) -> list[Evaluation]:
    """Return what each side scores on those of the rows it lacks. Raises EvoError when one of them cannot be scored."""

    async def one(side: Side) -> Evaluation:
        number, prompt = side.individual.number, side.individual.prompt
        return await broker.evaluate(side.model, number, prompt, side.lacking(rows))

    # All of them, whatever one raises: what is under way is paid for.
    found = await asyncio.gather(*map(one, sides), return_exceptions=True)
    for scored in found:
        if isinstance(scored, BaseException):
            raise scored
    return [scored for scored in found if isinstance(scored, Evaluation)]
