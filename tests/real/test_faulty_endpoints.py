"""An endpoint that refuses, errs, cuts its replies short, hangs, or is down: rows are missing at worst, never zero."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from faulty import CLEAN, Endpoint, births, books, often, only_on

import evo
from evo.errors import LlmError

pytestmark = pytest.mark.real
ROW = "Review:"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-this-test")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> evo.Run:
    """The run as it goes when nothing fails."""
    with Endpoint() as endpoint:
        return evo.evolve(**endpoint.settings(tmp_path_factory.mktemp("runs")))


def test_faults_that_pass_change_nothing_but_the_time_it_takes(tmp_path: Path, undisturbed: evo.Run) -> None:
    with Endpoint(often) as endpoint:
        run = evo.evolve(**endpoint.settings(tmp_path))
    assert books(run) == CLEAN
    assert births(run) == births(undisturbed)
    assert set(endpoint.answered.values()) == {1}, "an answer was paid twice"
    assert run.result is not None
    failures = run.result["failures"]
    assert failures["resent"] == endpoint.asked.total() - endpoint.answered.total() > 30
    assert failures["rows_missing"] == 0


@pytest.mark.parametrize(("fault", "kind"), [("500", "try later"), ("hang", "no answer within N s")])
def test_one_row_that_always_fails_is_missing_and_listed(tmp_path: Path, fault: str, kind: str) -> None:
    endpoint = Endpoint()
    settings = endpoint.up().settings(tmp_path, model={"attempts": 1, "timeout_s": 3.0})
    endpoint.script = only_on(settings["task"]["data"]["dev"][3]["input"], fault)
    run = evo.evolve(**settings)
    endpoint.down()
    assert books(run) == CLEAN
    rows = run.evaluations().to_pylist()
    failed = {row["example"] for row in rows if row["score"] is None}
    assert len(failed) == 1
    assert all(row["error"] for row in rows if row["example"] in failed)
    assert all(birth["n_missing"] == 1 for birth in run.individuals().to_pylist() if birth["n_scored"])
    assert run.result is not None
    (listed,) = run.result["failures"]["calls_failed"]
    assert kind in listed["kind"]
    assert listed["count"] == run.result["failures"]["rows_missing"] > 3


def test_an_endpoint_that_is_down_for_a_while_costs_time_alone(tmp_path: Path, undisturbed: evo.Run) -> None:
    with Endpoint(latency_s=0.02) as endpoint:

        def fall() -> None:
            endpoint.down()
            threading.Timer(2.0, endpoint.up).start()

        settings = endpoint.settings(tmp_path)
        endpoint.script = _once_after(60, endpoint, fall)
        run = evo.evolve(**settings)
    assert books(run) == CLEAN
    assert births(run) == births(undisturbed)
    assert run.result is not None
    assert run.result["failures"]["resent"] > 0
    assert run.result["failures"]["rows_missing"] == 0


def test_an_endpoint_that_stays_down_ends_the_run_where_it_can_be_resumed(tmp_path: Path) -> None:
    with Endpoint(latency_s=0.02) as endpoint:
        settings = endpoint.settings(tmp_path, model={"attempts": 1, "patience_s": 1}, concurrency=4)
        endpoint.script = _once_after(60, endpoint, endpoint.down)
        with pytest.raises(LlmError, match="nothing was scored 0: see that the model is up"):
            evo.evolve(**settings)
        before = evo.open_run(tmp_path)
        paid = {row["key"] for row in before.calls().to_pylist() if row["text"] is not None}
        endpoint.up()
        run = evo.resume(before)
    assert books(run) == CLEAN
    assert paid <= {row["key"] for row in run.calls().to_pylist() if row["text"] is not None}
    assert sum(endpoint.answered.values()) - len(endpoint.answered) <= 4, "more than what was in flight was paid again"
    assert run.status == "done"
    assert run.result is not None
    assert run.result["failures"]["attempts"] == 2


def _once_after(count: int, endpoint: Endpoint, then: object):  # type: ignore[no-untyped-def]
    """Return a script without faults that does something once, after so many requests."""
    pending = [then]

    def script(text: str, attempt: int) -> str:
        if pending and endpoint.asked.total() >= count:
            threading.Thread(target=pending.pop()).start()  # type: ignore[arg-type]
        return ""

    return script
