from __future__ import annotations

import email.utils
import pickle
import time

import pytest

from evo.errors import LlmError
from evo.settings import ModelSettings
from fitness.provider_errors import LONGEST, as_llm_error, on_one_line

SETTINGS = ModelSettings(name="openai/x", timeout_s=2.5)


class ProviderError(Exception):
    """An error as LiteLLM raises them: a status, a message, the provider's headers."""

    def __init__(self, message: str, status: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status_code = status
        self.litellm_response_headers = headers


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "bad key", "fatal"),
        (402, "pay first", "fatal"),
        (403, "not yours", "fatal"),
        (404, "no such model", "fatal"),
        (429, "slow down", "transient"),
        (429, "You exceeded your current quota", "fatal"),
        (409, "conflict", "transient"),
        (500, "boom", "transient"),
        (501, "this server does not support embeddings", "fatal"),
        (503, "overloaded", "transient"),
        (529, "overloaded", "transient"),
        (400, "maximum context length is 4096 tokens", "neither"),
        (400, "API key not valid. Please pass a valid API key.", "fatal"),
        (422, "unprocessable", "neither"),
        (None, "a slip of ours", "neither"),
    ],
)
def test_what_an_error_means_for_the_run(status: int | None, message: str, kind: str) -> None:
    error = as_llm_error(ProviderError(message, status), SETTINGS, None)
    assert (error.transient, error.fatal) == (kind == "transient", kind == "fatal")
    if kind != "fatal":
        assert str(error) == message


@pytest.mark.parametrize(
    ("status", "message", "mend"),
    [
        (401, "Incorrect API key provided: sk-wrong12345.", "put a valid key into the environment"),
        (400, "API key not valid. Please pass a valid API key.", "put a valid key into the environment"),
        (402, "pay first", "give the account more credit"),
        (429, "You exceeded your current quota", "give the account more credit"),
        (404, "no such model", "mend the model's name"),
    ],
)
def test_what_stops_the_run_names_the_model_and_the_mend(status: int, message: str, mend: str) -> None:
    text = str(as_llm_error(ProviderError(message, status), SETTINGS, None))
    assert text.startswith("openai/x: ")
    assert f"; {mend}" in text


def test_the_mend_names_the_key_and_the_endpoint_in_the_settings() -> None:
    own = SETTINGS.model_copy(update={"api_key_env": "MY_KEY", "api_base": "http://127.0.0.1:1/v1"})
    assert "put a valid key into MY_KEY" in str(as_llm_error(ProviderError("denied", 401), own, None))
    assert "mend the model's name or api_base" in str(as_llm_error(ProviderError("no such page", 404), own, None))


@pytest.mark.parametrize("error", [TimeoutError(), ProviderError("timed out", 408)])
def test_a_time_out_says_how_long_was_waited(error: Exception) -> None:
    found = as_llm_error(error, SETTINGS, None)
    assert str(found) == "no answer within 2.5 s"
    assert found.transient
    assert found.tokens is None, "what it cost is not known"


def test_what_was_billed_for_an_error_comes_through_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(LlmError("empty", transient=True, tokens=7, usd=None, retry_after_s=2.0)))
    assert (str(error), error.transient, error.fatal, error.tokens, error.usd, error.retry_after_s) == (
        "empty",
        True,
        False,
        7,
        None,
        2.0,
    )


def test_a_connection_that_fails_may_work_later() -> None:
    assert as_llm_error(ConnectionRefusedError("refused"), SETTINGS, None).transient


def test_the_wait_a_provider_asks_for() -> None:
    def wait(value: str, status: int = 429) -> float | None:
        return as_llm_error(ProviderError("slow", status, {"retry-after": value}), SETTINGS, None).retry_after_s

    assert wait("7") == 7.0
    assert wait("0.5", 503) == 0.5
    in_a_minute = wait(email.utils.formatdate(time.time() + 60, usegmt=True))
    assert in_a_minute is not None
    assert 50 < in_a_minute <= 60
    assert wait(email.utils.formatdate(time.time() - 60, usegmt=True)) == 0.0
    assert wait("soon") is None
    assert wait("-3") is None
    assert wait("7", 401) is None
    assert as_llm_error(ProviderError("slow", 429), SETTINGS, None).retry_after_s is None


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-abcdEFGH12345678.",
        "Incorrect key: sk-proj-ab**********cd12",
        "key my own secret words was refused",
        "url http://user:my own secret words@host/",
        "header Authorization: Bearer abcdEFGH12345678 refused",
        "Google says AIzaabcdEFGH12345678abcdEFGH12345678",
        "groq gsk_abcdEFGH12345678abcd",
    ],
)
def test_no_key_gets_through(text: str) -> None:
    shown = on_one_line(text, "my own secret words")
    assert "***" in shown
    assert "secret" not in shown
    assert "EFGH" not in shown
    assert "cd12" not in shown


def test_a_message_is_one_short_line_in_the_providers_words() -> None:
    raw = "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit\n  reached"
    assert on_one_line(raw) == "Rate limit reached"
    long = on_one_line("x" * 1000)
    assert len(long) == LONGEST
    assert long.endswith("…")
    assert on_one_line(" \n") == "the provider gave no reason"
    assert on_one_line("a risk-free disk-backed task") == "a risk-free disk-backed task"
