"""Births without parents: the prompts a run starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evo.model import Individual, Prompt
from evo.ports import Llm


@dataclass(frozen=True, slots=True)
class Seed:
    """Return the prompt it was given. No parents, no model call."""

    name: ClassVar[str] = "seed"

    prompt: Prompt

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the prompt; the arguments are not used."""
        del parents, llm, rng
        return self.prompt
