"""Islands whose task models differ: no score of one model is ever taken for one of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cluster.workers
from evo import Completion, Request, Run, evolve
from evo.model import island_of
from evo.settings import ModelSettings
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

ROWS = toy_rows(60, 2)
TASK = {"data": {"dev": ROWS[:20], "test": ROWS[20:]}, "scorer": "choice"}
SEEDS = ["Judge the review.", "Say positive or negative.", "What is the tone?", "Read and decide."]


class Contrary(FakeLlm):
    """Says the opposite of what the toy model says, and writes prompts as it does."""

    async def complete(self, request: Request) -> Completion:
        answer = await super().complete(request)
        swapped = {"positive": "negative", "negative": "positive"}
        if request.choices:
            return Completion("", answer.prompt_tokens, 1, 0.0, 0.0, answer.logprobs[::-1], answer.lengths[::-1])
        return Completion(swapped.get(answer.text, answer.text), answer.prompt_tokens, 1, 0.0)

    @property
    def identity(self) -> str:
        return f"contrary {super().identity}"


@pytest.fixture(
    params=[("fake/toy", "fake/contrary"), ("fake/contrary", "fake/toy")], ids=["strong first", "weak first"]
)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def build(settings: ModelSettings) -> Any:
        return (Contrary if settings.name == "fake/contrary" else FakeLlm)(settings)

    monkeypatch.setattr(cluster.workers, "build_model", build)
    return evolve(
        TASK,
        prompts=SEEDS,
        operator_model="fake/toy",
        islands=[{"model": name} for name in request.param],
        method={"name": "steady-state", "population": 4},
        migration={"every": 3, "count": 2},
        budget={"births": 60},
        executor="inline",
        storage=str(tmp_path),
        seed=1,
    )


def models_of_scores(run: Run, split: str) -> set[tuple[int, str]]:
    """Return (island, task model) of every score."""
    asked = {row["key"]: row["model"] for row in run.calls().to_pylist()}
    rows = [row for row in run.evaluations().to_pylist() if row["split"] == split]
    assert rows
    return {(island_of(row["individual"]), asked[row["call"]].partition("?")[0]) for row in rows}


def test_every_score_of_an_island_is_by_its_own_model(run: Run) -> None:
    assert [row for row in run.migrations().to_pylist() if row["accepted"]], "nobody migrated: nothing was tested"
    assert len(models_of_scores(run, "dev")) == 2


def test_a_migrants_evidence_is_what_the_log_says_of_it(run: Run) -> None:
    copies = [row["copy"] for row in run.migrations().to_pylist() if row["accepted"]]
    assert all(run.individual(number).evaluation.count == 20 for number in copies)


def test_winner_and_baseline_are_tested_by_the_model_that_chose_the_winner(run: Run) -> None:
    result = run.result
    assert result is not None
    winner, baseline = result["winner"], result["baseline"]
    assert len(models_of_scores(run, "test")) == 1
    assert baseline["operator"] == "seed"
    assert baseline["island"] == winner["island"]
    assert winner["test"]["mean"] > winner["dev"]["mean"] - 0.25
