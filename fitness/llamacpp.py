"""One GGUF model inside this process: llama.cpp through xllamacpp, blocking, one call at a time.

Numbers do not depend on what was computed before. llama.cpp's attention for many tokens at once and its attention for
few round differently (up to 0.4 nats apart on a 135M model), so a prompt whose beginning is cached would score
otherwise than a new one. With flash attention and micro-batches below 64 tokens only one of them is used, and a cold
and a warm cache agree to the last bit, at no cost in speed. This holds for weights in Q4_1, Q5_0 and Q8_0. The
kernels for K-quants (Q4_K, Q6_K: most published files) round by the number of tokens too, by up to 0.1 nats on a 0.5B
model: there only ``prefix_cache: false`` makes likelihoods independent. Texts never use the prefix cache, so equal
requests get equal texts with any file.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from evo.errors import LlmError
from evo.model import Request
from evo.settings import Settings

EXACT_BATCH = 63
"""Micro-batches up to this many tokens leave likelihoods independent of the prefix cache."""


class LocalOptions(Settings):
    """Options of an in-process model."""

    threads: int = Field(default=1, ge=1)
    context: int = Field(default=2048, ge=16)
    """Most tokens of prompt and answer together."""
    batch: int = Field(default=32, ge=1, le=2048)
    """Tokens computed at once; see EXACT_BATCH."""
    cache_mib: int = Field(default=64, ge=0)
    """Memory for the computed beginnings of prompts that are asked in turns."""
    prefix_cache: bool = True
    """Whether likelihoods start from what was computed before, several times as fast; see above on K-quants."""
    fast: bool = True
    """Whether a known model's 4-bit weights are widened to 8 bits, about twice as fast (see `fitness.requantize`)."""
    chat: bool | None = None
    """Whether messages go through the model's chat template; left out: for text yes, for choices no."""
    top_k: int = Field(default=40, ge=0)
    min_p: float = Field(default=0.05, ge=0, le=1)


class LlamaCpp:
    """A loaded model. Not safe for threads: the caller makes one call at a time.

    xllamacpp opens a port on 127.0.0.1, used here to tokenise; a random key closes it to others. Raises LlmError
    (fatal) when the file cannot be loaded.
    """

    def __init__(self, path: Path, options: LocalOptions, *, embeds: bool = False) -> None:
        self._cache_prompt = options.prefix_cache
        self._key = secrets.token_hex(16)
        self._server = load(path, options, self._key, embeds=embeds)
        self._address: str = self._server.listening_address.removeprefix("http://")

    def complete(self, **body: Any) -> dict[str, Any]:
        """Return the reply to a plain completion in llama.cpp's own words. Raises LlmError."""
        return self._answer(self._server.handle_completions, body)

    def chat(self, **body: Any) -> dict[str, Any]:
        """Return the reply to a chat completion in llama.cpp's own words. Raises LlmError."""
        return self._answer(self._server.handle_chat_completions, body)

    def embed(self, text: str) -> dict[str, Any]:
        """Return the mean of a text's token embeddings in llama.cpp's own words; for a model loaded with ``embeds``.

        Raises LlmError.
        """
        return self._answer(self._server.handle_embeddings, {"input": text})

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text; names of special tokens in it are plain text. Raises LlmError."""
        return tuple(self._post("/tokenize", {"content": text, "parse_special": False})["tokens"])

    def templated(self, request: Request) -> str:
        """Return the messages in the model's chat template, up to where its answer begins. Raises LlmError."""
        return str(self._post("/apply-template", {"messages": messages(request)})["prompt"])

    def close(self) -> None:
        """Free the memory and the port; no call may follow."""
        self._server = None

    def _answer(self, call: Any, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = call({"cache_prompt": self._cache_prompt, **body})
        except (
            RuntimeError,
            TypeError,
            ValueError,
            MemoryError,
        ) as error:  # TypeError: orjson, of text that is no UTF-8
            raise LlmError(f"the in-process model failed: {error}"[:300]) from error
        return _checked(reply)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            reply: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LlmError(f"the in-process model's tokeniser failed: {error}"[:300]) from error
        finally:
            connection.close()
        return _checked(reply)


def load(path: Path, options: LocalOptions, key: str, *, embeds: bool = False) -> Any:
    """Return xllamacpp's server for a model file, quiet, its port guarded by ``key``. Raises LlmError (fatal).

    One that ``embeds`` computes a whole text at once: its likelihoods and texts would be others (see EXACT_BATCH).
    """
    import xllamacpp  # a shared library of 100 MB

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.n_ctx, params.n_ubatch, params.n_parallel = options.context, options.batch, 1
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cache_ram_mib = options.cache_mib
    if embeds:
        params.embedding, params.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = options.context
        params.cache_ram_mib = 0
    params.port, params.hostnames, params.api_keys, params.n_threads_http = 0, ["127.0.0.1"], [key], 1
    params.ui = params.endpoint_slots = params.fit_params = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LlmError(f"llama.cpp cannot load {path.name}: {error}"[:300], fatal=True) from error


def messages(request: Request) -> list[dict[str, str]]:
    """Return a request's messages the way chat interfaces take them."""
    return [{"role": role, "content": content} for role, content in request.messages]


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    error = reply.get("error")
    if not error:
        return reply
    if error.get("type") == "exceed_context_size_error":
        raise LlmError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens, but the model's context holds "
            f"{error.get('n_ctx')}; shorten it, or set options: {{context: ...}} for the model"
        )
    if "too large to process" in str(error.get("message")):
        raise LlmError(
            "the text to embed has more tokens than the model's context holds; shorten it, or set "
            "options: {context: ...} for the model"
        )
    raise LlmError(f"the in-process model refused the call: {error.get('message')}"[:300])
