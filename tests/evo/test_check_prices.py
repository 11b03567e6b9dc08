"""A cap in USD over a model whose price is unknown, or over free models alone, is refused before anything is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import evo
from evo.commission import load_task
from evo.config import parse
from evo.engine import check_prices
from evo.errors import ConfigError
from evo.model import Completion, Request
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

ROWS = toy_rows(40)
JUDGED = {"name": "judge", "rubric": "Polite."}
CAP = {"usd": 5.0, "calls": 60}


class Model(FakeLlm):
    """Costs what the settings say; nobody knows what where they say nothing."""

    asked: ClassVar[int] = 0

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        own = settings.price
        self._own = own and Price(own.prompt_usd_per_million / 1e6, own.output_usd_per_million / 1e6)

    @property
    def price(self) -> Price | None:
        return self._own

    async def complete(self, request: Request) -> Completion:
        type(self).asked += 1
        return await super().complete(request)


@pytest.fixture(autouse=True)
def nobody_asked() -> None:
    Model.asked = 0


def model(usd: float | None = None) -> dict[str, Any]:
    price = None if usd is None else {"prompt_usd_per_million": usd, "output_usd_per_million": usd}
    return {"name": f"{__name__}:Model", "price": price}


def arguments(tmp_path: Path, scorer: Any = "choice", **more: Any) -> dict[str, Any]:
    return {
        "task": {"data": {"dev": ROWS[:20], "test": ROWS[20:]}, "scorer": scorer},
        "prompts": ["Judge the review.", "What is the tone?"],
        "model": "fake/toy",
        "budget": CAP,
        "executor": "inline",
        "storage": str(tmp_path / "runs"),
        "cache": False,
        **more,
    }


@pytest.mark.parametrize("ask", [evo.evolve, evo.estimate])
@pytest.mark.parametrize(
    "more",
    [
        {"model": model()},
        {"model": model(1.0), "operator_model": model()},
        {"scorer": JUDGED, "model": model(1.0), "judge_model": model()},
        {"model": model(1.0), "islands": [{}, {"model": model()}]},
    ],
    ids=["task", "operator", "judge", "island"],
)
def test_a_model_of_unknown_price_is_refused_under_a_cap_in_usd_before_any_call(tmp_path, ask, more):
    with pytest.raises(ConfigError, match=rf"needs the price of {__name__}:Model, which is unknown; set model.price"):
        ask(**arguments(tmp_path, **more))
    assert Model.asked == 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "more",
    [
        {"model": model(1.0)},
        {"model": model(), "budget": {"calls": 60}},
        {"model": model(0.0)},
        {"model": model(1.0), "judge_model": model()},
    ],
    ids=["its price is set", "no cap in USD", "it is said to be free", "a judge that nobody asks"],
)
def test_others_run(tmp_path, more):
    assert evo.evolve(**arguments(tmp_path, **more)).spent.calls == 60
    assert Model.asked == 60
    assert evo.estimate(**arguments(tmp_path, **more)).calls <= 60


def test_a_cap_in_usd_alone_over_models_said_to_be_free_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="never ends a run whose models are free"):
        evo.evolve(**arguments(tmp_path, model=model(0.0), budget={"usd": 5.0}))
    assert Model.asked == 0


def test_a_cap_in_usd_put_on_a_run_is_checked_alike(tmp_path):
    free = {"model": "fake/toy", "operator_model": model(0.0)}
    run = evo.evolve(**arguments(tmp_path, budget={"calls": 60}, **free))
    with pytest.raises(ConfigError, match="never ends a run whose models are free"):
        evo.resume(run, budget={"usd": 5.0, "calls": None})


def test_a_key_that_only_the_nodes_have_is_no_reason_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODES_OWN_KEY", raising=False)
    there = {"name": "openai/some-model", "api_base": "http://127.0.0.1:9/v1", "api_key_env": "NODES_OWN_KEY"}
    settings = parse(
        {"task": {"data": {"dev": ROWS}, "scorer": "exact"}, "model": there, "budget": CAP, "prompts": ["A"]}
    )
    check_prices(settings, load_task(settings, Path()))
