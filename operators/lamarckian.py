"""Promptbreeder's Lamarckian mutation (Fernando et al., 2023): an instruction guessed from what it led to.

What is shown is what the model itself wrote under the parent's prompt and was right with, never the data's answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.model import Example, Individual, Prompt
from evo.ports import Llm
from operators.breeder_templates import guessed_from
from operators.mutation_prompts import MAX_TOKENS, WARM, written
from operators.rewrites import refuse_copy
from operators.rows import shown_input, successes, working_of


@dataclass(frozen=True, slots=True)
class Lamarckian:
    """Return the base with the instruction the model guesses behind its correct workings of ``rows``.

    The numbers of the rows are recorded, as ``examples``. Raises OperatorError when the base was right on none of them.
    """

    name: ClassVar[str] = "lamarckian"

    rows: tuple[Example, ...] = field(repr=False)
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS
    examples: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        base: Individual,
        rows: Sequence[Example],
        rng: np.random.Generator,
        *,
        shown: int = 4,
        temperature: float = WARM,
        max_tokens: int = MAX_TOKENS,
    ) -> Lamarckian | None:
        """Return the operator with up to ``shown`` rows drawn of those the base was right on; None without any."""
        right = successes(base, rows)
        if not right:
            return None
        drawn = [right[int(place)][0] for place in rng.choice(len(right), min(shown, len(right)), replace=False)]
        return cls(tuple(drawn), temperature, max_tokens, tuple(row.number for row in drawn))

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when there is no success, or the reply is unusable or a copy."""
        (base,) = parents
        right = successes(base, self.rows)
        if not right:
            raise OperatorError(f"expected a correct working of individual {base.number}, got none; score more rows")
        workings = [(shown_input(row), working_of(outcome)) for row, outcome in right]
        request = guessed_from(workings, base.prompt.text)
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)
