"""Models behind a provider's API, through LiteLLM. The one file that imports litellm.

A call is sent once: repeating, pacing and remembering are the callers' wrappers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import warnings
from collections.abc import Mapping
from typing import Any

from evo.errors import ConfigError
from evo.model import Completion, Request
from evo.model_settings import is_private
from evo.ports import Price
from evo.settings import ModelSettings
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
from fitness.provider_errors import as_llm_error

_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the price list it ships, not one fetched on import
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # likewise
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file from wherever it is started
}
_NOISE = (
    r"Items? .* using the `ReadOnly` qualifier",  # of types it builds during its first call
    r"coroutine '\w+\.(acompletion|aembedding)' was never awaited",  # where a call is cancelled before it is sent
)
EMBEDDING, EMBED = "embedding", "embed"
"""The mode of models that embed, in LiteLLM's list, and what most of their names hold."""
LOCAL = frozenset({"hosted_vllm", "lemonade", "llamafile", "lm_studio", "ollama", "ollama_chat", "vllm", "xinference"})
"""LiteLLM's providers that are servers of one's own; Ollama's names that end in -cloud are not."""
_CLOSING_S = 0.05
"""Closed sockets are only let go of by later turns of the event loop."""
_calls: set[object] = set()
"""Calls under way in this process, whichever model they are for: they share LiteLLM's connections."""


class LiteLlm:
    """A model by its LiteLLM name (``openai/gpt-5-mini``, ``ollama/llama3.2``), one request to the provider a call.

    ``can_choose`` is False: chat APIs tell the likelihood of the tokens the model wrote itself, and of a few rivals
    of each, not of a text given to them; a label that is not among those would have no number.

    Whether it can embed is LiteLLM's word where the model is listed; an endpoint's own models may. Requests for an
    embedding go to ``litellm.aembedding``.

    Options are passed on to ``litellm.acompletion``, or ``aembedding``; parameters the provider does not know are
    dropped. Importing litellm takes seconds, on first construction. Raises ConfigError for a name LiteLLM cannot place,
    for a missing key, and for an option that the settings already carry.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self._settings, self._identity = settings, identity_of(settings)
        refuse_reserved(settings)
        self._litellm = _quiet_litellm()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its lazy imports warn of its own types
            _provider(self._litellm, settings)
            self._key = _key(self._litellm, settings)
            listing = _listing(self._litellm, settings)
            self._price = _price(settings, listing)
            # The list takes some for chat models that say in their name what they are.
            self._can_embed = listing.get("mode", EMBEDDING) == EMBEDDING or EMBED in settings.name
            self._errors = _errors()

    @property
    def identity(self) -> str:
        """The model's name, its endpoint and the options passed on."""
        return self._identity

    @property
    def can_choose(self) -> bool:
        """False: see the class."""
        return False

    @property
    def can_embed(self) -> bool:
        """See the class."""
        return self._can_embed

    @property
    def price(self) -> Price | None:
        """The settings' price, else LiteLLM's list price.

        None for models that are not listed, for private endpoints, and for a provider's model listed at nothing.
        """
        return self._price

    async def complete(self, request: Request) -> Completion:
        """Send one request once. Raises LlmError with what the provider said, secrets removed."""
        if request.choices:
            raise no_choices(self._settings)
        started = time.perf_counter()
        call = object()
        _calls.add(call)
        send = self._litellm.aembedding if request.embedding else self._litellm.acompletion
        try:
            reply = await asyncio.wait_for(send(**self._arguments(request)), self._settings.timeout_s)
        except self._errors as error:
            raise as_llm_error(error, self._settings, self._key) from None
        finally:
            _calls.discard(call)
        read = self._read_embedding if request.embedding else self._read
        return read(reply, time.perf_counter() - started)

    async def aclose(self) -> None:
        """Close LiteLLM's connections, unless another model of this process is using them; later calls open new."""
        if not _calls:
            await _close_connections(self._litellm)

    def _arguments(self, request: Request) -> dict[str, Any]:
        settings = self._settings
        given = {**asked(request), "api_base": settings.api_base, "api_key": self._key}
        return {
            "drop_params": True,
            **settings.options,
            **{name: value for name, value in given.items() if value is not None},
            "model": settings.name,
            "timeout": settings.timeout_s,
            "max_retries": 0,
            "num_retries": 0,
        }

    def _read(self, reply: Any, latency_s: float) -> Completion:
        choices = getattr(reply, "choices", None) or []
        text = (choices[0].message.content or "") if choices else ""
        prompt_tokens, output_tokens, cost = self._used(reply, text)
        if not text.strip():
            reason = getattr(choices[0], "finish_reason", "") if choices else ""
            raise empty_reply(reason, prompt_tokens + output_tokens or None, cost)
        return Completion(text, prompt_tokens, output_tokens, cost, latency_s)

    def _read_embedding(self, reply: Any, latency_s: float) -> Completion:
        tokens, _, cost = self._used(reply, "")
        found = getattr(reply, "data", None) or []
        vector = found[0]["embedding"] if found else []
        if not isinstance(vector, list) or not all(isinstance(value, int | float) for value in vector):
            raise no_embedding(tokens or None, cost)
        return Completion("", tokens, 0, cost, latency_s, embedding=unit(vector))

    def _used(self, reply: Any, text: str) -> tuple[int, int, float | None]:
        """Return prompt tokens and output tokens, 0 where the reply does not say them, and their cost."""
        usage = getattr(reply, "usage", None)
        prompt_tokens, output_tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        return prompt_tokens, output_tokens, cost_of(self._price, prompt_tokens, output_tokens, text)


def _quiet_litellm() -> Any:
    """Return litellm, imported without prints, log lines or network."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for message in _NOISE:
        warnings.filterwarnings("ignore", message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm

        litellm.ModelResponse()  # its types are built on first use, with warnings of their own
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    known: Any = litellm
    known.DEFAULT_MAX_RETRIES = 0  # for embeddings it takes max_retries=0 to mean that none was given
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


def _errors() -> tuple[type[Exception], ...]:
    """Return what LiteLLM raises: its own are openai's, and some providers' code lets plain ones through."""
    import httpx
    import openai

    plain = (OSError, asyncio.TimeoutError, ValueError, TypeError, LookupError, AttributeError)
    return (openai.OpenAIError, httpx.HTTPError, *plain)


def _provider(litellm: Any, settings: ModelSettings) -> None:
    try:
        litellm.get_llm_provider(model=settings.name, api_base=settings.api_base)
    except litellm.exceptions.BadRequestError:
        raise ConfigError(
            f"expected a model name with its provider, got {settings.name!r}, which LiteLLM cannot place; write for "
            "example openai/gpt-5-mini, anthropic/claude-sonnet-4-5, ollama/llama3.2, openai/NAME with an api_base "
            "for any OpenAI-compatible server, or local/smollm2-135m"
        ) from None


def _key(litellm: Any, settings: ModelSettings) -> str | None:
    """Return the key to send; None: LiteLLM finds the provider's own."""
    if key := own_key(settings):
        return key
    wanted = litellm.validate_environment(settings.name)["missing_keys"]
    missing = [name for name in wanted if name.endswith("_API_KEY")]
    if not missing:
        return None
    if settings.api_base:
        return NO_KEY  # own servers mostly want none, but the client insists on some
    if "mock_response" in settings.options:
        return None
    raise ConfigError(
        f"{settings.name} needs an API key; set the environment variable {' or '.join(missing)}, or name another "
        "with api_key_env"
    )


def _listing(litellm: Any, settings: ModelSettings) -> dict[str, Any]:
    """Return what LiteLLM's list of models says of one; nothing where it is not listed, or behind an own endpoint."""
    if settings.api_base and is_private(settings.api_base):
        return {}
    try:
        key = litellm.get_model_info(settings.name)["key"]
    except (litellm.exceptions.ModelNotMappedError, ValueError):
        return {}
    return litellm.model_cost.get(key) or {}  # where it does not know, what it returned is a guess


def _price(settings: ModelSettings, listing: Mapping[str, Any]) -> Price | None:
    if own := own_price(settings):
        return own
    writes = listing.get("mode") != EMBEDDING and EMBED not in settings.name
    prompt = listing.get("input_cost_per_token")
    output = listing.get("output_cost_per_token", None if writes else 0.0)
    if prompt is None or output is None:
        return None
    # Hidden reasoning is part of the output: at the higher of both prices a cap holds, whatever share it has.
    output = max(output, listing.get("output_cost_per_reasoning_token") or 0.0)
    if not _is_local(settings.name) and (not prompt or (writes and not output)):
        return None  # the list has 0 for what nobody looked up, too
    return Price(float(prompt), float(output))


def _is_local(name: str) -> bool:
    """Whether a model runs on a server of one's own, which costs nothing a token."""
    return name.partition("/")[0] in LOCAL and not name.endswith("-cloud")


def _count(usage: Any, name: str) -> int:
    return int(getattr(usage, name, 0) or 0)


async def _close_connections(litellm: Any) -> None:
    """Close the cached clients and end LiteLLM's background task, neither of which it does by itself."""
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()
    await GLOBAL_LOGGING_WORKER.stop()
    await asyncio.sleep(_CLOSING_S)
