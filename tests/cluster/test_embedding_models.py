"""Runs with an embedding model: its calls are admitted, shared, logged and resumed like any others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cluster.archipelago
import evo.accounting
from evo import ConfigError, EvoError, Interrupted, Run, evolve, open_run, resume
from evo.config import parse
from evo.engine import Engine, prepare
from evo.model import Request
from fitness.toy import toy_rows

ROWS = toy_rows(24)
SEEDS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide."]
BREEDING = {
    "name": "promptbreeder",
    "population": 6,
    "generations": 3,
    "batch": 6,
    "prompts_per_unit": 1,
    "operators": {"eda": 1, "eda-rank-index": 1},
    "embeddings": True,
}
EMBEDDER = {"name": "fake/embedder", "options": {}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evo.accounting, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "task": {"data": {"train": ROWS[:4], "dev": ROWS[4:14], "test": ROWS[14:]}, "scorer": "choice"},
        "model": "fake/toy",
        "embedding_model": EMBEDDER,
        "prompts": SEEDS,
        "method": BREEDING,
        "executor": "inline",
        "storage": str(tmp_path / "runs"),
        "seed": 3,
        "budget": {"calls": 1000},
    }


def go(settings: dict[str, Any]) -> Run:
    return evolve(settings["task"], **{key: value for key, value in settings.items() if key != "task"})


def embedded(run: Run) -> list[dict[str, Any]]:
    return [call for call in run.calls().to_pylist() if call["embedding"]]


def course(run: Run) -> list[tuple[Any, ...]]:
    born = sorted(run.individuals().to_pylist(), key=lambda row: row["id"])
    return [(row["id"], row["operator"], row["prompt"], row["fitness"], row["status"]) for row in born]


def test_every_text_is_embedded_once_by_the_model_for_it_and_logged_with_its_vector(settings: dict[str, Any]) -> None:
    run = go(settings)
    calls = embedded(run)
    assert len(calls) > 6
    assert {(call["model"], call["purpose"], len(call["embedding"])) for call in calls} == {
        ("fake/embedder?garble=0.05", "operator", 32)
    }
    assert all((call["text"], call["output_tokens"]) == ("", 0) for call in calls)
    keys = [call["key"] for call in calls]
    assert len(keys) == len(set(keys))
    assert Request.user(SEEDS[0], embedding=True).key("fake/embedder?garble=0.05") in keys
    assert run.spent.calls == sum(call["attempts"] for call in run.calls().to_pylist())
    listing = {row["id"] for row in run.individuals().to_pylist() if row["operator"].startswith("eda")}
    listed = [edge for edge in run.edges().to_pylist() if edge["role"] == "listed"]
    assert {edge["child"] for edge in listed} == listing
    assert len(listed) == 6 * len(listing), "the edges name all that were read"


def test_a_run_without_embeddings_makes_no_such_call(settings: dict[str, Any]) -> None:
    assert embedded(go({**settings, "method": {**BREEDING, "embeddings": False}})) == []


def test_a_run_stopped_and_resumed_embeds_nothing_twice_and_ends_the_same(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.archipelago, "WATCH_S", 0.02)
    monkeypatch.setattr(cluster.archipelago, "GRACE_S", 0.5)
    whole = go({**settings, "storage": str(tmp_path / "whole")})
    slow = {"options": {"latency_ms": 4}}
    content = {**settings, "model": {"name": "fake/toy", **slow}, "embedding_model": {**EMBEDDER, **slow}}
    order = prepare(parse({**content, "concurrency": 3}), base=Path.cwd(), title="stopped")

    def stop_amid_embeddings(snapshot: Any) -> None:
        if snapshot.spent.calls >= 60:
            engine.stop()

    engine = Engine(order, watch=stop_amid_embeddings)
    engine.start()
    assert engine.wait(20)
    with pytest.raises(Interrupted):
        engine.result()
    before = embedded(open_run(order.path))
    assert before, "nothing was embedded yet: nothing is tested"
    for file in order.path.parent.glob("answers.sqlite*"):
        file.unlink()
    run = resume(order.path)
    calls = embedded(run)
    assert len(calls) > len(before)
    assert len({call["key"] for call in calls}) == len(calls)
    assert not any(call["recalled"] for call in calls)
    assert course(run) == course(whole)


def test_another_run_in_the_same_storage_pays_for_no_embedding_again(settings: dict[str, Any]) -> None:
    first, second = go(settings), go(settings)
    assert all(call["recalled"] for call in embedded(second))
    assert [call["embedding"] for call in embedded(second)] == [call["embedding"] for call in embedded(first)]


def test_embeddings_without_a_model_for_them_are_refused_before_a_folder_is_made(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    del settings["embedding_model"]
    with pytest.raises(ConfigError, match=r"promptbreeder expects an embedding model .* got none; set embedding_model"):
        go(settings)
    assert not (tmp_path / "runs").exists()


def test_a_model_that_cannot_embed_ends_the_run_before_its_first_call(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"expected an embedding_model .*, got fake/embedder, which does not; name"):
        go({**settings, "embedding_model": {**EMBEDDER, "options": {"embed": False}}})
    assert open_run(settings["storage"]).calls().num_rows == 0


def test_an_island_may_have_an_embedding_model_of_its_own(settings: dict[str, Any]) -> None:
    own = {"embedding_model": "fake/other"}
    run = go({**settings, "islands": [{}, own], "topology": "isolated"})
    models = {(call["individual"] >> 40, call["model"].partition("?")[0]) for call in embedded(run)}
    assert models == {(0, "fake/embedder"), (1, "fake/other")}


def test_embeddings_that_fail_for_a_passing_reason_end_no_run(settings: dict[str, Any]) -> None:
    run = go({**settings, "embedding_model": {**EMBEDDER, "options": {"error_rate": 0.3}, "attempts": 2}})
    assert run.status == "done"
    assert max(call["attempts"] for call in embedded(run)) == 2


def test_an_embedding_model_that_never_answers_ends_the_run_in_words(settings: dict[str, Any]) -> None:
    with pytest.raises(EvoError, match=r"calls to fake/embedder.* failed and none was answered"):
        go({**settings, "embedding_model": {**EMBEDDER, "options": {"error_rate": 1.0}, "attempts": 2}})
