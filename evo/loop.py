"""The only loop: ask, breed, score, tell.

A method proposes births, an operator writes a prompt, racing decides how much evidence it deserves, the evaluator
scores it, the method is told, and the log remembers everything. One island at a time; nothing here knows Ray.
Randomness hangs on (seed, kind, island, number) alone, never on timing: a generational method walks the same path with
1 slot or 64. In lockstep every method does: steps are told in the order they were asked for, whichever ends first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace

from evo.errors import BudgetExhausted, Interrupted
from evo.history import MET
from evo.life import Ground, Life, S, World, ask, status_of, tell
from evo.model import MIGRATION, Evaluation, Individual, individual_number
from evo.ports import Evidence, Proposal
from evo.schema import (
    LIVING,
    describe,
    describe_evidence,
    edge_rows,
    evaluation_rows,
    event_row,
    individual_row,
    measurement_row,
    now_us,
    prompt_row,
)
from evo.step import part_of, take, welcome


async def live(ground: Ground[S], life: Life[S], world: World) -> Life[S]:
    """Run until the method has finished, the births are used up, or the budget is; return the life so far."""
    await _live(ground, life, world)
    population = [one.number for one in ground.method.living(life.state)]
    life.note("events", event_row(ground.island, LIVING, None, json.dumps(population)))
    await _flush(ground, life, world)
    return life


async def _live(ground: Ground[S], life: Life[S], world: World) -> None:
    if not await _meet(ground, life, world):  # where it was interrupted between a birth and its migrants
        return
    running = {_start(ground, life, world, number) for number in life.pending}
    try:
        while True:
            for number in _fill(ground, life, len(running)):
                running.add(_start(ground, life, world, number))
            goes_on = await _flush(ground, life, world)
            if not running:
                return
            done, running = await _next(running, in_order=ground.meets is not None)
            ended = dict(_ended(done))
            if len(ended) < len(done) or not goes_on:
                await _wind_down(ground, life, running, ended)
                await _flush(ground, life, world)
                return
            for number, individual in sorted(ended.items()):
                is_birth = isinstance(life.pending[number], Proposal)
                _close(ground, life, number, individual)
                if is_birth and ground.meets is None:  # migration goes by births, not by evidence told between two
                    await _migrate(ground, life, world)
            if not await _meet(ground, life, world):
                await _wind_down(ground, life, running, {})
                await _flush(ground, life, world)
                return
    finally:
        for task in running:
            task.cancel()


async def _next(
    running: set[asyncio.Task[Individual]], *, in_order: bool
) -> tuple[set[asyncio.Task[Individual]], set[asyncio.Task[Individual]]]:
    """Wait for a step to end, in lockstep for the one that was asked for first; return what ended, and the rest."""
    if not in_order:
        return await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    first = min(running, key=lambda task: int(task.get_name()))
    await asyncio.wait({first})
    return {first}, running - {first}


def _fill(ground: Ground[S], life: Life[S], running: int) -> list[int]:
    """Ask for steps while there is room; return their numbers."""
    asked: list[int] = []
    limit = ground.method.in_flight
    while limit is None or running + len(asked) < limit:
        number = individual_number(ground.island, life.sequence)
        # At the cap on births a method may still gather evidence on those who live.
        if not ask(ground, life, number, births=ground.births is None or life.asked < ground.births):
            break
        step = life.pending[number]
        if isinstance(step, Proposal):
            detail = describe(step.operator, part_of(ground, number, step))
        else:
            detail = describe_evidence(step)
        life.note("events", event_row(ground.island, "asked", number, detail))
        asked.append(number)
    return asked


def _start(ground: Ground[S], life: Life[S], world: World, number: int) -> asyncio.Task[Individual]:
    task = asyncio.create_task(take(ground, life, world, number), name=str(number))
    # When several births fail for one reason the first is raised: the others count as seen.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task


def _ended(tasks: Iterable[asyncio.Task[Individual]]) -> Iterable[tuple[int, Individual]]:
    """Yield number and outcome of each step that came to its end; one without another call to make has none."""
    for task in tasks:
        try:
            yield int(task.get_name()), task.result()
        except (BudgetExhausted, Interrupted):
            continue


async def _wind_down(
    ground: Ground[S], life: Life[S], running: set[asyncio.Task[Individual]], ended: dict[int, Individual]
) -> None:
    """Let steps under way end by themselves: what is already paid for is kept.

    In lockstep they are not told, as some may lack an end, and what would have been asked between them; a resumed run
    takes them up again, and finds its answers in the log.
    """
    if running:
        done, _ = await asyncio.wait(running)
        ended.update(_ended(done))
        running.clear()
    if ground.meets is None:
        for number, individual in sorted(ended.items()):
            _close(ground, life, number, individual)


def _close(ground: Ground[S], life: Life[S], number: int, individual: Individual) -> None:
    """Tell the method how a step ended, and queue everything the log must know of it."""
    step = life.pending[number]
    if isinstance(step, Evidence):
        individual = step.individual.with_evidence(*_found(step, individual))
    tell(ground, life, number, individual)
    if isinstance(step, Evidence):
        _note_evaluations(life, number, individual, {*step.examples})
        life.note("measurements", measurement_row(number, individual))
        life.note("events", event_row(ground.island, "told", number))
    else:
        _note_birth(ground, life, individual)


def _found(step: Evidence, individual: Individual) -> list[Evaluation]:
    """Return what a step found of its individual on dev and train rows: more may have been told since it was asked."""
    splits = (individual.evaluation, individual.practice)
    return [Evaluation(tuple(o for o in split.outcomes if o.example in step.examples)) for split in splits]


def _note_birth(ground: Ground[S], life: Life[S], individual: Individual) -> None:
    if individual.prompt.parts:
        life.note("prompts", prompt_row(individual.prompt))
    life.note("individuals", individual_row(individual))
    life.note("edges", *edge_rows(individual))
    _note_evaluations(life, individual.number, individual, None)
    life.note("events", event_row(ground.island, "told", individual.number))


def _note_evaluations(life: Life[S], step: int, individual: Individual, only: set[int] | None) -> None:
    def rows(evaluation: Evaluation, split: str) -> list[dict[str, object]]:
        outcomes = [o for o in evaluation.outcomes if only is None or o.example in only]
        return evaluation_rows(individual.number, outcomes, split, step)

    life.note("evaluations", *rows(individual.evaluation, "dev"), *rows(individual.practice, "train"))


async def _migrate(ground: Ground[S], life: Life[S], world: World) -> None:
    await _flush(ground, life, world)  # who is offered must be in the log before any copy of it
    for migrant in await world.exchange(ground.method.living(life.state), life.told):
        copy, reason = await _arrival(ground, life, world, migrant)
        row = {
            "from_island": migrant.island,
            "to_island": ground.island,
            "individual": migrant.number,
            "copy": copy.number if copy else None,
            "accepted": copy is not None,
            "reason": reason,
            "step": life.told,
            "received_at": now_us(),
        }
        life.note("migrations", row)
        if copy is not None:
            tell(ground, life, copy.number, copy)
            _note_birth(ground, life, copy)


async def _meet(ground: Ground[S], life: Life[S], world: World) -> bool:
    """Migrate in lockstep, once after each number of births that is for it, and log it; return whether to go on."""
    if ground.meets is None or life.told == life.met or life.told % ground.meets:
        return True
    try:
        await _migrate(ground, life, world)
    except Interrupted:
        return False
    life.met = life.told
    life.note("events", event_row(ground.island, MET, life.met))
    return True


async def _arrival(
    ground: Ground[S], life: Life[S], world: World, migrant: Individual
) -> tuple[Individual | None, str]:
    """Return the migrant's copy on this island, or why there is none.

    Genes that nobody here has stay behind: they would be handed down and never used.
    """
    living = ground.method.living(life.state)
    if any(member.prompt.shown == migrant.prompt.shown for member in living):
        return None, "the same prompt lives here"
    copy = replace(
        migrant,
        prompt=migrant.prompt.bare(keep=frozenset().union(*(member.prompt.genes for member in living))),
        number=individual_number(ground.island, life.sequence),
        operator=MIGRATION,
        parents=((migrant.number, "migrant_of"),),
    )
    if not copy.evaluation.count:
        life.sequence += 1  # its calls are logged under this number, whatever becomes of it
    try:
        copy = await welcome(ground, life, world, copy)
    except (BudgetExhausted, Interrupted) as error:
        return None, f"it could not be scored here: {error}"
    if not copy.ok:
        return None, copy.note or f"racing dropped it here after {copy.evaluation.count} rows"
    return copy, ""


async def _flush(ground: Ground[S], life: Life[S], world: World) -> bool:
    if not life.rows:
        return True
    rows, life.rows = life.rows, {}
    return await world.record(rows, status_of(ground, life))
