"""Promptbreeder's unit of evolution (Fernando et al., 2023): an individual, and what the search knows besides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from evo.model import Evaluation, Individual, by_fitness
from operators.genes import mutation_of, temperature_of

MOST_ELITES = 20
"""Longest lineage kept: older elite ancestors are forgotten first."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A member: its task-prompts and contexts are the individual's parts."""

    individual: Individual
    carrier: Individual
    """Whose mutation-prompt it uses: a mutation-prompt's own individual, or itself where it came from elsewhere."""
    temperature: float
    """At which copies of it are mutated, after a perturbation."""
    elites: tuple[Individual, ...] = ()
    """Its ancestors, maybe itself too, that were the best of the population in their time, oldest first."""

    @property
    def native(self) -> bool:
        """Whether its prompt has a mutation-prompt: seeds and members of other methods have none."""
        return bool(mutation_of(self.individual.prompt))

    def has(self, part: str) -> bool:
        """Return whether its prompt has a part."""
        return part in dict(self.individual.prompt.parts)

    def knows(self, rows: Iterable[int]) -> bool:
        """Return whether each of these rows has an outcome, be it an error."""
        return not self.unknown(rows)

    def unknown(self, rows: Iterable[int]) -> tuple[int, ...]:
        """Return those of the rows without an outcome."""
        known = {o.example for o in (*self.individual.evaluation.outcomes, *self.individual.practice.outcomes)}
        return tuple(row for row in rows if row not in known)

    def crowned(self) -> Unit:
        """Return the unit with itself as the youngest of its elites, kept without its evidence."""
        if self.elites and self.elites[-1].number == self.individual.number:
            return self
        elite = replace(self.individual, evaluation=Evaluation(), practice=Evaluation())
        return replace(self, elites=(*self.elites, elite)[-MOST_ELITES:])


Slots = tuple[Unit | None, ...]
"""The population: slot after slot, None where nobody lives."""


def admitted(
    individual: Individual, carriers: tuple[Individual, ...], heat: tuple[float, float], rng: np.random.Generator
) -> Unit:
    """Return an individual as a unit; what it does not carry itself, mutation-prompt and temperature, is drawn."""
    drawn, warmth = carriers[int(rng.integers(len(carriers)))], float(rng.uniform(*heat))
    temperature = temperature_of(individual.prompt, heat[1])
    return Unit(
        individual,
        individual if mutation_of(individual.prompt) else drawn,
        warmth if temperature is None else temperature,
    )


def living(slots: Slots) -> tuple[Unit, ...]:
    """Return the units in the order of their slots."""
    return tuple(unit for unit in slots if unit is not None)


def placed(slots: Slots, slot: int, unit: Unit) -> Slots:
    """Return the slots with a unit in one of them."""
    return (*slots[:slot], unit, *slots[slot + 1 :])


def fittest(slots: Slots) -> int | None:
    """Return the slot of the best unit by all its evidence; None when nobody has any."""
    ranked = sorted(
        (by_fitness(unit.individual), slot)
        for slot, unit in enumerate(slots)
        if unit is not None and unit.individual.ok
    )
    return ranked[0][1] if ranked else None
