"""Language models inside this process: no key, no server, and the likelihood of every label."""

from __future__ import annotations

import asyncio
import difflib
import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evo.errors import ConfigError, LlmError
from evo.model import Completion, Request, digest
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.embedding import unit
from fitness.gguf import fast_copy, file_sha256, known_model, locate
from fitness.likelihood import ChoiceReader
from fitness.llamacpp import EXACT_BATCH, LlamaCpp, LocalOptions, messages


class LocalLlm:
    """A GGUF model answered by llama.cpp in a thread of its own, one call at a time; any number of tasks may ask.

    A request with choices is continued as plain text, without the chat template, since that is where a small
    model's signal is; text is asked for through the template. ``options: {chat: true}`` or ``false`` overrides
    both. Equal requests get equal answers, whatever was asked before, also where no seed is given; only likelihoods
    from K-quantised files need ``options: {prefix_cache: false}`` for it (see `fitness.llamacpp`).

    An embedding is the mean over the text's tokens, plain as it is, of the last layer. It is computed by a second copy
    of the model, loaded with the first such call: the one that writes takes too few tokens at once for it.

    The model file is found on construction (a known one downloaded, which blocks) and loaded with the first call.
    Raises ConfigError for a missing file, an unknown option, or where xllamacpp is not installed.
    """

    def __init__(self, settings: ModelSettings) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ConfigError(
                f"model {settings.name} runs in this process and needs xllamacpp, which is not installed; "
                "run: pip install 'prompt-archipelago[local]'"
            )
        if settings.api_base or settings.api_key_env:
            raise ConfigError(f"model {settings.name} runs in this process; remove its api_base and api_key_env")
        self._options = _options(settings)
        self._path, self._identity = _file(settings.name, self._options)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llama")
        self._session: _Session | None = None
        self._embedder: LlamaCpp | None = None
        self._closed = False

    @property
    def identity(self) -> str:
        """The known name, or the file's SHA-256, and the options that change answers."""
        return self._identity

    @property
    def can_choose(self) -> bool:
        """True: llama.cpp tells the likelihood of every token."""
        return True

    @property
    def can_embed(self) -> bool:
        """True: llama.cpp tells what the last layer makes of every token."""
        return True

    @property
    def price(self) -> Price:
        """Nothing."""
        return Price(0.0, 0.0)

    async def complete(self, request: Request) -> Completion:
        """Answer one request, after those asked before. Raises LlmError."""
        if self._closed:
            raise LlmError("this in-process model was closed; make a new one")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, request)

    async def aclose(self) -> None:
        """Free the model's memory once the calls before are answered; further calls fail."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._unload)
            self._thread.shutdown(wait=False)

    def _answer(self, request: Request) -> Completion:
        answer = (
            self._embed if request.embedding else self._loaded().choose if request.choices else self._loaded().write
        )
        started = time.perf_counter()
        completion = answer(request)
        return replace(completion, latency_s=time.perf_counter() - started)

    def _loaded(self) -> _Session:
        if self._session is None:
            model = LlamaCpp(self._path, self._options)
            self._session = _Session(model, ChoiceReader(model), self._options)
        return self._session

    def _embed(self, request: Request) -> Completion:
        if self._embedder is None:
            self._embedder = LlamaCpp(self._path, self._options, embeds=True)
        reply = self._embedder.embed(request.text)
        vector = unit(reply["data"][0]["embedding"])
        return Completion("", reply["usage"]["prompt_tokens"], 0, 0.0, embedding=vector)

    def _unload(self) -> None:
        if self._session is not None:
            self._session.model.close()
        if self._embedder is not None:
            self._embedder.close()
        self._session = self._embedder = None


@dataclass(frozen=True, slots=True)
class _Session:
    """A loaded model, in the thread that uses it."""

    model: LlamaCpp
    reader: ChoiceReader
    options: LocalOptions

    def choose(self, request: Request) -> Completion:
        context = self.model.templated(request) if self.options.chat else request.text
        totals, lengths, context_tokens = self.reader.read(context, request.choices)
        best = max(range(len(totals)), key=totals.__getitem__)
        text, output_tokens = request.choices[best], lengths[best]
        return Completion(text, context_tokens, output_tokens, 0.0, logprobs=tuple(totals), lengths=tuple(lengths))

    def write(self, request: Request) -> Completion:
        sampling = _sampling(request, self.options)
        if self.options.chat is False:
            reply = self.model.complete(prompt=request.text, **sampling)
            text = reply["choices"][0]["text"]
        else:
            reply = self.model.chat(messages=messages(request), **sampling)
            text = reply["choices"][0]["message"]["content"] or ""
        return Completion(text, reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"], 0.0)


def _sampling(request: Request, options: LocalOptions) -> dict[str, Any]:
    """Return the sampling parameters of a text that depends on nothing but the request.

    Where there is no seed the replicate is it. A computed beginning is not used again: with some weights it would
    round differently, and one other token makes another text.
    """
    return {
        "cache_prompt": False,
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": (request.replicate if request.seed is None else request.seed) % 2**32,
        "stop": list(request.stop),
        "top_k": options.top_k,
        "min_p": options.min_p,
        **({} if request.top_p is None else {"top_p": request.top_p}),
    }


def _options(settings: ModelSettings) -> LocalOptions:
    known = list(LocalOptions.model_fields)
    for name in settings.options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"there is {', '.join(known)}"
            raise ConfigError(f"an in-process model has no option {name!r}; {mend}")
    try:
        return LocalOptions(**settings.options)
    except ValidationError as error:
        slip = error.errors()[0]
        raise ConfigError(f"option {slip['loc'][0]} of {settings.name}: {slip['msg']}, got {slip['input']!r}") from None


def _file(name: str, options: LocalOptions) -> tuple[Path, str]:
    """Return the file to load and the model's identity.

    Threads, prefix memory and context length change no answer, nor does the size of exact micro-batches.
    """
    path, model = locate(name), known_model(name)
    silent = {"threads", "cache_mib", "context"}
    silent |= {"batch"} if options.batch <= EXACT_BATCH else set()
    silent |= set() if model else {"fast"}
    changed = options.model_dump(exclude_defaults=True, exclude=silent)
    base = model.name if model else f"gguf:{file_sha256(path)}"
    return (
        fast_copy(path) if model and options.fast else path,
        f"{base}#{digest(changed)[:12]}" if changed else base,
    )
