"""One model call as frozen data: the request, the answer, and what a scorer says of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from numbers import Real
from typing import Any

import orjson

_CANONICAL = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """Return 32 hex digits that identify a JSON-serialisable value by content (SHA-256, truncated)."""
    return _mark(_CANONICAL.encode(value).encode())


def _mark(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a model, complete: two equal requests to one model are the same call.

    With ``choices`` the call asks for the log-likelihood of each choice as the continuation, with ``embedding`` for
    the embedding of its text, neither for text.
    ``replicate`` tells apart repeats that are meant to be drawn anew.
    """

    messages: tuple[tuple[str, str], ...]
    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int = 256
    seed: int | None = None
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    replicate: int = 0
    embedding: bool = False

    @classmethod
    def user(cls, text: str, **options: Any) -> Request:
        """Return a request of a single user message."""
        return cls((("user", text),), **options)

    @property
    def text(self) -> str:
        """All message contents, joined by blank lines."""
        return "\n\n".join(content for _, content in self.messages)

    def key(self, model: str) -> str:
        """Return 32 hex digits that identify this request to ``model`` (its identity, see ``Llm.identity``)."""
        content = [
            model,
            self.messages,
            self.temperature,
            self.top_p,
            self.max_tokens,
            self.seed,
            self.stop,
            self.choices,
            self.replicate,
            *(["embedding"] if self.embedding else []),
        ]
        try:
            return _mark(orjson.dumps(content))  # twice for every row: `digest` takes five times as long
        except TypeError:  # halves of surrogate pairs
            return digest(content)


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer, with what it used. ``cost_usd`` is None where no price is known."""

    text: str
    prompt_tokens: int
    output_tokens: int
    cost_usd: float | None = None
    latency_s: float = 0.0
    logprobs: tuple[float, ...] = ()
    """Natural log-likelihood of each of the request's choices, whole choice, in their order."""
    lengths: tuple[int, ...] = ()
    """Number of tokens of each choice."""
    embedding: tuple[float, ...] = ()
    """What an embedding was asked for: a vector of unit length."""

    @property
    def tokens(self) -> int:
        """Prompt and output tokens together."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one answer: a number in [0, 1] and, where it can, the answer read and a reason."""

    value: float
    answer: str = ""
    reason: str = ""
    parsed: bool = True
    """False when no answer could be read in the model's reply: an outcome of its own, never a class."""

    def __post_init__(self) -> None:
        # Scorers are the user's code, and one value of another type would make the whole log unreadable.
        for name, wanted in (("value", Real), ("answer", str), ("reason", str), ("parsed", bool)):
            given = getattr(self, name)
            if not isinstance(given, wanted):
                raise TypeError(f"a score's {name} is a {wanted.__name__.lower()}, but a scorer gave {given!r}")
        object.__setattr__(self, "value", float(self.value))
        if not 0.0 <= self.value <= 1.0:
            raise ValueError(f"a score lies in [0, 1], but a scorer gave {self.value!r}; rescale it")
