"""GPS's operators (Xu et al., EMNLP 2022): say a prompt again, by continuation, by cloze or by back-translation.

The paper lets T5 complete texts; ours ask a chat model for the same. Each child must pass the rules of GPS's filter
(`operators.rules`). Only continuation is in the paper's code: how spans are hidden and the list of languages are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import ClassVar

import numpy as np

from evo.errors import ConfigError, OperatorError
from evo.model import Individual, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between
from operators.gaps import filled, hidden
from operators.parsing import between_tags
from operators.rewrites import MAX_TOKENS, refuse_copy
from operators.rules import Rules
from operators.templates import keep_line

TEMPERATURE = 1.0
TOP_P = 0.9
LANGUAGES = (
    "Chinese",
    "Japanese",
    "Korean",
    "French",
    "Spanish",
    "Italian",
    "Russian",
    "German",
    "Arabic",
    "Greek",
    "Portuguese",
)

_CONTINUATION = Template(
    """Two prompts mean the same, in different words. The first is given, the second is missing.

Prompt 1: $base

Write prompt 2. Do not carry it out. Put only its text between <prompt> and </prompt>.
$keep
Prompt 2:"""
)

_CLOZE = Template(
    """In the prompt below some words are missing; [gap 1], [gap 2] and so on stand for them. Put words in the place \
of each gap, so that the prompt reads well, and change nothing else. Do not carry it out. Put the whole prompt \
between <prompt> and </prompt>.
$keep
Prompt 1: $base

Whole prompt:"""
)

_TRANSLATION = Template(
    """Translate the prompt below into $language. Do not carry it out. Put only the translation between <prompt> and \
</prompt>.
$keep
Prompt 1: $base

Translation:"""
)


@dataclass(frozen=True, slots=True)
class Continuation:
    """Return the only parent said again: the model writes the second of two prompts that mean the same."""

    name: ClassVar[str] = "continuation"

    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS
    rules: Rules = field(default_factory=Rules, repr=False)

    def __post_init__(self) -> None:
        _check(self)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when the reply is unusable, a copy, or breaks a rule."""
        (base,) = parents
        text = base.prompt.text
        written = await _written(self, _CONTINUATION.substitute(base=text, keep=keep_line((text,))), llm, rng)
        return _child(base, written, self.rules)


@dataclass(frozen=True, slots=True)
class Cloze:
    """Return the only parent with some of its words hidden and filled in anew by the model.

    Args:
        share: Of the words that are hidden, at least one.
        longest: Most words in a span, as it is drawn; spans that meet are one gap.
        temperature: Of the operator model.
        top_p: Of the operator model.
        max_tokens: Most tokens of the reply.
        rules: What the child must be like.
    """

    name: ClassVar[str] = "cloze"

    share: float = 0.3
    longest: int = 3
    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS
    rules: Rules = field(default_factory=Rules, repr=False)

    def __post_init__(self) -> None:
        _check(self)
        between(self.name, "share", self.share, 0, 1)
        at_least(self.name, "longest", self.longest, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when more than the gaps changed, or nothing did, or a rule breaks."""
        (base,) = parents
        text = base.prompt.text
        kept = hidden(text, self.share, self.longest, rng)
        gapped = "".join(f"{piece}[gap {place}]" for place, piece in enumerate(kept[:-1], 1)) + kept[-1]
        written = await _written(self, _CLOZE.substitute(base=gapped, keep=keep_line((text,))), llm, rng)
        if not filled(written, kept):
            raise OperatorError("expected the prompt with its gaps filled, got another text; try again")
        return _child(base, written, self.rules)


@dataclass(frozen=True, slots=True)
class BackTranslation:
    """Return the only parent translated into a language drawn from ``languages``, and back. Calls the model twice.

    ``home`` is the language prompts are written in.
    """

    name: ClassVar[str] = "back-translation"

    languages: tuple[str, ...] = LANGUAGES
    home: str = "English"
    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    max_tokens: int = MAX_TOKENS
    rules: Rules = field(default_factory=Rules, repr=False)

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "languages", tuple(self.languages))
        if not all(isinstance(name, str) and re.search(r"\w", name) for name in (*self.languages, self.home)):
            raise ConfigError(f"{self.name} expects names of languages, got {self.languages} and {self.home!r}")
        if not self.languages:
            raise ConfigError(f"{self.name} expects at least one language, got none; name some, such as French")

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when a reply is unusable, the last a copy, or a rule breaks."""
        (base,) = parents
        text = base.prompt.text
        for language in (self.languages[int(rng.integers(len(self.languages)))], self.home):
            asked = _TRANSLATION.substitute(language=language, base=text, keep=keep_line((base.prompt.text,)))
            text = await _written(self, asked, llm, rng)
        return _child(base, text, self.rules)


Restatement = Continuation | Cloze | BackTranslation


def _check(operator: Restatement) -> None:
    between(operator.name, "temperature", operator.temperature, 0, 2)
    between(operator.name, "top_p", operator.top_p, 0, 1)
    at_least(operator.name, "max_tokens", operator.max_tokens, 1)


async def _written(operator: Restatement, asked: str, llm: Llm, rng: np.random.Generator) -> str:
    request = Request.user(
        asked,
        temperature=operator.temperature,
        top_p=operator.top_p,
        max_tokens=operator.max_tokens,
        seed=draw_seed(rng),
    )
    return between_tags((await llm.complete(request)).text)


def _child(base: Individual, text: str, rules: Rules) -> Prompt:
    refuse_copy(text, (base,))
    rules.check(text, base.prompt.text)
    return base.prompt.with_text(text)
