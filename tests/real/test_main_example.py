"""The main example on the real local model, shortened: a new prompt, an honest score, a whole lineage."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
from command import EXAMPLES, evo, evo_json, only_run

import evo as library

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> library.Run:
    folder = tmp_path_factory.mktemp("main")
    short = ("--set", "budget.seconds=30", "--set", "racing.stages=[8, 24]", "--set", "cache=false")
    evo("run", EXAMPLES / "messages.yaml", *short, "--plain", cwd=folder)
    return library.open_run(only_run(folder / "runs"))


def test_the_report_is_whole(run: library.Run) -> None:
    result = run.result
    assert result is not None
    assert result["winner"]["test"]["n"] == result["baseline"]["test"]["n"] > 20
    assert result["winner"]["dev"]["mean"] >= result["baseline"]["dev"]["mean"]
    assert run.best.gain is None or run.best.gain.low <= run.best.gain.mean <= run.best.gain.high
    assert run.elapsed_s < 45


def test_reading_commands_agree_with_the_tables(run: library.Run) -> None:
    best = evo_json("best", run.path, cwd=run.path)
    show = evo_json("show", run.path, cwd=run.path)
    line = evo_json("lineage", run.path, cwd=run.path)
    assert best["result"]["winner"]["text"] == run.best.prompt.text
    assert show["spent"]["calls"] == run.calls().num_rows == run.spent.calls
    assert line["line"][-1]["individual"] == run.best.number
    assert sum(island["born"] for island in show["islands"]) == run.individuals().num_rows


def test_other_readers_see_the_same(run: library.Run) -> None:
    files = f"{run.path}/evaluations/*.parquet"
    ((rows, mean),) = duckdb.sql(
        f"SELECT count(*), avg(score) FROM '{files}' WHERE individual = {run.best.number} AND split = 'dev'"
    ).fetchall()
    assert rows == run.best.individual.evaluation.count
    assert mean == pytest.approx(run.best.dev)
    frame = pd.read_parquet(run.path / "individuals")
    assert len(frame) == run.individuals().num_rows


def test_labels_were_scored_by_their_likelihood(run: library.Run) -> None:
    task_calls = [call for call in run.calls().to_pylist() if call["purpose"] == "task"]
    assert all(len(call["logprobs"]) == 3 and max(call["logprobs"]) < 0 for call in task_calls)
