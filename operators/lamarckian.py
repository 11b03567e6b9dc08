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
    """Return the base with the instruction the model guesses behind up to ``shown`` of the base's correct workings.

    ``rows`` are those that may be shown. Raises OperatorError when the base was right on none of them.
    """

    name: ClassVar[str] = "lamarckian"

    rows: tuple[Example, ...] = field(repr=False)
    shown: int = 4
    temperature: float = WARM
    max_tokens: int = MAX_TOKENS

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when there is no success, or the reply is unusable or a copy."""
        (base,) = parents
        right = successes(base, self.rows)
        if not right:
            raise OperatorError(f"expected a correct working of individual {base.number}, got none; score more rows")
        places = rng.choice(len(right), size=min(self.shown, len(right)), replace=False)
        workings = [(shown_input(row), working_of(outcome)) for row, outcome in (right[int(place)] for place in places)]
        request = guessed_from(workings, base.prompt.text)
        text = await written(llm, request, self.temperature, self.max_tokens, rng)
        refuse_copy(text, parents)
        return base.prompt.with_text(text)
