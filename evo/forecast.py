"""What a run will take, said before it is paid for: calls, tokens, cost, and which cap ends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from evo.commission import Commission, commission, final_calls
from evo.engine import check_prices, checked
from evo.model import Budget
from evo.plugins import build_model
from evo.rates import STAND_IN, JudgeRates, Overheard, Rates, guessed, judge_rates, measured
from evo.rehearsal import Books, Rehearsal
from evo.settings import RunSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IslandForecast:
    """What an island will take: its founding, births that come from no scored prompt, then each birth on average."""

    island: int
    method: str
    founders: int
    founding_calls: int
    births: int
    """Births after the founding that the budget pays for."""
    operator_calls_per_birth: float
    task_calls_per_birth: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take.

    ``usd`` is None where a price is unknown, ``seconds`` where no model was asked. ``ended_by`` is ``calls``,
    ``tokens``, ``usd``, ``seconds`` or ``births``, the cap that is met first, ``method`` where none is, ``time`` where
    the rehearsal was cut short: all figures are then the least; or ``unknown`` where it was cut short and the run has
    a cap that cannot be rehearsed without asking a model: the figures are then neither the least nor the most.
    """

    islands: tuple[IslandForecast, ...]
    search_calls: int
    final_calls: int
    tokens: int
    usd: float | None
    seconds: float | None
    ended_by: str
    offline: bool
    notes: tuple[str, ...] = ()

    @property
    def calls(self) -> int:
        """Calls of search and final test together."""
        return self.search_calls + self.final_calls


def forecast(settings: RunSettings, base: Path, *, offline: bool = False) -> Forecast:
    """Return what a run with these settings will take; see `evo.api.estimate`."""
    settings, task = checked(settings, base=base)
    if not offline:
        check_prices(settings, task)
    order = commission(base, settings, base, task)
    rates, judge = _apart(_rates(order, offline=offline))
    asked: list[Rates | JudgeRates] = [*rates, *([judge] if judge else [])]
    budget, pace_s = settings.budget.budget, _pace_s(order, asked)
    by_time = None if budget.seconds is None or not pace_s else int(budget.seconds / pace_s)
    limited = by_time is not None and (budget.calls is None or by_time < budget.calls)
    books, worlds = _rehearsed(order, replace(budget, calls=by_time) if limited else budget, rates, judge)
    return _forecast(order, books, worlds, pace_s, limited=limited, offline=offline, asked=asked)


def unpaid_founding(order: Commission) -> str:
    """Return, in words, that a cap on calls does not pay for the first prompts of every island, or nothing."""
    cap = order.settings.budget.calls
    if cap is None:
        return ""
    free = Rates(0.0, 0.0, 0.0, 0.0, 0.0, None, None)
    judge = JudgeRates(0.0, 0.0, None, None)
    books, worlds = _rehearsed(order, Budget(), [free] * len(order.models), judge, first_only=True)
    if any(world.births == world.founders for world in worlds):  # it breeds nothing, whatever it is given
        return ""
    needed, kept = sum(world.founding_calls for world in worlds), books.kept(Budget(calls=cap)).calls
    if needed <= cap - kept:
        return ""
    dearest = max(range(len(worlds)), key=lambda island: worlds[island].founding_calls)
    method = order.settings.island(dearest).method
    assert method is not None
    # Beyond the founding as much again, so that something is bred, and all that the race and the test may take.
    enough = 2 * needed + books.final.calls
    return (
        f"the first prompts take about {needed:,} calls before anything is bred from them (island {dearest}, "
        f"{method.name}: {worlds[dearest].founders} prompts), and {kept:,} of {cap:,} are set aside for the "
        f"final race and test; raise budget.calls to {enough:,}, or lower the method's population or the rows of a "
        "birth (racing, batch)"
    )


def _rehearsed(
    order: Commission,
    budget: Budget,
    rates: Sequence[Rates],
    judge: JudgeRates | None,
    *,
    first_only: bool = False,
) -> tuple[Books, list[Rehearsal]]:
    """Return the books of a rehearsal of all islands under one budget, and the islands."""
    books = Books(budget, final_calls(order))
    worlds = []
    for island in range(order.settings.size):
        places = order.models_of(island)
        worlds.append(Rehearsal(order.ground(island), books, rates, places, first_only, judge))

    async def together() -> None:
        await asyncio.gather(*(world.run() for world in worlds))

    _apart(together())
    return books, worlds


def _forecast(
    order: Commission,
    books: Books,
    worlds: Sequence[Rehearsal],
    pace_s: float | None,
    *,
    limited: bool,
    offline: bool,
    asked: Sequence[Rates | JudgeRates],
) -> Forecast:
    final, share = books.final, books.affordable
    final_calls = int(share * final.calls)
    usd = None if books.usd is None or final.usd is None else books.usd + share * final.usd
    calls = books.calls + final_calls
    ended_by = "seconds" if limited and books.ended_by == "calls" else books.ended_by
    births = order.settings.budget.births
    if not ended_by:
        ended_by = "births" if births is not None and sum(world.births for world in worlds) >= births else "method"
    unrehearsed = _unrehearsed(order) if offline else ""
    if ended_by == "time" and unrehearsed:
        ended_by = "unknown"
    notes = (unpaid_founding(order), unrehearsed, *(note for one in asked for note in one.notes))
    return Forecast(
        tuple(_island(order, number, world) for number, world in enumerate(worlds)),
        books.calls,
        final_calls,
        int(books.tokens + share * final.tokens),
        None if offline else usd,
        None if pace_s is None else calls * pace_s,
        ended_by,
        offline,
        tuple(filter(None, dict.fromkeys(notes))),
    )


def _unrehearsed(order: Commission) -> str:
    """Return, in words, which caps cannot be rehearsed without asking a model, or nothing."""
    budget = order.settings.budget
    caps = {"budget.seconds": budget.seconds, "budget.usd": budget.usd}
    named = " and ".join(name for name, cap in caps.items() if cap is not None)
    return named and f"{named}: not rehearsed offline, as only a call tells pace and cost; the run may end sooner by it"


def _island(order: Commission, number: int, world: Rehearsal) -> IslandForecast:
    method = order.settings.island(number).method
    assert method is not None
    births = world.births - world.founders
    if not births:  # what is asked for later belongs to the founders
        return IslandForecast(number, method.name, world.founders, world.task_calls + world.operator_calls, 0, 0.0, 0.0)
    return IslandForecast(
        number,
        method.name,
        world.founders,
        world.founding_calls,
        births,
        (world.operator_calls - world.founding_operator_calls) / births,
        (world.task_calls - world.founding_task_calls) / births,
    )


async def _rates(order: Commission, *, offline: bool) -> tuple[list[Rates], JudgeRates | None]:
    """Return what each of the run's models takes, in their order, and what the judge does, where there is one.

    Raises EvoError at the first that does not answer.
    """
    judge = None
    if order.judge is not None:
        model = order.models[order.judge]
        judge = Overheard(build_model(STAND_IN if offline else model), model.name)
    try:
        found = await _rates_of_all(order, judge, offline=offline)
    finally:
        if judge is not None:
            await judge.aclose()
    return found, None if judge is None else judge_rates(judge, offline=offline)


async def _rates_of_all(order: Commission, judge: Overheard | None, *, offline: bool) -> list[Rates]:
    uses = [order.models_of(number) for number in range(order.settings.size)]
    found = []
    for place, model in enumerate(order.models):
        if offline:
            found.append(await guessed(order.task, model, judge))
            continue
        found.append(
            await measured(
                order.task,
                model,
                tests=any(place == use.task for use in uses),
                writes=any(place == use.operator for use in uses),
                embeds=any(place == use.embedding for use in uses),
                judge=judge,
            )
        )
    return found


def _pace_s(order: Commission, rates: Sequence[Rates | JudgeRates]) -> float | None:
    """Return seconds a call takes where as many are under way as may be; None where no model was asked."""
    known = [rate.latency_s for rate in rates if rate.latency_s is not None]
    if not known:
        return None
    local = any(model.name.startswith("local/") for model in order.models)
    at_once = min(order.settings.concurrency, os.cpu_count() or 1) if local else order.settings.concurrency
    return max(known) / at_once


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine does, run in a thread of its own: a notebook has an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
