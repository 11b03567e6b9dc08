"""What the clients of provider APIs share: an endpoint's name, its key, and replies that hold no text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from evo.errors import ConfigError, LlmError
from evo.model import Request, digest
from evo.ports import Price
from evo.settings import ModelSettings

SAMPLING = frozenset({"temperature", "max_tokens", "seed", "stop", "top_p"})
OURS = SAMPLING | {"model", "messages", "input", "encoding_format", "n", "stream", "timeout", "api_base"}
"""Parameters that options may not hold, as settings and requests do."""
LENGTHS = re.compile(
    r"max(?!input|prompt|reasoning|thinking)\w*tokens\w*|max(gen|new|output|total)?len(gth)?|n(um)?predict|tokenstogenerate"
)
"""Names under which servers take the length of a reply, in lower case without underscores."""
REPLIES = re.compile(r"n|bestof|candidatecount|num(returnsequences|completions|generations)")
"""Names under which they take how many replies they write."""
RESENT = re.compile(
    r"fallbacks?|contextwindowfallback(s|dict)|(num|max)retries|retry(policy|strategy)|models|modellist"
)
"""Names under which LiteLLM and routers take what else to ask when a call fails."""
_SCHEMAS = "format functions guidedjson jsonschema properties responseformat schema structuredoutputs tools"
_OTHERS = frozenset([*_SCHEMAS.split(), "logitbias", "metadata", "reasoning", "thinking"])
"""Options whose inner names are a user's own, or bound the thinking within a reply."""
NO_KEY = "none"
"""Sent where a server wants no key: some insist on one."""


def identity_of(settings: ModelSettings) -> str:
    """Return a model's name, its endpoint and the options passed on: the same whichever client asks it."""
    place = f"@{endpoint(settings.api_base)}" if settings.api_base else ""
    options = f"#{digest(dict(settings.options))[:12]}" if settings.options else ""
    return f"{settings.name}{place}{options}"


def endpoint(api_base: str) -> str:
    """Return a URL without what may be secret in it: user, password and query."""
    parts = urlsplit(api_base)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def refuse_reserved(settings: ModelSettings) -> None:
    """Raises ConfigError for an option that settings or requests already carry, or that a cap could be passed by."""
    for place, name in _named(settings.options):
        if LENGTHS.fullmatch(name):
            raise ConfigError(
                f"model {settings.name}: option {place} says how long a reply may be, by which caps are kept; remove "
                "it, and set the model's max_tokens (a judge's: the scorer's max_tokens)"
            )
        if REPLIES.fullmatch(name):
            raise ConfigError(
                f"model {settings.name}: option {place} asks for several replies, and caps are kept for one; remove it"
            )
        if RESENT.fullmatch(name):
            raise ConfigError(
                f"model {settings.name}: option {place} has calls sent again or to another model, which no cap and no "
                "log would know of; remove it, and set the model's attempts"
            )
    body = settings.options.get("extra_body")
    if taken := sorted(OURS & {*settings.options, *(body if isinstance(body, Mapping) else ())}):
        raise ConfigError(f"model {settings.name}: options hold {taken[0]}, which is set elsewhere; remove it there")


def _named(options: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of every option, nested ones too, and its name in lower case without underscores."""
    for key, value in options.items():
        name = re.sub(r"[\W_]", "", str(key)).lower()
        yield f"{place}{key}", name
        if name not in _OTHERS:
            for one in value if isinstance(value, list | tuple) else [value]:
                if isinstance(one, Mapping):
                    yield from _named(one, f"{place}{key}.")


def own_key(settings: ModelSettings) -> str | None:
    """Return the key that ``api_key_env`` names; None where it names none. Raises ConfigError when it is not set."""
    if not settings.api_key_env:
        return None
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise ConfigError(f"environment variable {settings.api_key_env} is not set; it should hold the API key")
    return key


def own_price(settings: ModelSettings) -> Price | None:
    """Return the price in the settings."""
    own = settings.price
    return None if own is None else Price(own.prompt_usd_per_million / 1e6, own.output_usd_per_million / 1e6)


def cost_of(price: Price | None, prompt_tokens: int, output_tokens: int, text: str | None) -> float | None:
    """Return what a call cost; None where the price is unknown, or the tokens of what was sent or written are."""
    known = prompt_tokens > 0 and (output_tokens > 0 or not text)
    return price.cost(prompt_tokens, output_tokens) if price is not None and known else None


def asked(request: Request) -> dict[str, Any]:
    """Return what a request asks, in OpenAI's words, without what it leaves open."""
    if request.embedding:
        return {"input": [request.text], "encoding_format": "float"}
    given = {
        "seed": request.seed,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    return {name: value for name, value in given.items() if value is not None}


def empty_reply(reason: str | None, tokens: int | None, usd: float | None) -> LlmError:
    """Return the error of a reply without text, by the reason the provider gives for its end."""
    message = {
        "length": "the reply ended at max_tokens before any text; raise max_tokens",
        "content_filter": "the provider's content filter held the reply back",
    }.get(reason or "")
    empty = "expected a reply with text, got an empty one"
    return LlmError(message or empty, transient=message is None, tokens=tokens, usd=usd)


def no_choices(settings: ModelSettings) -> LlmError:
    """Return the error of a request for likelihoods, which chat APIs do not tell."""
    return LlmError(f"{settings.name} cannot tell the likelihood of choices; ask it for text")


def no_embedding(tokens: int | None, usd: float | None) -> LlmError:
    """Return the error of an embedding that is no list of numbers."""
    return LlmError(
        "expected an embedding as a list of numbers, got another form; name another embedding_model",
        tokens=tokens,
        usd=usd,
    )
