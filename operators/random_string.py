"""A random string in front of what a model is asked, so that it does not write the same again (Fernando et al., 2023).

One of Promptbreeder's aids against stagnation: the string says nothing, but moves the model's reply.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evo.model import Completion, Individual, Prompt, Request
from evo.ports import Llm, Operator, Price

CHARACTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class AfterRandomString:
    """Return what another operator writes, all it asks a model for text headed by one string of ``length`` characters.

    Calls the model as that operator does. The string is drawn anew for each birth, and for each try of one.
    """

    operator: Operator
    length: int

    @property
    def name(self) -> str:
        """The other operator's."""
        return self.operator.name

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError as the operator does."""
        drawn = "".join(CHARACTERS[int(place)] for place in rng.integers(len(CHARACTERS), size=self.length))
        return await self.operator(parents, Headed(llm, drawn), rng)


@dataclass(frozen=True, slots=True)
class Headed:
    """A model that is asked with a text in front; texts to be embedded go as they are."""

    llm: Llm
    head: str

    @property
    def identity(self) -> str:
        """The model's: the text in front is part of the request."""
        return self.llm.identity

    @property
    def can_choose(self) -> bool:
        """The model's."""
        return self.llm.can_choose

    @property
    def can_embed(self) -> bool:
        """The model's."""
        return self.llm.can_embed

    @property
    def price(self) -> Price | None:
        """The model's."""
        return self.llm.price

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Raises LlmError."""
        if request.embedding:
            return await self.llm.complete(request)
        (role, text), *others = request.messages
        return await self.llm.complete(replace(request, messages=((role, f"{self.head}\n\n{text}"), *others)))

    async def aclose(self) -> None:
        """Nothing to close: whoever made the model owns it."""
