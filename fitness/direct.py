"""Models behind an OpenAI-compatible endpoint, asked directly over HTTP (libcurl), without LiteLLM.

The same requests, answers, errors and identity as `fitness.llm.LiteLlm`, for a tenth of its CPU: LiteLLM translates
for a hundred providers and looks up prices, neither of which such an endpoint needs.
"""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from evo.errors import ConfigError, LlmError
from evo.model import Completion, Request
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.curl import CurlError, CurlSession, ascii_url
from fitness.embedding import unit
from fitness.endpoints import (
    NO_KEY,
    asked,
    cost_of,
    empty_reply,
    identity_of,
    no_choices,
    no_embedding,
    own_key,
    own_price,
    refuse_reserved,
)
from fitness.provider_errors import refusal

PREFIX = "openai/"
_LITELLMS = frozenset(
    {"allowed_openai_params", "custom_llm_provider", "drop_params", "extra_body", "extra_headers", "mock_response"}
)
"""Options that are LiteLLM's own: an endpoint knows none of them."""


class DirectLlm:
    """``openai/NAME`` at an ``api_base``, one request to the endpoint a call; see `LiteLlm` for likelihoods.

    Options are added to the body as they stand. The price is the settings' alone. The key is that of ``api_key_env``,
    else OPENAI_API_KEY. Raises ConfigError for another name, for an option that is set elsewhere or is LiteLLM's own,
    and for a missing key.
    """

    def __init__(self, settings: ModelSettings) -> None:
        if not settings.name.startswith(PREFIX) or settings.api_base is None:
            raise ConfigError(
                f"client direct: expected openai/NAME with an api_base, got {settings.name}; use client: litellm"
            )
        if foreign := sorted(_LITELLMS & set(settings.options)):
            raise ConfigError(f"client direct: option {foreign[0]} is LiteLLM's; remove it, or use client: litellm")
        refuse_reserved(settings)
        self._settings, self._base = settings, _readable(settings.api_base.rstrip("/"), "api_base")
        self._proxy = _proxy(self._base)
        self._key = own_key(settings) or os.environ.get("OPENAI_API_KEY", "").strip() or NO_KEY
        self._price, self._identity = own_price(settings), identity_of(settings)
        self._session: CurlSession | None = None
        self._fixed = {**settings.options, "model": settings.name.removeprefix(PREFIX)}

    @property
    def identity(self) -> str:
        """The same as LiteLLM's: an answer is the endpoint's, whoever asks."""
        return self._identity

    @property
    def can_choose(self) -> bool:
        """False: see `LiteLlm`."""
        return False

    @property
    def can_embed(self) -> bool:
        """True: whether the endpoint does is known once it is asked."""
        return True

    @property
    def price(self) -> Price | None:
        """The settings' price."""
        return self._price

    async def complete(self, request: Request) -> Completion:
        """Send one request once. Raises LlmError with what the endpoint said, secrets removed."""
        if request.choices:
            raise no_choices(self._settings)
        started = time.perf_counter()
        reply = await self._reply(
            "/embeddings" if request.embedding else "/chat/completions",
            orjson.dumps({**self._fixed, **asked(_encodable(request))}),
        )
        read = self._read_embedding if request.embedding else self._read
        try:
            return read(reply, time.perf_counter() - started)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from None

    async def aclose(self) -> None:
        """Close the connections; later calls open new ones."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    async def _reply(self, path: str, body: bytes) -> Any:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            self._session = CurlSession(self._base, headers, self._settings.timeout_s, self._proxy)
        try:
            response = await self._session.post(path, body)
        except TimeoutError:
            raise refusal(408, "", self._settings, self._key) from None
        except CurlError as error:
            if error.status == 200:
                raise self._unreadable(str(error)) from None
            raise refusal(503, str(error), self._settings, self._key) from None
        if response.status != 200:
            waits = {"retry-after": response.header("Retry-After")}
            said = _said(response.status, response.content)
            raise refusal(response.status, said, self._settings, self._key, waits)
        try:
            return orjson.loads(response.content)
        except ValueError as error:
            raise self._unreadable(str(error)) from None

    def _unreadable(self, why: str) -> LlmError:
        """Return the error of an answer that came, and was perhaps billed, but cannot be read."""
        error = refusal(503, f"expected an answer in JSON as OpenAI's API gives it: {why}", self._settings, self._key)
        return LlmError(str(error), transient=True, tokens=None, usd=None)

    def _read(self, reply: Any, latency_s: float) -> Completion:
        choice = reply["choices"][0] if reply["choices"] else {}
        text = choice["message"]["content"] if choice else ""
        prompt_tokens, output_tokens, cost = self._used(reply, text)
        if text is None or not text.strip():
            raise empty_reply(choice.get("finish_reason"), prompt_tokens + output_tokens or None, cost)
        return Completion(text, prompt_tokens, output_tokens, cost, latency_s)

    def _read_embedding(self, reply: Any, latency_s: float) -> Completion:
        tokens, _, cost = self._used(reply, "")
        vector = reply["data"][0]["embedding"] if reply["data"] else []
        if not isinstance(vector, list) or not all(isinstance(value, int | float) for value in vector):
            raise no_embedding(tokens or None, cost)
        return Completion("", tokens, 0, cost, latency_s, embedding=unit(vector))

    def _used(self, reply: Any, text: str | None) -> tuple[int, int, float | None]:
        """Return prompt tokens and output tokens, 0 where the reply does not say them, and their cost."""
        usage = reply.get("usage") or {}
        prompt, output = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        return prompt, output, cost_of(self._price, prompt, output, text)


def _proxy(api_base: str) -> str:
    """Return the proxy that the environment names for an endpoint; empty where it names none."""
    parts = urlsplit(api_base)
    bypassed = urllib.request.proxy_bypass(parts.hostname or "")
    named = "" if bypassed else urllib.request.getproxies().get(parts.scheme, "")
    if not named:
        return ""
    return _readable(named if "://" in named else f"http://{named}", f"environment variable {parts.scheme}_proxy")


def _readable(url: str, what: str) -> str:
    """Return a URL. Raises ConfigError, which does not quote it, when it cannot be read."""
    try:
        ascii_url(url)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}; mend it") from None
    return url


def _encodable(request: Request) -> Request:
    """Return the request without halves of surrogate pairs, which UTF-8 cannot hold."""
    try:
        request.text.encode()
    except UnicodeEncodeError:
        whole = ((role, text.encode("utf-8", "replace").decode()) for role, text in request.messages)
        return replace(request, messages=tuple(whole))
    return request


def _said(status: int, content: bytes) -> str:
    """Return the provider's words in an error's body."""
    try:
        body = orjson.loads(content)
    except ValueError:
        body = None
    error = body.get("error") or body.get("detail") or body if isinstance(body, Mapping) else None
    words = error.get("message") or error if isinstance(error, Mapping) else error
    return str(words) if words else f"HTTP {status}: {content.decode('utf-8', 'replace')}"
