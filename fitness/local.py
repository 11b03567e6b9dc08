"""Language models inside this process: no key, no server, the likelihood of labels for free."""

from __future__ import annotations

import asyncio
import difflib
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evo.errors import ConfigError, LlmError
from evo.model import Completion, Request, digest
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.gguf import file_sha256, known_model, locate
from fitness.llamacpp import LlamaCpp, LocalOptions


class LocalLlm:
    """A GGUF model answered by llama.cpp in a thread of its own, one call at a time; any number of tasks may ask.

    A request with choices is continued as plain text, without the chat template, as that is where a small model's
    signal is; text is asked for through the template (``options: {chat: true}`` or ``false`` overrides both).
    Equal requests get equal answers, whatever was asked before, also where no seed is given.

    The model file is found (and a known one downloaded) on construction, loaded with the first call. Raises
    ConfigError for a missing file, an unknown option, or where xllamacpp is not installed.
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
        self._path = locate(settings.name)
        self._identity = _identity(settings.name, self._path, self._options)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llama")
        self._model: LlamaCpp | None = None
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
    def price(self) -> Price:
        """Nothing."""
        return Price(0.0, 0.0)

    async def complete(self, request: Request) -> Completion:
        """Answer one request, waiting for those before it. Raises LlmError."""
        if self._closed:
            raise LlmError("this in-process model was closed; make a new one")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, request)

    async def aclose(self) -> None:
        """Free the model's memory, after the call that is under way; further calls fail."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._unload)
            self._thread.shutdown(wait=False)

    def _answer(self, request: Request) -> Completion:
        if self._model is None:
            self._model = LlamaCpp(self._path, self._options)
        return self._model.choose(request) if request.choices else self._model.write(request)

    def _unload(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None


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


def _identity(name: str, path: Path, options: LocalOptions) -> str:
    """Threads, prefix memory and context length change no answer, nor do micro-batches below 64 tokens."""
    changed: dict[str, Any] = options.model_dump(exclude_defaults=True, exclude={"threads", "cache_mib", "context"})
    if options.batch < 64:
        changed.pop("batch", None)
    model = known_model(name)
    base = model.name if model else f"gguf:{file_sha256(path)}"
    return f"{base}#{digest(changed)[:12]}" if changed else base
