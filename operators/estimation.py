"""Promptbreeder's estimation of distribution (Fernando et al., 2023): the model continues a list of prompts.

Near-duplicates by trigrams are left out by whoever picks the parents (`operators.similarity`), so that the edges of a
birth name the prompts that were shown. Those by embeddings (``max_cosine``) the operator leaves out itself, as that
takes a model: the edges then name all that were read, shown or not. A copy of any parent is refused, be it the base or
the carrier of the mutation-prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evo.model import Individual, Prompt, by_fitness
from evo.ports import Llm
from operators.breeder_templates import next_of_lineage, next_of_list, next_of_ranking
from operators.genes import mutation_of
from operators.mutation_prompts import MAX_TOKENS, WARM, written
from operators.rewrites import refuse_copy
from operators.similarity import diverse_in_meaning


@dataclass(frozen=True, slots=True)
class Estimate:
    """Return the base with the next prompt of a list of the other parents', in random order, no fitness shown.

    ``max_cosine``: a prompt whose embedding is closer to a better one's is not listed; None lists all.
    """

    name: ClassVar[str] = "eda"

    temperature: float = WARM
    max_tokens: int = MAX_TOKENS
    max_cosine: float | None = None

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, *members = parents
        listed = await _distinct(members, llm, self.max_cosine)
        request = next_of_list([listed[int(place)].prompt.text for place in rng.permutation(len(listed))])
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


@dataclass(frozen=True, slots=True)
class RankedEstimate:
    """Return the base with the next prompt of a list that ascends in fitness and is said to descend.

    Parents: base, the carrier of the mutation-prompt that heads the list, and those listed, in any order. For
    ``max_cosine`` see `Estimate`.
    """

    name: ClassVar[str] = "eda-rank-index"

    temperature: float = WARM
    max_tokens: int = MAX_TOKENS
    max_cosine: float | None = None

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, carrier, *members = parents
        listed = await _distinct(members, llm, self.max_cosine)
        ascending = [member.prompt.text for member in sorted(listed, key=by_fitness, reverse=True)]
        request = next_of_ranking(ascending, mutation_of(carrier.prompt))
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


@dataclass(frozen=True, slots=True)
class LineageEstimate:
    """Return the base with the next prompt of its lineage: further parents are its elite ancestors, oldest first."""

    name: ClassVar[str] = "lineage"

    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable or a copy."""
        base, *elites = parents
        request = next_of_lineage([elite.prompt.text for elite in elites])
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)


async def _distinct(members: Sequence[Individual], llm: Llm, max_cosine: float | None) -> Sequence[Individual]:
    """Return the members, without those that say nearly the same as a better one."""
    return members if max_cosine is None else await diverse_in_meaning(members, llm, max_cosine)
