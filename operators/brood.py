"""Births that belong together: asked for one at a time, told in any order, closed when all are told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evo.model import Individual
from operators.members import renewed


@dataclass(frozen=True, slots=True)
class Brood:
    """The births of one generation. Two broods told the same are equal, whatever the order of telling."""

    size: int
    numbers: tuple[int, ...] = ()
    """Numbers in the order of asking: a birth's place in the brood is its place here."""
    told: tuple[Individual, ...] = ()
    """Who was born so far, failed births included, by number."""

    @property
    def place(self) -> int | None:
        """The place of the next birth to ask for, counted from 0; None when all are asked for."""
        return len(self.numbers) if len(self.numbers) < self.size else None

    @property
    def closed(self) -> bool:
        """Whether every birth has been told."""
        return len(self.told) == self.size

    @property
    def living(self) -> tuple[Individual, ...]:
        """The births that went well, by number."""
        return tuple(individual for individual in self.told if individual.ok)

    def awaits(self, number: int) -> bool:
        """Return whether a birth was asked for and is not told yet."""
        return number in self.numbers and all(individual.number != number for individual in self.told)

    def ask(self, number: int) -> Brood:
        """Return the brood with one more birth under way."""
        return replace(self, numbers=(*self.numbers, number))

    def tell(self, individual: Individual) -> Brood:
        """Return the brood that knows this birth's outcome."""
        return replace(self, told=tuple(sorted((*self.told, individual), key=lambda born: born.number)))

    def informed(self, known: Individual) -> Brood:
        """Return the brood with more evidence of one of those born."""
        return replace(self, told=renewed(self.told, known))

    def at(self, place: int) -> Individual | None:
        """Return who was born in a place; None when the birth failed or is not told."""
        number = self.numbers[place] if place < len(self.numbers) else None
        return next((individual for individual in self.living if individual.number == number), None)
