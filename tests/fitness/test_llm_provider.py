"""LiteLlm against a provider of our own on this machine; litellm takes seconds to import, hence real."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from stub_provider import KEY, Provider

from evo.errors import ConfigError, LlmError
from evo.model import Request
from evo.settings import ModelSettings, PriceSettings
from fitness.gguf import locate
from fitness.llamacpp import LocalOptions, load
from fitness.llm import LiteLlm

pytestmark = pytest.mark.real


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
        self._made: list[LiteLlm] = []

    def __call__(self, name: str, **settings: Any) -> LiteLlm:
        settings = {"api_base": self._provider.api_base, "api_key_env": "TEST_PROVIDER_KEY", **settings}
        self._made.append(LiteLlm(ModelSettings(name=f"openai/{name}", **settings)))
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
    (body,) = provider.bodies
    assert body == {
        "model": "good",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 9,
        "seed": 5,
        "stop": ["\n"],
        "presence_penalty": 0.5,
    }
    assert provider.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("denied", r"Incorrect API key provided: \*\*\*", "fatal"),
        ("unknown", "does not exist", "fatal"),
        ("busy", "^Rate limit reached$", "transient"),
        ("broken", "^boom$", "transient"),
        ("gateway", "bad gateway|502", "transient"),
        ("slow", r"^no answer within 0\.5 s$", "transient"),
        ("garbled", r"\w", "transient"),
        ("no-choice", "empty", "transient"),
        ("no-object", r"\w", "transient"),
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
        await llm.complete(Request.user("Hi"))
    error = caught.value
    assert (error.transient, error.fatal) == (kind == "transient", kind == "fatal")
    assert error.retry_after_s == (7.0 if name == "busy" else None)
    assert KEY not in str(error)
    assert "\n" not in str(error)
    assert provider.calls() == {name: 1}


@pytest.mark.parametrize(
    ("name", "tokens"), [("silent", 1010), ("blank", 1010), ("cut", 1010), ("no-choice", None), ("busy", 0)]
)
async def test_what_a_failure_was_billed_is_told_where_the_provider_says_it(
    models: Models, name: str, tokens: int | None
) -> None:
    price = PriceSettings(prompt_usd_per_million=1.0, output_usd_per_million=100.0)
    with pytest.raises(LlmError) as caught:
        await models(name, price=price).complete(Request.user("Hi"))
    assert caught.value.tokens == tokens
    assert caught.value.usd == {1010: pytest.approx(0.002), 0: 0.0, None: None}[tokens]


async def test_a_refused_connection_may_work_later(models: Models) -> None:
    with pytest.raises(LlmError) as caught:
        await models("good", api_base="http://127.0.0.1:9/v1").complete(Request.user("Hi"))
    assert caught.value.transient


async def test_many_calls_at_once(provider: Provider, models: Models) -> None:
    llm = models("good")
    replies = await asyncio.gather(*(llm.complete(Request.user(str(n))) for n in range(40)))
    assert {reply.text for reply in replies} == {"hello"}
    assert provider.calls() == {"good": 40}


async def test_a_closed_model_opens_again_and_leaves_others_alone(models: Models) -> None:
    first, second = models("good"), models("slow", timeout_s=30)
    waiting = asyncio.create_task(second.complete(Request.user("Hi")))
    await first.complete(Request.user("Hi"))
    await first.aclose()
    assert (await waiting).text == "late"
    assert (await first.complete(Request.user("Hi"))).text == "hello"


async def test_the_cost_is_usage_times_the_price(models: Models) -> None:
    price = {"prompt_usd_per_million": 2.0, "output_usd_per_million": 30.0}
    llm = models("good", price=price)
    assert llm.price is not None
    assert (await llm.complete(Request.user("Hi"))).cost_usd == pytest.approx(1000 * 2e-6 + 10 * 30e-6)
    assert (await models("uncounted", price=price).complete(Request.user("Hi"))).cost_usd is None


async def test_an_endpoint_on_this_machine_has_no_list_price(models: Models) -> None:
    llm = models("gpt-4o-mini")
    assert llm.price is None
    assert (await llm.complete(Request.user("Hi"))).cost_usd is None


@pytest.mark.parametrize("api_base", [None, "https://gateway.example.com/v1"])
def test_a_listed_model_has_its_list_price(monkeypatch: pytest.MonkeyPatch, api_base: str | None) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    price = LiteLlm(ModelSettings(name="openai/gpt-4o-mini", api_base=api_base)).price
    assert price is not None
    assert price.cost(1_000_000, 0) == pytest.approx(0.15)
    assert price.cost(0, 1_000_000) == pytest.approx(0.60)
    assert LiteLlm(ModelSettings(name="openai/not-listed")).price is None


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    with pytest.raises(ConfigError, match="set the environment variable OPENAI_API_KEY"):
        LiteLlm(ModelSettings(name="openai/gpt-4o-mini"))
    with pytest.raises(ConfigError, match="ABSENT_KEY is not set"):
        LiteLlm(ModelSettings(name="openai/gpt-4o-mini", api_key_env="ABSENT_KEY"))


async def test_ones_own_server_needs_no_key(provider: Provider, models: Models) -> None:
    assert (await models("good", api_key_env=None).complete(Request.user("Hi"))).text == "hello"
    assert KEY not in provider.keys[0]


@pytest.mark.parametrize("name", ["gpt-nope", "nobody/model"])
def test_a_name_no_provider_has(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=f"got '{name}'.*openai/gpt-5-mini"):
        LiteLlm(ModelSettings(name=name))
    assert capsys.readouterr() == ("", "")


def test_an_option_that_is_set_elsewhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="set elsewhere"):
        LiteLlm(ModelSettings(name="openai/x", options={"temperature": 1.0}))


async def test_likelihoods_are_not_to_be_had(provider: Provider, models: Models) -> None:
    llm = models("good")
    assert not llm.can_choose
    with pytest.raises(LlmError, match="cannot tell the likelihood"):
        await llm.complete(Request.user("Hi", choices=("a", "b")))
    assert provider.bodies == []


def test_identity_is_name_endpoint_and_options(models: Models, provider: Provider) -> None:
    assert models("good").identity == f"openai/good@{provider.api_base}"
    tuned = models("good", options={"presence_penalty": 1}).identity
    assert tuned != models("good", options={"presence_penalty": 2}).identity
    assert tuned.startswith(f"openai/good@{provider.api_base}#")
    assert KEY not in tuned
    assert models("good", api_base="http://host:1/v1?own=1").identity == "openai/good@http://host:1/v1"


def test_a_whole_program_prints_nothing_and_asks_nobody_else(provider: Provider) -> None:
    script = f"""
import asyncio, socket
connect = socket.socket.connect
def only_here(self, address):
    assert self.family not in (socket.AF_INET, socket.AF_INET6) or address[0] == "127.0.0.1", address
    return connect(self, address)
socket.socket.connect = only_here
def no_names(host, *args, **options):
    assert host in ("127.0.0.1", None), host
    return resolve(host, *args, **options)
resolve, socket.getaddrinfo = socket.getaddrinfo, no_names
from evo.errors import LlmError
from evo.model import Request
from evo.settings import ModelSettings
from fitness.llm import LiteLlm
async def main():
    for name in ("good", "broken"):
        llm = LiteLlm(ModelSettings(name="openai/" + name, api_base={provider.api_base!r}))
        try:
            await llm.complete(Request.user("Hi"))
        except LlmError:
            pass
        await llm.aclose()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert provider.calls() == {"good": 1, "broken": 1}


async def test_a_real_model_behind_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server = load(locate("local/smollm2-135m"), LocalOptions(), KEY)
    settings = ModelSettings(name="openai/smollm2", api_base=f"{server.listening_address}/v1")
    with pytest.raises(LlmError, match="Invalid API Key") as caught:
        await LiteLlm(settings).complete(Request.user("Hi"))
    assert caught.value.fatal
    monkeypatch.setenv("TEST_PROVIDER_KEY", KEY)
    llm = LiteLlm(settings.model_copy(update={"api_key_env": "TEST_PROVIDER_KEY"}))
    request = Request.user("Tell a long story about the sea.", max_tokens=8, seed=1, temperature=1.0)
    first, second = await llm.complete(request), await llm.complete(request)
    assert first.text == second.text
    assert first.output_tokens == 8
    assert first.prompt_tokens > 10
    assert first.cost_usd is None
    await llm.aclose()
