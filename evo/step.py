"""One step of an island: a birth (breed, check, race) or more evidence for an individual that lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from evo.errors import EvoError, LlmError, OperatorError
from evo.life import Ground, Life, S, World, rivals_now
from evo.model import DROPPED, FAILED, INSTRUCTION, NO_PROMPT, Evaluation, Individual, Prompt, sequence_of
from evo.ports import Evidence, Proposal
from evo.randomness import child_rng

TRIES = 3
"""How often an operator is asked for one child before the birth counts as failed."""


async def take(ground: Ground[S], life: Life[S], world: World, number: int) -> Individual:
    """Return the individual a pending step leads to. Raises BudgetExhausted or Interrupted."""
    step = life.pending[number]
    if isinstance(step, Evidence):
        return await _gather(ground, world, step.individual, step.examples) if step.examples else step.individual
    return await _give_birth(ground, life, world, number, step)


async def welcome(ground: Ground[S], life: Life[S], world: World, migrant: Individual) -> Individual:
    """Return a migrant as this island knows it: scored here where it comes without evidence, like any newborn.

    Raises BudgetExhausted or Interrupted.
    """
    return migrant if migrant.evaluation.count else await _race(ground, life, world, migrant)


async def _give_birth(ground: Ground[S], life: Life[S], world: World, number: int, proposal: Proposal) -> Individual:
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
    if not prompt or proposal.examples == ():
        return newborn
    if proposal.examples is not None:
        return _judged(await _gather(ground, world, newborn, proposal.examples))
    return await _race(ground, life, world, newborn, proposal.parents)


async def _breed(ground: Ground[S], world: World, number: int, proposal: Proposal) -> tuple[Prompt | None, str]:
    """Return the child and what went wrong on the way to it."""
    reasons: list[str] = []
    llm = world.llm(number)
    part = part_of(ground, number, proposal)
    parents = [replace(parent, prompt=parent.prompt.focused(part)) for parent in proposal.parents]
    for attempt in range(TRIES):
        rng = child_rng(ground.seed, "operator", ground.island, sequence_of(number), attempt)
        try:
            prompt = (await proposal.operator(parents, llm, rng)).focused(INSTRUCTION)
            if prompt.shown or proposal.examples != ():
                ground.task.check(prompt)
        except (OperatorError, LlmError) as error:
            reasons.append(str(error))
        except EvoError:
            raise
        except Exception as error:  # noqa: BLE001 - operators are plugins: a crash is this birth's, not the run's
            reasons.append(f"operator {proposal.operator.name} crashed: {type(error).__name__}: {error}")
        else:
            return prompt, _told(reasons)
    return None, _told(reasons)


def part_of(ground: Ground[S], number: int, proposal: Proposal) -> str:
    """Return the part of the prompt a birth's operator works on."""
    if proposal.part is not None:
        return proposal.part
    parts = ground.task.brief.evolve
    if len(parts) == 1:
        return parts[0]
    rng = child_rng(ground.seed, "part", ground.island, sequence_of(number))
    return parts[int(rng.integers(len(parts)))]


def _told(reasons: Sequence[str]) -> str:
    """Return what went wrong in each try, once where it was the same."""
    return "; ".join(f"{reason} ({n}x)" if n > 1 else reason for reason, n in Counter(reasons).items())


async def _race(
    ground: Ground[S], life: Life[S], world: World, newborn: Individual, parents: Sequence[Individual] = ()
) -> Individual:
    rng = child_rng(ground.seed, "race", ground.island, sequence_of(newborn.number))
    order = ground.task.examples("dev")
    then = life.rivals.get(newborn.number)  # in lockstep: what others came to meanwhile must not matter
    while examples := ground.racing.next(newborn, then or rivals_now(ground, life, parents), order, rng):
        newborn = await _gather(ground, world, newborn, examples)
    newborn = _judged(newborn)
    return newborn if examples is not None or not newborn.ok else replace(newborn, status=DROPPED)


async def _gather(ground: Ground[S], world: World, individual: Individual, examples: Sequence[int]) -> Individual:
    """Return the individual with what its prompt scores on these examples, those of dev and train apart."""
    dev, train = set(ground.task.examples("dev")), set(ground.task.examples("train"))
    if not dev.union(train).issuperset(examples):
        raise ValueError(f"expected dev or train rows, got {sorted({*examples} - dev - train)}; test rows are sealed")
    scored = await world.evaluate(individual.number, individual.prompt, examples)
    found = [Evaluation(tuple(o for o in scored.outcomes if o.example in split)) for split in (dev, train)]
    return individual.with_evidence(*found)


def _judged(newborn: Individual) -> Individual:
    """Return a newborn, as a failed birth when no example could be scored."""
    if newborn.evaluation.count or newborn.practice.count:
        return newborn
    outcomes = (*newborn.evaluation.outcomes, *newborn.practice.outcomes)
    why = outcomes[0].error if outcomes else "racing asked for no example"
    return replace(newborn, status=FAILED, note=f"no example could be scored: {why}")
