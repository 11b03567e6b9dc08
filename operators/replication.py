"""What happens to every copy of a winner in Promptbreeder (Fernando et al., 2023), whichever operator mutates it.

The copy inherits the winner's parts, gets its mutation-prompt, its perturbed temperature and its contexts, and now
and then a task-prompt of another member (crossover; the mutation-prompt never crosses over).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evo.model import Demo, Individual, Prompt, with_demos
from evo.ports import Llm, Operator
from operators.genes import with_genes


@dataclass(frozen=True, slots=True)
class Copy:
    """Return the first parent's prompt as it is. No model call."""

    name: ClassVar[str] = "copy"

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the prompt."""
        del llm, rng
        return parents[0].prompt


@dataclass(frozen=True, slots=True)
class Replicate:
    """Return a mutated copy of the first parent, with genes and contexts; calls the model as ``mutation`` does.

    With ``swapped``, the name of a part, the last parent gives that part and takes no part in the mutation.
    """

    name: str
    mutation: Operator
    mutation_prompt: str = field(repr=False)
    temperature: float
    swapped: str = ""
    contexts: tuple[Demo, ...] | None = field(default=None, repr=False)
    """Worked examples of the copy; None leaves those of the parent."""

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the copy. Raises OperatorError as ``mutation`` does."""
        child = await self.mutation(parents[:-1] if self.swapped else parents, llm, rng)
        if self.swapped:
            child = child.with_part(self.swapped, parents[-1].prompt.part(self.swapped))
        if self.contexts is not None:
            child = with_demos(child, self.contexts)
        return with_genes(child, self.mutation_prompt, self.temperature)
