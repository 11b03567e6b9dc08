"""Promptbreeder's first population (Fernando et al., 2023): mutation-prompts and thinking styles, drawn at random.

First the seed prompts are scored, all on one batch, then the mutation-prompts that were drawn are entered into the
log, and each unit's task-prompts are written from one. What differs: the paper knows no seed prompts; here the best of
them become units, half the population at most, with a mutation-prompt that was drawn for them.
Cost: S x batch task calls; then, for each unit that is written, an operator call a task-prompt and batch task calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evo.model import EXAMPLES, Brief, Individual, Prompt
from evo.ports import Proposal
from operators.breeder_recipes import MUTATION_ROLE, Kit, drawn
from operators.brood import Brood
from operators.genes import MUTATION
from operators.mutation_prompts import FirstUnit, Given
from operators.seeds import Seed
from operators.selection import best
from operators.tournaments import Timetable
from operators.units import Slots, Unit


@dataclass(frozen=True, slots=True)
class Lot:
    """What was drawn for one slot: its mutation-prompts (one, or one for each task-prompt) and its temperature."""

    mutations: tuple[int, ...]
    """Places among the mutation-prompts that were drawn."""
    temperature: float


@dataclass(frozen=True, slots=True)
class Founding:
    """Births before the first round. Seeds that become units have the first slots."""

    seed_prompts: tuple[Prompt, ...]
    seed_units: int
    """How many seeds become units, as far as they can be scored."""
    seeds: Brood
    carriers: Brood
    units: Brood
    mutations: tuple[str, ...] = ()
    lots: tuple[Lot, ...] = ()
    opening: tuple[int, ...] = ()
    """The rows that all seeds are scored on."""

    @property
    def closed(self) -> bool:
        """Whether all births are told."""
        return self.seeds.closed and self.carriers.closed and self.units.closed

    @property
    def members(self) -> tuple[Individual, ...]:
        """Who would live if the founding ended now."""
        return (*best(self.seeds.living, self.seed_units), *self.units.living)

    @property
    def sources(self) -> tuple[Individual, ...]:
        """The first mutation-prompts as individuals: they are texts that were given, whatever was told of them."""
        return tuple(
            Individual(number, Prompt.of({MUTATION: text}), Given.name)
            for number, text in zip(self.carriers.numbers, self.mutations, strict=False)
        )

    def awaits(self, number: int) -> bool:
        """Return whether a birth was asked for here and is not told yet."""
        return any(brood.awaits(number) for brood in (self.seeds, self.carriers, self.units))

    def tell(self, individual: Individual) -> Founding:
        """Return the founding that knows a birth's outcome."""
        if self.seeds.awaits(individual.number):
            return replace(self, seeds=self.seeds.tell(individual))
        if self.carriers.awaits(individual.number):
            return replace(self, carriers=self.carriers.tell(individual))
        return replace(self, units=self.units.tell(individual))

    def informed(self, known: Individual) -> Founding:
        """Return the founding with more evidence of one of those born here."""
        return replace(self, seeds=self.seeds.informed(known), units=self.units.informed(known))

    def settled(self) -> Slots:
        """Return the first population; the slots of failed births are empty."""
        chosen = best(self.seeds.living, self.seed_units)
        seeds = tuple(self._unit(slot, one) for slot, one in enumerate(chosen))
        written = tuple(self._unit(self.seed_units + place, self.units.at(place)) for place in range(self.units.size))
        return (*seeds, *(None,) * (self.seed_units - len(chosen)), *written)

    def _unit(self, slot: int, individual: Individual | None) -> Unit | None:
        lot = self.lots[slot]
        source = self.sources[lot.mutations[0]]
        return None if individual is None else Unit(individual, source, lot.temperature)


@dataclass(frozen=True, slots=True)
class Founder:
    """How a first population is made; see `operators.promptbreeder` for the arguments."""

    kit: Kit
    mutation_prompts: tuple[str, ...]
    per_prompt: bool
    heat: tuple[float, float]

    def begin(self, brief: Brief, population: int, seed_units: int) -> Founding:
        """Return the founding before its first birth."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        chosen = min(seed_units, len(seeds))
        return Founding(seeds, chosen, Brood(len(seeds)), Brood(1), Brood(population - chosen))

    def ask(
        self, founding: Founding, timetable: Timetable, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | None, Founding, Timetable]:
        """Return the next birth; None while mutation-prompts or the last births are being told."""
        if not founding.lots:
            founding = self._drawn(founding, timetable, rng)
        if founding.seeds.place is not None:
            seed = Proposal(Seed(founding.seed_prompts[founding.seeds.place]), examples=founding.opening)
            return seed, replace(founding, seeds=founding.seeds.ask(number)), timetable
        if founding.carriers.place is not None:
            given = Given(founding.mutations[founding.carriers.place])
            asked = replace(founding, carriers=founding.carriers.ask(number))
            return Proposal(given, examples=(), part=MUTATION), asked, timetable
        if not founding.carriers.closed or founding.units.place is None:
            return None, founding, timetable
        slot = founding.seed_units + founding.units.place
        timetable = timetable.until(slot, rng)
        unit = self._written(founding, slot, timetable.rows_of(slot), rng)
        return unit, replace(founding, units=founding.units.ask(number)), timetable

    def _drawn(self, founding: Founding, timetable: Timetable, rng: np.random.Generator) -> Founding:
        size = founding.seed_units + founding.units.size
        count = len(self.kit.parts) if self.per_prompt else 1
        texts = [[drawn(self.mutation_prompts, rng) for _ in range(count)] for _ in range(size)]
        mutations = tuple(dict.fromkeys(text for slot in texts for text in slot))
        lots = tuple(Lot(tuple(map(mutations.index, slot)), float(rng.uniform(*self.heat))) for slot in texts)
        opening = timetable.batch_of(rng)
        return replace(founding, mutations=mutations, lots=lots, opening=opening, carriers=Brood(len(mutations)))

    def _written(self, founding: Founding, slot: int, rows: tuple[int, ...], rng: np.random.Generator) -> Proposal:
        lot = founding.lots[slot]
        parents = tuple(founding.sources[place] for place in lot.mutations)
        frame = founding.seed_prompts[int(rng.integers(len(founding.seed_prompts)))]
        operator = FirstUnit(
            self.kit.description,
            tuple(drawn(self.kit.styles, rng) for _ in self.kit.parts),
            self.kit.parts,
            frame.without(EXAMPLES) if self.kit.contexts else frame,
            lot.temperature,
            self.kit.max_tokens,
        )
        return Proposal(operator, parents, (MUTATION_ROLE,) * len(parents), examples=rows, part=self.kit.parts[0])
