"""DirectLlm against a provider of our own on this machine: what `LiteLlm` does with it, without litellm."""

from __future__ import annotations

import asyncio
import email.utils
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import stub_provider
from stub_provider import KEY, Provider, Reply, failure

from evo.errors import ConfigError, LlmError
from evo.model import Request
from evo.plugins import build_model
from evo.settings import ModelSettings, PriceSettings
from fitness.direct import DirectLlm
from fitness.gguf import locate
from fitness.llamacpp import LocalOptions, load

ASK = Request.user("Hi")
PRICE = PriceSettings(prompt_usd_per_million=1.0, output_usd_per_million=100.0)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("TEST_PROVIDER_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Models:
    """Makes models of the provider, and closes them."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._made: list[DirectLlm] = []

    def __call__(self, name: str, **settings: Any) -> DirectLlm:
        settings = {"api_base": self._provider.api_base, "api_key_env": "TEST_PROVIDER_KEY", **settings}
        self._made.append(DirectLlm(ModelSettings(name=f"openai/{name}", **settings)))
        return self._made[-1]

    async def aclose(self) -> None:
        for llm in self._made:
            await llm.aclose()


@pytest.fixture
async def models(provider: Provider) -> AsyncIterator[Models]:
    made = Models(provider)
    yield made
    await made.aclose()


async def test_a_request_arrives_whole_and_once(provider: Provider, models: Models) -> None:
    request = Request(
        (("system", "Be brief."), ("user", "Hi")), temperature=0.7, top_p=0.9, max_tokens=9, seed=5, stop=("\n",)
    )
    reply = await models("good", options={"presence_penalty": 0.5}).complete(request)
    assert (reply.text, reply.prompt_tokens, reply.output_tokens) == ("hello", 1000, 10)
    assert 0 < reply.latency_s < 30
    assert provider.bodies == [
        {
            "model": "good",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 9,
            "seed": 5,
            "stop": ["\n"],
            "presence_penalty": 0.5,
        }
    ]
    assert provider.keys == [f"Bearer {KEY}"]


async def test_half_of_a_surrogate_pair_is_sent_as_a_question_mark(provider: Provider, models: Models) -> None:
    await models("good").complete(Request.user("a\ud800b"))
    assert provider.bodies[0]["messages"][0]["content"] == "a?b"


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("denied", r"Incorrect API key provided: \*\*\*", "fatal"),
        ("unknown", "does not exist", "fatal"),
        ("busy", "^Rate limit reached$", "transient"),
        ("broken", "^boom$", "transient"),
        ("gateway", "HTTP 502: <html>bad gateway", "transient"),
        ("slow", r"^no answer within 0\.5 s$", "transient"),
        ("garbled", "expected an answer in JSON", "transient"),
        ("no-choice", "empty", "transient"),
        ("no-object", "expected an answer in JSON", "transient"),
        ("silent", "expected a reply with text", "transient"),
        ("blank", "expected a reply with text", "transient"),
        ("cut", "raise max_tokens", "neither"),
        ("long", "maximum context length is 4096 tokens", "neither"),
    ],
)
async def test_a_failure_is_one_call_and_told_apart(
    provider: Provider, models: Models, name: str, message: str, kind: str
) -> None:
    llm = models(name, timeout_s=0.5 if name == "slow" else 30)
    with pytest.raises(LlmError, match=message) as caught:
        await llm.complete(ASK)
    error = caught.value
    assert (error.transient, error.fatal) == (kind == "transient", kind == "fatal")
    assert (error.busy, error.retry_after_s) == ((True, 7.0) if name == "busy" else (False, None))
    assert KEY not in str(error)
    assert "\n" not in str(error)
    assert provider.calls() == {name: 1}


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("silent", 1010), ("blank", 1010), ("cut", 1010), ("no-choice", None), ("garbled", None), ("busy", 0)],
)
async def test_what_a_failure_was_billed_is_told_where_the_provider_says_it(
    models: Models, name: str, tokens: int | None
) -> None:
    with pytest.raises(LlmError) as caught:
        await models(name, price=PRICE).complete(ASK)
    assert caught.value.tokens == tokens
    assert caught.value.usd == {1010: pytest.approx(0.002), 0: 0.0, None: None}[tokens]


async def test_a_retry_after_as_a_date_is_seconds_from_now(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    monkeypatch.setitem(stub_provider.REPLIES, "later", Reply(429, failure("wait"), {"Retry-After": date}))
    with pytest.raises(LlmError, match="wait") as caught:
        await models("later").complete(ASK)
    assert caught.value.retry_after_s is not None
    assert 50 < caught.value.retry_after_s <= 60


async def test_a_redirect_is_not_followed_with_the_key(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = {"Location": "http://127.0.0.1:9/v1"}
    monkeypatch.setitem(stub_provider.REPLIES, "moved", Reply(308, b"", elsewhere))
    with pytest.raises(LlmError, match="HTTP 308") as caught:
        await models("moved").complete(ASK)
    assert not caught.value.transient


async def test_a_refused_connection_may_work_later(models: Models) -> None:
    with pytest.raises(LlmError) as caught:
        await models("good", api_base="http://127.0.0.1:9/v1").complete(ASK)
    assert (caught.value.transient, caught.value.tokens) == (True, 0)


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [(b"", 0), (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b'{"choices": [', None), (b"nonsense\r\n\r\n", 0)],
)
async def test_a_connection_that_breaks_may_work_later(models: Models, sent: bytes, tokens: int | None) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LlmError) as caught:
            await models("good", api_base=f"http://127.0.0.1:{port}/v1").complete(ASK)
    assert (caught.value.transient, caught.value.tokens) == (True, tokens)


async def test_many_calls_at_once(provider: Provider, models: Models) -> None:
    llm = models("good")
    replies = await asyncio.gather(*(llm.complete(Request.user(str(n))) for n in range(40)))
    assert {reply.text for reply in replies} == {"hello"}
    assert provider.calls() == {"good": 40}


async def test_a_closed_model_opens_again(models: Models) -> None:
    llm = models("good")
    for _ in range(2):
        assert (await llm.complete(ASK)).text == "hello"
        await llm.aclose()


async def test_the_cost_is_usage_times_the_price(models: Models) -> None:
    assert (await models("good", price=PRICE).complete(ASK)).cost_usd == pytest.approx(0.002)
    assert (await models("uncounted", price=PRICE).complete(ASK)).cost_usd is None
    assert (await models("half-counted", price=PRICE).complete(ASK)).cost_usd is None
    assert (await models("good").complete(ASK)).cost_usd is None
    assert models("good").price is None


async def test_an_embedding_is_a_vector_of_unit_length(provider: Provider, models: Models) -> None:
    ask = Request.user("Sort the text.", embedding=True)
    reply = await models("vectors", price=PRICE, options={"dimensions": 3}).complete(ask)
    assert (reply.text, reply.embedding, reply.prompt_tokens, reply.output_tokens) == ("", (0.6, 0.0, -0.8), 7, 0)
    assert reply.cost_usd == pytest.approx(7e-6)
    assert provider.bodies == [
        {"model": "vectors", "input": ["Sort the text."], "encoding_format": "float", "dimensions": 3}
    ]
    with pytest.raises(LlmError, match="does not support embeddings; mend the model's name"):
        await models("text-only").complete(ask)


async def test_likelihoods_are_not_to_be_had(provider: Provider, models: Models) -> None:
    with pytest.raises(LlmError, match="cannot tell the likelihood"):
        await models("good").complete(Request.user("Hi", choices=("a", "b")))
    assert provider.bodies == []


async def test_the_key_is_the_named_one_else_openais_else_none(
    provider: Provider, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models("good", api_key_env=None).complete(ASK)
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    await models("good", api_key_env=None).complete(ASK)
    await models("good").complete(ASK)
    assert provider.keys == ["Bearer none", "Bearer another", f"Bearer {KEY}"]
    with pytest.raises(ConfigError, match="ABSENT_KEY is not set"):
        models("good", api_key_env="ABSENT_KEY")


@pytest.mark.parametrize("option", ["temperature", "mock_response", "max_completion_tokens"])
def test_an_option_that_is_set_elsewhere_or_litellms_is_refused(models: Models, option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        models("good", options={option: 1.0})


@pytest.mark.parametrize(
    ("settings", "direct"),
    [
        ({"name": "openai/x", "api_base": "http://127.0.0.1:1/v1"}, True),
        ({"name": "openai/x", "api_base": "http://127.0.0.1:1/v1", "client": "litellm"}, False),
        ({"name": "openai/x", "api_base": "http://127.0.0.1:1/v1", "options": {"user": "me"}}, False),
        ({"name": "openai/x", "api_base": "http://vllm:1/v1", "options": {"user": "me"}, "client": "direct"}, True),
        ({"name": "openai/x", "api_base": "https://host.example.com/v1"}, False),
        ({"name": "openai/x", "api_base": "https://host.example.com/v1", "price": PRICE}, True),
        ({"name": "openai/x"}, False),
        ({"name": "ollama/x", "api_base": "http://127.0.0.1:1"}, False),
    ],
)
def test_which_client_asks(settings: dict[str, Any], direct: bool) -> None:
    found = ModelSettings(**settings)
    assert found.is_direct == direct
    assert not direct or isinstance(build_model(found), DirectLlm)


def test_the_direct_client_needs_an_openai_name_and_an_endpoint() -> None:
    for settings in ({"name": "openai/x"}, {"name": "ollama/x", "api_base": "http://127.0.0.1:1"}):
        with pytest.raises(ValueError, match="expected openai/NAME with an api_base"):
            ModelSettings(**settings, client="direct")  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="expected openai/NAME with an api_base"):
            DirectLlm(ModelSettings(**settings))  # type: ignore[arg-type]


def test_identity_is_name_endpoint_and_options(models: Models, provider: Provider) -> None:
    assert models("good").identity == f"openai/good@{provider.api_base}"
    assert models("good", options={"user": "me"}).identity.startswith(f"openai/good@{provider.api_base}#")


def test_a_whole_program_prints_nothing_and_does_not_import_litellm(provider: Provider) -> None:
    script = f"""
import asyncio, sys
from evo.model import Request
from evo.plugins import build_model
from evo.settings import ModelSettings
async def main():
    llm = build_model(ModelSettings(name="openai/good", api_base={provider.api_base!r}))
    await llm.complete(Request.user("Hi"))
    await llm.aclose()
asyncio.run(main())
assert "litellm" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.real
async def test_both_clients_send_the_same_and_have_one_identity(provider: Provider, models: Models) -> None:
    from fitness.llm import LiteLlm

    direct = models("good")
    litellm = LiteLlm(
        ModelSettings(name="openai/good", api_base=provider.api_base, api_key_env="TEST_PROVIDER_KEY", client="litellm")
    )
    assert litellm.identity == direct.identity
    ask = Request.user("Hi", seed=3, stop=("x",), top_p=0.5)
    first, second = await direct.complete(ask), await litellm.complete(ask)
    await litellm.aclose()
    assert (first.text, first.tokens, first.cost_usd) == (second.text, second.tokens, second.cost_usd)
    assert provider.bodies[0] == provider.bodies[1]
    assert provider.keys[0] == provider.keys[1]


@pytest.mark.real
async def test_a_real_model_behind_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server = load(locate("local/smollm2-135m"), LocalOptions(), KEY)
    settings = ModelSettings(name="openai/smollm2", api_base=f"{server.listening_address}/v1")
    monkeypatch.setenv("TEST_PROVIDER_KEY", KEY)
    stranger, llm = DirectLlm(settings), build_model(settings.model_copy(update={"api_key_env": "TEST_PROVIDER_KEY"}))
    with pytest.raises(LlmError, match="Invalid API Key") as caught:
        await stranger.complete(ASK)
    assert caught.value.fatal
    request = Request.user("Tell a long story about the sea.", max_tokens=8, seed=1, temperature=1.0)
    first, second = await llm.complete(request), await llm.complete(request)
    assert isinstance(llm, DirectLlm)
    assert first.text == second.text
    assert first.output_tokens == 8
    assert first.prompt_tokens > 10
    assert first.cost_usd is None
    await llm.aclose()
    await stranger.aclose()
