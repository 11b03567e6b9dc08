"""Promptbreeder's direct mutation and hypermutation (Fernando et al., 2023): mutation-prompts, applied and mutated.

What differs from the paper: a chat model is asked for a prompt between tags, and a reply that holds none, or only
copies what it was to change, raises OperatorError instead of becoming a prompt. A hypermutation here makes the new
mutation-prompt alone; `FirstOrder` with it as second parent applies it at once, as a birth of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from evo.model import Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between
from operators.breeder_templates import better_mutation, first_order, first_prompt, new_mutation, zero_order
from operators.genes import MUTATION, mutation_of, with_genes
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.parsing import LONGEST, between_tags
from operators.rewrites import refuse_copy

MAX_TOKENS = 1000
WARM = 1.0
LONGEST_MUTATION = 2000
"""Most characters of a mutation-prompt: one that grew without end would crowd out what it is to change."""


@dataclass(frozen=True, slots=True)
class Given:
    """Return a mutation-prompt as it was given, as a prompt of that part alone. No parents, no model call."""

    name: ClassVar[str] = "given-mutation"

    text: str

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the prompt; the arguments are not used."""
        del parents, llm, rng
        return Prompt.of({MUTATION: self.text})


@dataclass(frozen=True, slots=True)
class FirstUnit:
    """Return a unit of the first population: each of its task-prompts made of a mutation-prompt and a thinking style.

    Parents carry the mutation-prompts: one for all ``parts``, or one for each, of which the unit keeps the first.
    ``frame`` is a seed prompt, whose other parts are kept. Calls the model once for each part.
    """

    name: ClassVar[str] = "first-unit"

    description: str
    styles: tuple[str, ...]
    parts: tuple[str, ...]
    frame: Prompt = field(repr=False)
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the unit. Raises OperatorError when a reply is unusable."""
        unit = self.frame
        carriers = tuple(parents) if len(parents) > 1 else (*parents,) * len(self.parts)
        for carrier, style, part in zip(carriers, self.styles, self.parts, strict=True):
            held = dict(self.frame.parts).get(part, "")
            text = first_prompt(mutation_of(carrier.prompt), style, self.description, held)
            unit = unit.with_part(part, await written(llm, text, self.temperature, self.max_tokens, rng))
        return with_genes(unit, mutation_of(parents[0].prompt), self.temperature)


@dataclass(frozen=True, slots=True)
class AddPart:
    """Return the base with a task-prompt it lacks, the part in focus, written as those of a `FirstUnit` are.

    The last parent carries the mutation-prompt.
    """

    name: ClassVar[str] = "add-part"

    description: str
    style: str
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, carrier = parents[0], parents[-1]
        request = first_prompt(mutation_of(carrier.prompt), self.style, self.description, "")
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


@dataclass(frozen=True, slots=True)
class ZeroOrder:
    """Return the base with a prompt made of the task's description alone: the first of a list of hints."""

    name: ClassVar[str] = "zero-order"

    description: str
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        (base,) = parents
        request = zero_order(self.description, base.prompt.text)
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """Return the base, changed as the last parent's mutation-prompt says.

    The last parent may be the base itself. Where it carries no mutation-prompt one of the house's is drawn.
    """

    name: ClassVar[str] = "first-order"

    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, carrier = parents[0], parents[-1]
        drawn = MUTATION_PROMPTS[int(rng.integers(len(MUTATION_PROMPTS)))]
        request = first_order(mutation_of(carrier.prompt) or drawn, base.prompt.text)
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


@dataclass(frozen=True, slots=True)
class NewMutation:
    """Return a mutation-prompt made of the task's description and a thinking style (zero-order hyper). No parents."""

    name: ClassVar[str] = "new-mutation"

    description: str
    style: str
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return a prompt whose only part is the mutation-prompt. Raises OperatorError when the reply is unusable."""
        del parents
        request = new_mutation(self.description, self.style)
        text = await written(llm, request, self.temperature, self.max_tokens, rng, LONGEST_MUTATION)
        return Prompt.of({MUTATION: text})


@dataclass(frozen=True, slots=True)
class BetterMutation:
    """Return the only parent's mutation-prompt, summarised and improved (first-order hyper)."""

    name: ClassVar[str] = "better-mutation"

    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return a prompt whose only part is the mutation-prompt. Raises OperatorError when unusable or a copy."""
        (carrier,) = parents
        request = better_mutation(mutation_of(carrier.prompt))
        text = await written(llm, request, self.temperature, self.max_tokens, rng, LONGEST_MUTATION)
        refuse_copy(text, (replace(carrier, prompt=carrier.prompt.focused(MUTATION)),))
        return Prompt.of({MUTATION: text})


async def written(
    llm: Llm, request: str, temperature: float, max_tokens: int, rng: np.random.Generator, longest: int = LONGEST
) -> str:
    """Return what the model writes between tags. Calls it once. Raises OperatorError when there is nothing usable."""
    options = {"temperature": temperature, "max_tokens": max_tokens, "seed": draw_seed(rng)}
    completion = await llm.complete(Request.user(request, **options))
    return between_tags(completion.text, longest=longest)
