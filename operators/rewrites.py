"""Operators by which a model writes a prompt from others: EvoPrompt's three (Guo et al., ICLR 2024).

Each calls the model exactly once. A reply that cannot be used, or that only copies a parent or the worked example it
was shown, as small models do, raises OperatorError; whether to try again is the caller's affair.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.model import Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between, one_of
from operators.parsing import between_tags, normalised
from operators.templates import Variant, crossover_mutation, paraphrase, recombination
from operators.worked_examples import CROSSOVER, DIFFERENCE, Family

TEMPERATURE = 0.5
MAX_TOKENS = 1000
ECHO = 4
"""Words in a row that are taken for a copy."""


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Return the only parent, reworded with its meaning unchanged."""

    name: ClassVar[str] = "paraphrase"

    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        (base,) = parents
        request = Request.user(
            paraphrase(base.prompt.text),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=draw_seed(rng),
        )
        return await _written(llm, request, base, parents)


@dataclass(frozen=True, slots=True)
class CrossoverMutation:
    """Return a crossover of two parents (base, mate), mutated in the same call (the genetic algorithm's operator).

    ``example`` names the worked example shown; it should be of another task family than the task.
    """

    name: ClassVar[str] = "crossover-mutation"

    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    example: Family = "simplification"

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)
        one_of(self.name, "example", self.example, Family)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, mate = parents
        request = Request.user(
            crossover_mutation(base.prompt.text, mate.prompt.text, self.example),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=draw_seed(rng),
        )
        return await _written(llm, request, base, parents, CROSSOVER[self.example].values())


@dataclass(frozen=True, slots=True)
class DifferentialRecombination:
    """Return the base recombined with what differs between two donors (differential evolution's operator).

    Parents: donor1, donor2, best, base; with variant v2 (no best prompt) donor1, donor2, base. Variant v3 mutates the
    two donors as wholes instead of only their differing parts; in the paper v1 was clearly better than v3.
    """

    name: ClassVar[str] = "differential"

    variant: Variant = "v1"
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    example: Family = "simplification"

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)
        one_of(self.name, "example", self.example, Family)
        one_of(self.name, "variant", self.variant, Variant)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        first, second, *best, base = (parent.prompt.text for parent in parents)
        if len(best) != (0 if self.variant == "v2" else 1):
            raise ValueError(f"expected donor1, donor2, best (not for v2) and base, got {len(parents)} parents")
        request = Request.user(
            recombination((first, second), best[0] if best else None, base, self.example, self.variant),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=draw_seed(rng),
        )
        return await _written(llm, request, parents[-1], parents, DIFFERENCE[self.example].values())


async def _written(
    llm: Llm, request: Request, base: Individual, parents: Sequence[Individual], shown: Collection[str] = ()
) -> Prompt:
    """Return ``base`` with the text the model wrote, unless it is a parent's or one ``shown`` as an example."""
    completion = await llm.complete(request)
    text = between_tags(completion.text)
    refuse_copy(text, parents)
    if normalised(text) in {normalised(example) for example in shown}:
        raise OperatorError("expected a new prompt, got a copy of the worked example; try again, or a stronger model")
    return base.prompt.with_text(text)


def refuse_copy(text: str, parents: Sequence[Individual]) -> None:
    """Return nothing. Raises OperatorError when ``text`` is, but for case and white space, that of a parent."""
    for parent in parents:
        if normalised(text) == normalised(parent.prompt.text):
            raise OperatorError(f"expected a new prompt, got a copy of parent {parent.number}; try again")


def refuse_echo(text: str, asked: str, parents: Sequence[Individual]) -> None:
    """Return nothing. Raises OperatorError when most of ``text`` stands in the request, parents' own words aside.

    Small models repeat what they are told to do, or the cases they are shown, in place of doing it. Compared are runs
    of `ECHO` words; a shorter text is no echo.
    """
    own = set().union(*(_runs(parent.prompt.text) for parent in parents))
    written, heard = _runs(text) - own, _runs(asked)
    if written and len(written & heard) > len(written) / 2:
        raise OperatorError("expected a new prompt, got words of the request; try again, or name another model")


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[place : place + ECHO]) for place in range(len(words) - ECHO + 1)}
