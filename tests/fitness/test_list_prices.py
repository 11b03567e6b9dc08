"""What LiteLLM's list of prices says, and where it says 0 for what nobody looked up."""

from __future__ import annotations

from typing import Any

import pytest

from evo.ports import Price
from evo.settings import ModelSettings, PriceSettings
from fitness.llm import LiteLlm, _price

FREE = PriceSettings(prompt_usd_per_million=0.0, output_usd_per_million=0.0)


def listed(prompt: float | None, output: float | None, **more: Any) -> dict[str, Any]:
    return {"mode": "chat", "input_cost_per_token": prompt, "output_cost_per_token": output, **more}


@pytest.mark.parametrize(
    ("name", "listing", "price"),
    [
        ("openai/x", listed(1.0, 2.0), Price(1.0, 2.0)),
        ("openai/x", listed(1.0, 2.0, output_cost_per_reasoning_token=8.0), Price(1.0, 8.0)),
        ("openai/x", listed(1.0, 2.0, output_cost_per_reasoning_token=0.5), Price(1.0, 2.0)),
        ("openai/x", {}, None),
        ("volcengine/x", listed(0.0, 0.0), None),
        ("azure_ai/model_router", listed(1.0, 0.0), None),
        ("perplexity/x", listed(0.0, 2.0), None),
        ("ollama/x", listed(0.0, 0.0), Price(0.0, 0.0)),
        ("ollama_chat/x", listed(0.0, 0.0), Price(0.0, 0.0)),
        ("ollama/x:671b-cloud", listed(0.0, 0.0), None),
        ("openai/x", {"mode": "embedding", "input_cost_per_token": 1.0}, Price(1.0, 0.0)),
        ("openai/x", listed(1.0, 0.0, mode="embedding"), Price(1.0, 0.0)),
        ("gigachat/x", listed(0.0, 0.0, mode="embedding"), None),
        ("vercel_ai_gateway/mistral-embed", listed(1.0, 0.0), Price(1.0, 0.0)),
    ],
    ids=str,
)
def test_a_price_of_nothing_is_unknown_but_for_servers_of_ones_own(
    name: str, listing: dict[str, Any], price: Price | None
) -> None:
    assert _price(ModelSettings(name=name), listing) == price
    assert _price(ModelSettings(name=name, price=FREE), listing) == Price(0.0, 0.0)


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    ["volcengine/kimi-k2-thinking-251104", "gigachat/GigaChat-2-Max", "ollama/deepseek-v3.1:671b-cloud"],
)
def test_paid_models_that_litellm_lists_at_nothing_have_no_price(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("VOLCENGINE_API_KEY", "GIGACHAT_API_KEY", "GIGACHAT_CREDENTIALS"):
        monkeypatch.setenv(key, "a-key")
    assert LiteLlm(ModelSettings(name=name)).price is None
    assert LiteLlm(ModelSettings(name=name, price=FREE)).price == Price(0.0, 0.0)


@pytest.mark.real
def test_a_price_of_reasoning_above_the_output_price_is_the_output_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "a-key")
    price = LiteLlm(ModelSettings(name="dashscope/qwen-turbo")).price
    assert price is not None
    assert price.output_usd == pytest.approx(5e-7)
