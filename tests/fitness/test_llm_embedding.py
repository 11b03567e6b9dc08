"""Embeddings through LiteLLM, of a provider of our own on this machine and of a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from stub_provider import KEY, Provider

from evo.errors import LlmError
from evo.model import Completion, Request
from evo.settings import ModelSettings
from fitness.gguf import locate
from fitness.llamacpp import LocalOptions, load
from fitness.llm import LiteLlm

pytestmark = pytest.mark.real
ASK = Request.user("Sort the text.", embedding=True)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def asked(api_base: str, name: str, request: Request = ASK, **settings: Any) -> Completion:
    llm = LiteLlm(ModelSettings(name=f"openai/{name}", api_base=api_base, **settings))
    try:
        assert llm.can_embed
        return await llm.complete(request)
    finally:
        await llm.aclose()


async def test_a_text_is_sent_once_and_its_vector_scaled_and_paid_for(provider: Provider) -> None:
    price = {"prompt_usd_per_million": 2.0, "output_usd_per_million": 30.0}
    options = {"dimensions": 3, "allowed_openai_params": ["dimensions"]}
    reply = await asked(provider.api_base, "vectors", price=price, options=options)
    assert (reply.text, reply.embedding) == ("", (0.6, 0.0, -0.8))
    assert (reply.prompt_tokens, reply.output_tokens, reply.cost_usd) == (7, 0, pytest.approx(14e-6))
    (body,) = provider.bodies
    assert body == {"model": "vectors", "input": ["Sort the text."], "encoding_format": "float", "dimensions": 3}
    assert (await asked(provider.api_base, "uncounted-vectors", price=price)).cost_usd is None


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("busy", "Rate limit", "transient"),
        ("broken", "boom", "transient"),
        ("unknown", "mend the model's name or api_base", "fatal"),
        ("text-only", "does not support embeddings; mend the model's name", "fatal"),
        ("null-vectors", "not all 0", "neither"),
        ("garbled", "Unterminated string", "transient"),
    ],
)
async def test_what_is_no_embedding_is_an_error_and_is_not_sent_again(
    provider: Provider, name: str, words: str, kind: str
) -> None:
    with pytest.raises(LlmError, match=words) as caught:
        await asked(provider.api_base, name)
    assert (caught.value.transient, caught.value.fatal) == (kind == "transient", kind == "fatal")
    assert provider.calls() == {name: 1}


def test_what_a_listed_model_can_do_is_known_with_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    small = LiteLlm(ModelSettings(name="openai/text-embedding-3-small"))
    assert small.can_embed
    assert small.price is not None
    assert small.price.cost(1_000_000, 0) == pytest.approx(0.02)
    assert not LiteLlm(ModelSettings(name="openai/gpt-4o-mini")).can_embed
    assert LiteLlm(ModelSettings(name="ollama/nomic-embed-text")).can_embed


async def test_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = load(locate("local/smollm2-135m"), LocalOptions(), KEY, embeds=True)
    first, second = [await asked(f"{server.listening_address}/v1", "smollm2") for _ in range(2)]
    assert len(first.embedding) == 576
    assert first.embedding == second.embedding
    assert first.prompt_tokens == 4
    texts_alone = load(locate("local/smollm2-135m"), LocalOptions(), KEY)
    with pytest.raises(LlmError, match="does not support embeddings") as caught:
        await asked(f"{texts_alone.listening_address}/v1", "smollm2")
    assert caught.value.fatal
