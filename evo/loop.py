"""The only loop: ask, breed, score, tell.

A method proposes births, an operator writes a prompt, racing decides how much evidence it deserves, the evaluator
scores it, the method is told, and the log remembers everything. One island at a time; nothing here knows Ray.
Randomness hangs on (seed, kind, island, number) alone, never on timing: a generational method walks the same path with
1 slot or 64.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from evo.errors import BudgetExhausted, Interrupted, LlmError, OperatorError
from evo.model import DROPPED, FAILED, NO_PROMPT, Evaluation, Individual, Prompt, individual_number, sequence_of
from evo.ports import Llm, Method, Proposal, Racing, Task
from evo.randomness import child_rng
from evo.replay import History
from evo.schema import describe, edge_rows, evaluation_rows, event_row, individual_row, now_us, prompt_row
from evo.status import IslandStatus

S = TypeVar("S")
MIGRATION = "migration"
TRIES = 3
"""How often an operator is asked for one child before the birth counts as failed."""


class World(Protocol):
    """What lies around an island: models, evaluation, the log, and other islands."""

    def llm(self, individual: int) -> Llm:
        """Return the operator model, its calls accounted to an individual."""
        ...

    async def evaluate(self, individual: int, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """Score a prompt. Raises BudgetExhausted or Interrupted."""
        ...

    async def record(self, rows: Mapping[str, Sequence[Mapping[str, Any]]], status: IslandStatus) -> bool:
        """Add to the log in one transaction; return whether the search goes on."""
        ...

    async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
        """Offer migrants and take those on offer, when it is time; ``told`` counts this island's births so far."""
        ...


@dataclass(frozen=True, slots=True)
class Ground(Generic[S]):
    """What does not change while an island lives."""

    island: int
    seed: int
    method: Method[S]
    racing: Racing
    task: Task
    births: int | None = None


@dataclass(slots=True)
class Life(Generic[S]):
    """What changes: the method's state, births under way, and counts. Rebuilt from the log by `relive`."""

    state: S
    sequence: int = 0
    told: int = 0
    failed: int = 0
    asked: int = 0
    pending: dict[int, Proposal] = field(default_factory=dict)
    best: Individual | None = None
    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def note(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Queue rows for the next transaction."""
        self.rows.setdefault(table, []).extend(rows)


def begin(ground: Ground[S]) -> Life[S]:
    """Return an island's life before its first birth."""
    return Life(ground.method.start(ground.task.brief))


def relive(ground: Ground[S], history: History) -> Life[S]:
    """Return the life a history leads to, by the same pure methods; births without an end are pending again."""
    life = begin(ground)
    known = {individual.number: individual for individual in history.individuals}
    for kind, number in history.steps:
        if kind == "asked":
            _ask(ground, life, number)
        else:
            _tell(ground, life, known[number])
    return life


async def live(ground: Ground[S], life: Life[S], world: World) -> Life[S]:
    """Run until the method has finished, the births are used up, or the budget is; return the life so far."""
    running = {_start(ground, life, world, number) for number in life.pending}
    try:
        while True:
            for number in _fill(ground, life, len(running)):
                running.add(_start(ground, life, world, number))
            goes_on = await _flush(ground, life, world)
            if not running:
                return life
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            born = [individual for task in done if (individual := _result(task)) is not None]
            if len(born) < len(done) or not goes_on:
                await _wind_down(ground, life, running, born)
                await _flush(ground, life, world)
                return life
            for individual in sorted(born, key=lambda i: i.number):
                _welcome(ground, life, individual)
                await _migrate(ground, life, world)
    finally:
        for task in running:
            task.cancel()


def _fill(ground: Ground[S], life: Life[S], running: int) -> list[int]:
    """Ask for births while there is room; return their numbers."""
    asked: list[int] = []
    limit = ground.method.in_flight
    while limit is None or running + len(asked) < limit:
        if ground.births is not None and life.asked >= ground.births:
            break
        number = individual_number(ground.island, life.sequence)
        if not _ask(ground, life, number):
            break
        life.note("events", event_row(ground.island, "asked", number, describe(life.pending[number].operator)))
        asked.append(number)
    return asked


def _ask(ground: Ground[S], life: Life[S], number: int) -> bool:
    rng = child_rng(ground.seed, "ask", ground.island, sequence_of(number))
    proposal, state = ground.method.ask(life.state, number, rng)
    if proposal is None:
        return False
    life.state = state
    life.pending[number] = proposal
    life.asked += 1
    life.sequence = max(life.sequence, sequence_of(number) + 1)
    return True


def _tell(ground: Ground[S], life: Life[S], individual: Individual) -> None:
    life.state = ground.method.tell(life.state, individual)
    life.sequence = max(life.sequence, sequence_of(individual.number) + 1)
    if life.pending.pop(individual.number, None) is not None:
        life.told += 1
        life.failed += individual.status == FAILED
    if individual.ok and (life.best is None or individual.fitness > life.best.fitness):
        life.best = individual


def _start(ground: Ground[S], life: Life[S], world: World, number: int) -> asyncio.Task[Individual]:
    task = asyncio.create_task(_give_birth(ground, life, world, number))
    # When several births fail for one reason the first is raised: the others count as seen.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task


def _result(task: asyncio.Task[Individual]) -> Individual | None:
    """Return who was born, or None when no further call can be made."""
    try:
        return task.result()
    except (BudgetExhausted, Interrupted):
        return None


async def _wind_down(
    ground: Ground[S], life: Life[S], running: set[asyncio.Task[Individual]], born: list[Individual]
) -> None:
    """Let births under way end by themselves: what is already paid for is kept."""
    if running:
        done, _ = await asyncio.wait(running)
        born.extend(individual for task in done if (individual := _result(task)) is not None)
        running.clear()
    for individual in sorted(born, key=lambda i: i.number):
        _welcome(ground, life, individual)


async def _give_birth(ground: Ground[S], life: Life[S], world: World, number: int) -> Individual:
    proposal = life.pending[number]
    prompt, note = await _breed(ground, world, number, proposal)
    newborn = Individual(
        number=number,
        prompt=prompt or NO_PROMPT,
        operator=proposal.operator.name,
        parents=proposal.edges,
        generation=proposal.generation,
        status="ok" if prompt else FAILED,
        note=note,
    )
    return await _race(ground, life, world, newborn) if prompt else newborn


async def _breed(ground: Ground[S], world: World, number: int, proposal: Proposal) -> tuple[Prompt | None, str]:
    """Return the child and what went wrong on the way to it."""
    reasons: list[str] = []
    llm = world.llm(number)
    for attempt in range(TRIES):
        rng = child_rng(ground.seed, "operator", ground.island, sequence_of(number), attempt)
        try:
            prompt = await proposal.operator(proposal.parents, llm, rng)
            ground.task.check(prompt)
        except (OperatorError, LlmError) as error:
            reasons.append(str(error))
        else:
            return prompt, _told(reasons)
    return None, _told(reasons)


def _told(reasons: Sequence[str]) -> str:
    """Return what went wrong in each try, once where it was the same."""
    return "; ".join(f"{reason} ({n}x)" if n > 1 else reason for reason, n in Counter(reasons).items())


async def _race(ground: Ground[S], life: Life[S], world: World, newborn: Individual) -> Individual:
    rng = child_rng(ground.seed, "race", ground.island, sequence_of(newborn.number))
    order = ground.task.examples("dev")
    while examples := ground.racing.next(newborn, ground.method.living(life.state), order, rng):
        scored = await world.evaluate(newborn.number, newborn.prompt, examples)
        newborn = newborn.with_evaluation(newborn.evaluation.merge(scored))
    if newborn.evaluation.count:
        return newborn if examples is not None else replace(newborn, status=DROPPED)
    why = newborn.evaluation.outcomes[0].error if newborn.evaluation.outcomes else "racing asked for no example"
    return replace(newborn, status=FAILED, note=f"no example could be scored: {why}")


def _welcome(ground: Ground[S], life: Life[S], individual: Individual) -> None:
    """Tell the method, and queue everything the log must know of this individual."""
    _tell(ground, life, individual)
    if individual.prompt.parts and individual.operator != MIGRATION:
        life.note("prompts", prompt_row(individual.prompt))
    life.note("individuals", individual_row(individual))
    life.note("edges", *edge_rows(individual))
    life.note("evaluations", *evaluation_rows(individual.number, individual.evaluation.outcomes, "dev"))
    life.note("events", event_row(ground.island, "told", individual.number))


async def _migrate(ground: Ground[S], life: Life[S], world: World) -> None:
    await _flush(ground, life, world)  # who is offered must be in the log before any copy of it
    for migrant in await world.exchange(ground.method.living(life.state), life.told):
        texts = {individual.prompt.text for individual in ground.method.living(life.state)}
        accepted = migrant.prompt.text not in texts
        copy = replace(
            migrant,
            number=individual_number(ground.island, life.sequence),
            operator=MIGRATION,
            parents=((migrant.number, "migrant_of"),),
        )
        row = {
            "from_island": migrant.island,
            "to_island": ground.island,
            "individual": migrant.number,
            "copy": copy.number if accepted else None,
            "accepted": accepted,
            "reason": "" if accepted else "the same text lives here",
            "step": life.told,
            "received_at": now_us(),
        }
        life.note("migrations", row)
        if accepted:
            _welcome(ground, life, copy)


async def _flush(ground: Ground[S], life: Life[S], world: World) -> bool:
    if not life.rows:
        return True
    rows, life.rows = life.rows, {}
    return await world.record(rows, status_of(ground, life))


def status_of(ground: Ground[S], life: Life[S]) -> IslandStatus:
    """Return an island at a glance."""
    living = sorted(i.fitness for i in ground.method.living(life.state) if i.ok)
    return IslandStatus(
        island=ground.island,
        births=life.told,
        failed=life.failed,
        best=life.best.fitness if life.best else None,
        median=living[len(living) // 2] if living else None,
        improved_by=life.best.operator if life.best else "",
        generation=life.best.generation if life.best else 0,
    )
