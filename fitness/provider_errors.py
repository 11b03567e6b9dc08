"""What a provider's error means for the run: repeat the call, give it up, or stop."""

from __future__ import annotations

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping

from evo.errors import LlmError
from evo.settings import ModelSettings

LONGEST = 300
"""Characters of a provider's message that are kept."""
_PASSING = frozenset({409, 425, 429})
_BUSY = frozenset({429, 529})
_FATAL = frozenset({401, 402, 403, 404, 501})
_FATAL_WORDS = re.compile(
    r"insufficient_quota|exceeded your current quota|api[ _-]?key not valid|invalid[ _]api[ _-]?key|model_not_found"
    r"|provider not provided",
    re.IGNORECASE,
)
_SECRET = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|key)[-_][\w*-]{8,}|\bAIza[\w-]{20,}|(?<=Bearer )\S+", re.IGNORECASE)
_URL_USER = re.compile(r"//[^/@\s]+@")
_PREFIX = re.compile(r"^(?:litellm\.)?\w*(?:Error|Exception|Timeout)(?::| -)\s*")


def as_llm_error(error: Exception, settings: ModelSettings, key: str | None) -> LlmError:
    """Return the error as the run understands it, in the provider's words; with the mend where it stops the run."""
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return refusal(408, "", settings, key)
    return refusal(_status(error), str(error), settings, key, getattr(error, "litellm_response_headers", None))


def refusal(
    status: int, text: str, settings: ModelSettings, key: str | None, headers: Mapping[str, str] | None = None
) -> LlmError:
    """Return what an HTTP status and the provider's words mean; the names in ``headers`` are looked up in lower case.

    A status of 503 stands for a connection that failed, 408 for none in time.
    """
    if status == 408:
        return LlmError(f"no answer within {settings.timeout_s:g} s", transient=True, tokens=None, usd=None)
    text = on_one_line(text, key)
    fatal = status in _FATAL or (status in (400, 429) and bool(_FATAL_WORDS.search(text)))
    transient = not fatal and (status in _PASSING or status >= 500)
    if fatal:
        text = f"{settings.name}: {text.rstrip('.')}; {_mend(status, text, settings)}"
    return LlmError(
        text,
        transient=transient,
        fatal=fatal,
        busy=transient and status in _BUSY,
        retry_after_s=_retry_after(headers or {}) if transient else None,
    )


def on_one_line(text: str, key: str | None = None) -> str:
    """Return a provider's message on one line, at most LONGEST characters, without keys and LiteLLM's prefixes."""
    if key and len(key) >= 6:
        text = text.replace(key, "***")
    text = _URL_USER.sub("//***@", _SECRET.sub("***", " ".join(text.split())))
    while (shorter := _PREFIX.sub("", text, count=1)) != text:
        text = shorter
    text = text or "the provider gave no reason"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _mend(status: int, text: str, settings: ModelSettings) -> str:
    if status == 402 or "quota" in text:
        return "give the account more credit, then `evo resume` goes on"
    if status in (401, 403) or "key" in text.casefold():
        return f"put a valid key into {settings.api_key_env or 'the environment'}, then `evo resume` goes on"
    return "mend the model's name" + (" or api_base" if settings.api_base else "")


def _status(error: Exception) -> int:
    """Return the HTTP status LiteLLM gives an error; 503 for a connection that failed, 0 where there is none."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    return 503 if isinstance(error, OSError) else 0


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds the provider asked to wait: a number of seconds or a date."""
    value = str(headers.get("retry-after") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return None
    return max(0.0, until - time.time())
