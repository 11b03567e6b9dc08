from __future__ import annotations

from types import SimpleNamespace

import pytest

from evo.cli.report import report_lines
from evo.model import Individual, Prompt
from evo.schema import TABLES

SCORED = {"mean": 0.8, "low": 0.7, "high": 0.9, "n": 50}
GAIN = {"mean": 0.1, "low": 0.02, "high": 0.2, "n": 50, "p_value": 0.01, "significant": True}


def finalist(number: int, operator: str) -> dict[str, object]:
    dev = {"mean": 0.8, "n": 20}
    text = f"prompt {number}"
    parts = [["instruction", text]]
    return {"individual": number, "text": text, "parts": parts, "operator": operator, "dev": dev, "test": SCORED}


def lines(
    winner: dict[str, object], baseline: dict[str, object], gain: dict[str, object] | None, **more: int
) -> dict[str, str]:
    """Return the report's lines by their first word."""
    spent = {"calls": 1, "tokens": 2, "usd": None}
    result = {"winner": winner, "baseline": baseline, "gain": gain, "spent": spent, "elapsed_s": 1.0, **more}
    lineage = SimpleNamespace(line=lambda: [Individual(1, Prompt.of("prompt 1"), "edit")])
    nobody = TABLES["individuals"].empty_table()
    run = SimpleNamespace(
        result=result,
        path="RUN",
        lineage=lambda _: lineage,
        individuals=lambda: nobody,
        events=TABLES["events"].empty_table,
        spending=dict,
    )
    found = (line.split(maxsplit=1) for line in report_lines(run) if line.strip())
    return {first: "".join(rest) for first, *rest in found}


@pytest.mark.parametrize(
    ("baseline", "gain", "seed_words", "gain_words"),
    [
        (finalist(0, "seed"), GAIN, "the best seed prompt by dev, 'prompt 0'", "+10.0 points"),
        (finalist(1, "seed"), None, "the best seed prompt by dev, 'prompt 1'", "none: no prompt beat the best seed"),
        (finalist(1, "edit"), None, "none was scored", "unknown: no seed prompt was scored"),
    ],
    ids=["a gain", "the winner is a seed", "no seed was scored"],
)
def test_the_report_compares_with_the_best_seed_if_there_is_one(baseline, gain, seed_words, gain_words):
    found = lines(finalist(1, baseline["operator"] if baseline["individual"] == 1 else "edit"), baseline, gain)
    assert seed_words in found["seed"]
    assert found["gain"].startswith(gain_words)


def test_the_report_says_when_the_test_rows_have_judged_several_winners():
    assert "looks" not in lines(finalist(1, "edit"), finalist(0, "seed"), GAIN)
    assert "looks" not in lines(finalist(1, "edit"), finalist(0, "seed"), GAIN, looks=1)
    found = lines(finalist(1, "edit"), finalist(0, "seed"), GAIN, looks=3)
    assert found["looks"].startswith("3: resumes ended with other finalists on the same test rows")
