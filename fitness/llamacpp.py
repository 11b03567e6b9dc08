"""One GGUF model inside this process: llama.cpp through xllamacpp, blocking, one call at a time.

Numbers do not depend on what was computed before. llama.cpp's attention kernels for many and for few tokens at once
round differently (0.3 nats apart on a 135M model), so a prompt found in the prefix cache would score otherwise than
a new one. With flash attention and micro-batches below 64 tokens only one kernel is used and both are equal to the
last bit, at no cost in speed.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from evo.errors import LlmError
from evo.model import Completion, Request
from evo.settings import Settings

WIDTH = 100
"""Likeliest tokens read with every call; costs a millisecond. What is not among them is asked for by name."""
_FORCE = 1000.0
_LIFT = 100.0
_OPENS = re.compile(r"""[\n\t(\[{<]$|(^|[\s(\[{<:=])["'`]$""")
"""Ends of a prompt after which a word begins without a space: a new line, a bracket, an opening quote."""


class LocalOptions(Settings):
    """Options of an in-process model."""

    threads: int = Field(1, ge=1)
    context: int = Field(2048, ge=16)
    """Most tokens of prompt and answer together."""
    batch: int = Field(32, ge=1, le=2048)
    """Tokens computed at once; from 64 up a cached prefix changes the last digits of likelihoods."""
    cache_mib: int = Field(64, ge=0)
    """Memory for the computed prefixes of prompts asked in turns."""
    chat: bool | None = None
    """Whether messages go through the model's chat template; left out: for text yes, for choices no."""
    top_k: int = Field(40, ge=0)
    min_p: float = Field(0.05, ge=0, le=1)


class LlamaCpp:
    """A loaded model. Not safe for threads: the caller makes one call at a time.

    xllamacpp opens a port on 127.0.0.1, used here to tokenise; it is closed to others by a random key.
    """

    def __init__(self, path: Path, options: LocalOptions) -> None:
        self._options = options
        self._key = secrets.token_hex(16)
        self._server = _load(path, options, self._key)
        self._address: str = self._server.listening_address.removeprefix("http://")
        self._tokens: dict[tuple[str, str], tuple[int, ...]] = {}

    def write(self, request: Request) -> Completion:
        """Return the model's text. Raises LlmError."""
        started = time.perf_counter()
        if self._options.chat is False:
            reply = self._answer({"prompt": request.text, **self._sampling(request)})
            text = reply["choices"][0]["text"]
        else:
            reply = self._answer({"messages": _messages(request), **self._sampling(request)}, chat=True)
            text = reply["choices"][0]["message"]["content"] or ""
        used = reply["usage"]
        return Completion(
            text, used["prompt_tokens"], used["completion_tokens"], 0.0, latency_s=time.perf_counter() - started
        )

    def choose(self, request: Request) -> Completion:
        """Return the log-likelihood of every choice as the continuation of the prompt. Raises LlmError."""
        started = time.perf_counter()
        context = self._templated(request) if self._options.chat else request.text
        context = context.rstrip(" ")
        if not context:
            raise LlmError("expected a prompt before the choices, got an empty one; give the prompt some text")
        paths = [self._continuation(context, choice) for choice in request.choices]
        step: dict[tuple[int, ...], dict[int, float]] = {}
        prompt_tokens = 0
        for prefix, nexts in sorted(_branches(paths).items()):
            step[prefix], count = self._log_likelihoods([context, *prefix], nexts)
            prompt_tokens = prompt_tokens or count
        totals = [math.fsum(step[path[:i]][token] for i, token in enumerate(path)) for path in paths]
        best = max(range(len(totals)), key=totals.__getitem__)
        return Completion(
            request.choices[best],
            prompt_tokens,
            len(paths[best]),
            0.0,
            time.perf_counter() - started,
            logprobs=tuple(totals),
            lengths=tuple(len(path) for path in paths),
        )

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of a text, special tokens read as plain text."""
        return list(self._post("/tokenize", {"content": text, "parse_special": False})["tokens"])

    def close(self) -> None:
        """Free the model's memory and port."""
        self._server = None

    def _log_likelihoods(self, prompt: list[str | int], nexts: Sequence[int]) -> tuple[dict[int, float], int]:
        """Return the log-likelihood of each of ``nexts`` as the next token, and the number of tokens before it.

        A reply always holds the token that was sampled, with its share of the whole vocabulary, so the first is
        made to be sampled; the others are usually among the likeliest. The rest is measured against the first.
        """
        anchor = nexts[0]
        found, count = self._forced(prompt, anchor, WIDTH if len(nexts) > 1 else 1)
        missing = [token for token in nexts if token not in found]
        if len(missing) > 1:
            found |= self._relative(prompt, anchor, found[anchor], missing)
        for token in missing:
            if token not in found:
                found |= self._forced(prompt, token, 1)[0]
        return {token: found[token] for token in nexts}, count

    def _forced(self, prompt: list[str | int], token: int, width: int) -> tuple[dict[int, float], int]:
        reply = self._answer(
            {"prompt": prompt, "n_predict": 1, "n_probs": width, "temperature": 0.0, "logit_bias": [[token, _FORCE]]}
        )
        sampled = _first_token(reply)
        if sampled["id"] != token:
            raise LlmError(f"expected the likelihood of token {token}, but the model answered {sampled['id']}")
        found = {entry["id"]: float(entry["logprob"]) for entry in (*sampled["top_logprobs"], sampled)}
        return found, int(reply["usage"]["prompt_tokens"])

    def _relative(self, prompt: list[str | int], anchor: int, known: float, tokens: Sequence[int]) -> dict[int, float]:
        """Return the log-likelihoods of tokens by their odds against the anchor, all lifted above the vocabulary."""
        lifted = [anchor, *tokens]
        reply = self._answer(
            {
                "prompt": prompt,
                "n_predict": 1,
                "n_probs": len(lifted),
                "post_sampling_probs": True,
                "samplers": ["temperature"],
                "temperature": 1.0,
                "seed": 0,
                "logit_bias": [[token, _LIFT] for token in lifted],
            }
        )
        shares = {entry["id"]: float(entry["prob"]) for entry in _first_token(reply)["top_probs"]}
        if shares.get(anchor, 0.0) < 1e-30:
            return {}
        odds = {token: shares.get(token, 0.0) / shares[anchor] for token in tokens}
        return {token: known + math.log(ratio) for token, ratio in odds.items() if ratio > 1e-30}

    def _continuation(self, context: str, choice: str) -> tuple[int, ...]:
        """Return the tokens of a choice after the context: a word of its own unless a line or a quote begins."""
        text = choice if choice[:1].isspace() or _OPENS.search(context) else f" {choice}"
        key = (context[-1], text)
        if key not in self._tokens:
            before, both = self.tokenize(context[-1]), self.tokenize(context[-1] + text)
            joined = len(both) > len(before) and both[: len(before)] == before
            self._tokens[key] = tuple(both[len(before) :] if joined else self.tokenize(text))
        if not self._tokens[key]:
            raise LlmError(f"expected choices with text, got {choice!r}; remove it from the choices")
        return self._tokens[key]

    def _templated(self, request: Request) -> str:
        return str(self._post("/apply-template", {"messages": _messages(request)})["prompt"])

    def _sampling(self, request: Request) -> dict[str, Any]:
        """Return the sampling parameters; without a seed the replicate is it, so that equal requests stay equal."""
        seed = request.replicate if request.seed is None else request.seed
        return {
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "seed": seed % 2**32,
            "stop": list(request.stop),
            "top_k": self._options.top_k,
            "min_p": self._options.min_p,
            **({} if request.top_p is None else {"top_p": request.top_p}),
        }

    def _answer(self, body: Mapping[str, Any], *, chat: bool = False) -> dict[str, Any]:
        call = self._server.handle_chat_completions if chat else self._server.handle_completions
        try:
            reply: dict[str, Any] = call({**body, "cache_prompt": True})
        except (RuntimeError, ValueError, MemoryError) as error:
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


def _load(path: Path, options: LocalOptions, key: str) -> Any:
    import xllamacpp  # heavy: 100 MB of shared library

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.n_ctx, params.n_ubatch, params.n_parallel = options.context, options.batch, 1
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cache_ram_mib = options.cache_mib
    params.port, params.hostnames, params.api_keys, params.n_threads_http = 0, ["127.0.0.1"], [key], 1
    params.ui = params.endpoint_slots = params.fit_params = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LlmError(f"llama.cpp cannot load {path.name}: {error}", fatal=True) from error


def _branches(paths: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    """Return, for every proper prefix of the token paths, the tokens that follow it in some path."""
    nexts: dict[tuple[int, ...], dict[int, None]] = {}
    for path in paths:
        for i, token in enumerate(path):
            nexts.setdefault(path[:i], {})[token] = None
    return {prefix: list(tokens) for prefix, tokens in nexts.items()}


def _messages(request: Request) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in request.messages]


def _first_token(reply: Mapping[str, Any]) -> dict[str, Any]:
    content = (reply["choices"][0].get("logprobs") or {}).get("content") or []
    if not content:
        raise LlmError("expected the likelihood of a next token, but the in-process model gave none")
    first: dict[str, Any] = content[0]
    return first


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    error = reply.get("error")
    if not error:
        return reply
    if error.get("type") == "exceed_context_size_error":
        raise LlmError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens, but the model's context holds "
            f"{error.get('n_ctx')}; shorten it, or set options: {{context: ...}} for the model"
        )
    raise LlmError(f"the in-process model refused the call: {error.get('message')}"[:300])
