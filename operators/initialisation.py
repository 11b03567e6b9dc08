"""The first population, as EvoPrompt makes it (Guo et al., ICLR 2024): score the seeds, keep some, paraphrase those.

``para_topk`` (the default) keeps the best floor(N/2) seeds and paraphrases each once; ``para_bottomk`` and
``para_randomk`` keep others; without ``para_`` N seeds are kept and none is paraphrased. Our decisions where the paper
is silent: with fewer seeds than that all are kept and paraphrased in turn until there are N; the place of a paraphrase
that failed goes to the next seed of the ranking, as long as there is one.
Calls: S seeds x |D| task calls; then (N - kept) x (1 operator call + |D| task calls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import Brief, Individual, Prompt
from evo.ports import Operator, Proposal
from operators.brood import Brood
from operators.seeds import Seed
from operators.selection import best

Init = Literal["para_topk", "para_bottomk", "para_randomk", "topk", "bottomk", "randomk"]


@dataclass(frozen=True, slots=True)
class Nursery:
    """The births before the first generation."""

    seeds: tuple[Prompt, ...]
    size: int
    init: Init
    paraphrase: Operator
    first: Brood
    """The seeds, scored."""
    second: Brood | None = None
    """Paraphrases, once all seeds are told."""
    shuffle: tuple[int, ...] = ()
    """A random order of seeds, drawn with the first birth."""

    @property
    def closed(self) -> bool:
        """Whether all its births are told."""
        return self.second is not None and self.second.closed

    @property
    def ranking(self) -> tuple[Individual, ...]:
        """The living seeds in the order in which they are kept."""
        seeds = best(self.first.living, len(self.seeds))
        if self.init.endswith("bottomk"):
            return seeds[::-1]
        if self.init.endswith("randomk"):
            return tuple(sorted(seeds, key=lambda seed: self.shuffle[self.first.numbers.index(seed.number)]))
        return seeds

    @property
    def kept(self) -> tuple[Individual, ...]:
        """The seeds that live on, and are paraphrased where the scheme says so."""
        return self.ranking[: self.size // 2 if self.init.startswith("para_") else self.size]

    @property
    def members(self) -> tuple[Individual, ...]:
        """The first population, as far as it is known; at most ``size``, best first."""
        if self.second is None:
            return best(self.first.living, self.size)
        born = best((*self.kept, *self.second.living), self.size)
        spare = self.ranking[len(self.kept) :] if self.closed else ()
        return best((*born, *spare[: self.size - len(born)]), self.size)

    def ask(self, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Nursery]:
        """Return the next birth; None while seeds are being scored, or when all are asked for."""
        if self.second is None:
            return self._seed(number, rng)
        if self.second.place is None:
            return None, self
        parent = self.kept[self.second.place % len(self.kept)]
        return Proposal(self.paraphrase, (parent,), ("base",)), replace(self, second=self.second.ask(number))

    def _seed(self, number: int, rng: np.random.Generator) -> tuple[Proposal | None, Nursery]:
        place = self.first.place
        if place is None:
            return None, self
        shuffle = self.shuffle or tuple(int(order) for order in rng.permutation(len(self.seeds)))
        return Proposal(Seed(self.seeds[place])), replace(self, first=self.first.ask(number), shuffle=shuffle)

    def awaits(self, number: int) -> bool:
        """Return whether a birth was asked for here and is not told yet."""
        return self.first.awaits(number) or (self.second is not None and self.second.awaits(number))

    def tell(self, individual: Individual) -> Nursery:
        """Return the nursery that knows this birth's outcome."""
        if self.second is not None:
            return replace(self, second=self.second.tell(individual))
        told = replace(self, first=self.first.tell(individual))
        if not told.first.closed:
            return told
        paraphrases = self.size - len(told.kept) if self.init.startswith("para_") and told.kept else 0
        return replace(told, second=Brood(paraphrases))

    def informed(self, known: Individual) -> Nursery:
        """Return the nursery with more evidence of one of those born here."""
        second = None if self.second is None else self.second.informed(known)
        return replace(self, first=self.first.informed(known), second=second)


def nursery(brief: Brief, size: int, init: Init, paraphrase: Operator, least: int) -> Nursery:
    """Return the births a population of ``size`` begins with. ``least`` is how many members the method needs.

    Raises:
        ConfigError: There is no seed prompt, or there are too few where none is paraphrased.
    """
    seeds = tuple(dict.fromkeys(brief.seeds))
    needed = 1 if init.startswith("para_") else least
    if len(seeds) < needed:
        raise ConfigError(
            f"init {init!r} expects at least {needed} different seed prompts, got {len(seeds)}; add some to 'prompts'"
        )
    return Nursery(seeds, size, init, paraphrase, Brood(len(seeds)))


def require_living(living: Sequence[Individual], least: int) -> None:
    """Return nothing. Raises ConfigError when fewer than ``least`` prompts live, so that none can be bred."""
    if len(living) < least:
        raise ConfigError(
            f"expected at least {least} living prompts to breed from, got {len(living)}: the other births failed; "
            "read their notes in the log: where rows could not be scored, mend what they name; where operators gave no "
            "usable prompt, pass more seed prompts or a stronger operator_model"
        )
