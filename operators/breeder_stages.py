"""The stages of Promptbreeder's search (Fernando et al., 2023) as pure steps from one state to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from evo.model import OK, Individual
from evo.ports import Evidence, Proposal
from operators.breeder_recipes import Kit, Plan, new_mutation_prompt, replication
from operators.founding import Founding
from operators.genes import perturbed
from operators.initialisation import require_living
from operators.lamarckian import Lamarckian
from operators.members import renewed
from operators.rounds import Round, comparison, requests
from operators.rows import drawn_rows, successes
from operators.similarity import niche_count
from operators.told import Told
from operators.tournaments import Timetable
from operators.units import Slots, Unit, admitted, fittest, living, placed


@dataclass(frozen=True, slots=True)
class Breeding:
    """State of `Promptbreeder`."""

    kit: Kit
    founding: Founding
    timetable: Timetable
    slots: Slots = ()
    round: Round | None = None
    """None between rounds."""
    rounds: int = 0
    """Rounds completed."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals by number that wait for a place, the latest where they are more than the population."""
    seen: Told = field(default_factory=Told)
    """Numbers told so far."""

    @property
    def members(self) -> tuple[Individual, ...]:
        """The individuals that live, scored or not, in the order of their slots."""
        return tuple(unit.individual for unit in living(self.slots))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a round is bred; see `operators.promptbreeder` for the arguments."""

    operators: tuple[tuple[str, float], ...]
    heat: tuple[float, float]
    step: float
    workings: int
    niche: float = 0.0
    """Radius within which prompts share their fitness in tournaments; 0: none do."""

    def opened(self, state: Breeding, rng: np.random.Generator) -> Breeding:
        """Return the state with the next round begun, immigrants in the slots that were empty.

        Raises:
            ConfigError: Nobody lives.
        """
        empty = [slot for slot, unit in enumerate(state.slots) if unit is None]
        state = self._settle_in(state, empty, rng)
        require_living(state.members, 1)
        meetings, timetable = state.timetable.opened(rng)
        return replace(state, timetable=timetable, round=comparison(meetings, state.slots))

    def decided(self, state: Breeding, current: Round, rng: np.random.Generator) -> Breeding:
        """Return the state with every tournament decided and every replication planned."""
        niches = self._niches(state, [slot for one in current.meetings for slot in one.slots])
        results = [result for one in current.meetings if (result := one.decided(state.slots, niches))]
        best = fittest(state.slots)
        if best is not None and best in [winner for winner, _ in results]:
            unit = state.slots[best]
            assert unit is not None
            state = replace(state, slots=placed(state.slots, best, unit.crowned()))
        worst_first = sorted((loser for _, loser in results), key=lambda slot: _worth(state.slots[slot], slot))
        before = state.immigrants
        state = self._settle_in(state, worst_first, rng)
        taken = {*worst_first[: len(before) - len(state.immigrants)]}
        plans = tuple(self._plan(state.slots, *pair, rng) for pair in results if pair[1] not in taken)
        hyper = replace(current, plans=plans).hyper
        mutants = replace(current.mutants, size=len(hyper))
        evidence = requests(self._practice(state, plans, rng))
        return replace(state, round=replace(current, plans=plans, mutants=mutants, evidence=evidence, asked=0))

    def _niches(self, state: Breeding, meeting: list[int]) -> dict[int, float]:
        """Return the niche counts of those who meet, by slot, among all who live; none without sharing."""
        if not self.niche:
            return {}
        texts = {slot: _text(unit, state.kit.parts) for slot, unit in enumerate(state.slots) if unit is not None}
        others = {slot: [texts[other] for other in texts if other != slot] for slot in meeting if slot in texts}
        return {slot: niche_count(texts[slot], others[slot], self.niche) for slot in others}

    def _settle_in(self, state: Breeding, free: list[int], rng: np.random.Generator) -> Breeding:
        """Return the state with immigrants in the first of the free slots."""
        slots = state.slots
        for slot, immigrant in zip(free, state.immigrants, strict=False):
            slots = placed(slots, slot, admitted(immigrant, state.founding.sources, self.heat, rng))
        return replace(state, slots=slots, immigrants=state.immigrants[len(free) :])

    def _plan(self, slots: Slots, winner: int, loser: int, rng: np.random.Generator) -> Plan:
        names, weights = zip(*self.operators, strict=True)
        shares = np.array(weights) / math.fsum(weights)
        unit = slots[winner]
        assert unit is not None
        warmth = perturbed(unit.temperature, self.step, self.heat[1], rng)
        return Plan(winner, loser, names[int(rng.choice(len(names), p=shares))], warmth)

    def _practice(
        self, state: Breeding, plans: tuple[Plan, ...], rng: np.random.Generator
    ) -> Iterator[tuple[Unit, tuple[int, ...]]]:
        """Yield winners that need workings, and the practice rows to have them from."""
        for plan in plans:
            unit = state.slots[plan.winner]
            assert unit is not None
            lacks = plan.operator == Lamarckian.name and not successes(unit.individual, state.kit.practice)
            if lacks or state.kit.contexts:
                fresh = {*unit.unknown([row.number for row in state.kit.practice])}
                rows = [row for row in state.kit.practice if row.number in fresh]
                yield unit, tuple(row.number for row in drawn_rows(rows, self.workings, rng))


def next_step(
    state: Breeding, current: Round, number: int, rng: np.random.Generator
) -> tuple[Proposal | Evidence | None, Breeding]:
    """Return what is to be asked for next in a round; None while results are awaited."""
    if current.asked < len(current.evidence):
        step = current.evidence[current.asked]
        return step, replace(state, round=replace(current, asked=current.asked + 1))
    if current.mutants.place is not None:
        plan = current.hyper[current.mutants.place]
        unit = state.slots[plan.winner]
        assert unit is not None
        born = new_mutation_prompt(state.kit, plan, unit.carrier, rng)
        return born, replace(state, round=replace(current, mutants=current.mutants.ask(number)))
    if current.children is None or current.children.place is None:
        return None, state
    plan = current.fertile(state.slots)[current.children.place]
    unit, carrier = state.slots[plan.winner], current.carrier(plan, state.slots)
    assert unit is not None
    assert carrier is not None
    timetable = state.timetable.until(plan.slot, rng)
    child = replication(state.kit, plan, unit, carrier, state.members, rng)
    state = replace(state, timetable=timetable, round=replace(current, children=current.children.ask(number)))
    return replace(child, examples=timetable.rows_of(plan.slot)), state


def received(state: Breeding, individual: Individual) -> Breeding:
    """Return the state that knows an outcome, evidence or an immigrant; twice told changes nothing."""
    number, current = individual.number, state.round
    if number in state.seen:
        return _ready(_known_better(state, individual))
    state = replace(state, seen=state.seen.add(number))
    if state.founding.awaits(number):
        founding = state.founding.tell(individual)
        return replace(state, founding=founding, slots=founding.settled() if founding.closed else ())
    if current is not None and current.mutants.awaits(number):
        return _ready(replace(state, round=replace(current, mutants=current.mutants.tell(individual))))
    if current is not None and current.children is not None and current.children.awaits(number):
        return _closed(state, replace(current, children=current.children.tell(individual)))
    if individual.status == OK and individual.prompt.shown:
        arrivals = sorted((*state.immigrants, individual), key=lambda one: one.number)
        return replace(state, immigrants=tuple(arrivals)[-state.timetable.size :])
    return state


def bred(state: Breeding, current: Round) -> Breeding:
    """Return the state with the copies of a round about to be bred; the round is over where there are none."""
    return _closed(state, current.conceived(state.slots))


def _ready(state: Breeding) -> Breeding:
    """Return the state with the copies of a round about to be bred, if nothing is being prepared any more."""
    current = state.round
    if current is None or current.plans is None or current.children is not None:
        return state
    return bred(state, current) if current.gathered(state.slots) else state


def _closed(state: Breeding, current: Round) -> Breeding:
    """Return the state in this round, or after it if all its births are told."""
    if current.children is None or not current.children.closed:
        return replace(state, round=current)
    return replace(state, slots=current.settled(state.slots), round=None, rounds=state.rounds + 1)


def _known_better(state: Breeding, individual: Individual) -> Breeding:
    """Return the state with more evidence of an individual that lives, waits or was born in the round under way."""
    slots = tuple(
        replace(unit, individual=unit.individual.with_evidence_of(individual))
        if unit is not None and unit.individual.number == individual.number
        else unit
        for unit in state.slots
    )
    current = state.round
    if current is not None and current.children is not None:
        current = replace(current, children=current.children.informed(individual))
    founding, immigrants = state.founding.informed(individual), renewed(state.immigrants, individual)
    return replace(state, founding=founding, slots=slots, round=current, immigrants=immigrants)


def _text(unit: Unit, parts: tuple[str, ...]) -> str:
    """Return a unit's task-prompts as one text."""
    held = dict(unit.individual.prompt.parts)
    return "\n".join(held[part] for part in parts if part in held)


def _worth(unit: Unit | None, slot: int) -> tuple[float, int]:
    """Return the sort key of losers, worst first: empty slots, units without evidence, then by fitness."""
    if unit is None:
        return -2.0, slot
    return unit.individual.fitness if unit.individual.ok else -1.0, slot
