from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from records import born, write

from evo.budget import Usage
from evo.cli.report import gain_words, report_lines
from evo.failures import NO_VERDICT
from evo.folder import RunFolder, write_json
from evo.model import Evaluation, Outcome, Prompt
from evo.run import Run
from evo.schema import evaluation_rows
from evo.settings import RunSettings
from evo.verdict import finalists, verdict


@pytest.mark.parametrize(("unread", "said"), [(1, False), (3, True)])
def test_the_report_says_when_many_replies_held_no_answer(tmp_path: Path, unread: int, said: bool) -> None:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    outcomes = [Outcome(row, 0.0, parsed=row >= unread) for row in range(4)]
    write(folder.path, [replace(born(0), evaluation=Evaluation.of(outcomes))])
    ended = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(4), elapsed_s=1.0, seed=0)
    write_json(folder.path / "result.json", ended)
    lines = [line for line in report_lines(Run(folder.path)) if line.startswith("  unread")]
    assert bool(lines) == said
    assert not said or "75.0 % of dev replies held no answer" in lines[0]


def reported(path: Path, outcomes: list[Outcome]) -> list[str]:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(path)})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    write(folder.path, [replace(born(0), evaluation=Evaluation.of(outcomes))])
    ended = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(4), elapsed_s=1.0, seed=0)
    write_json(folder.path / "result.json", ended)
    return report_lines(Run(folder.path))


def test_a_judge_without_verdicts_is_named_and_not_the_prompts(tmp_path: Path) -> None:
    lines = reported(tmp_path, [Outcome(n, 0.0, reason=f"{NO_VERDICT}, but 'Fine.'", parsed=False) for n in range(4)])
    (unread,) = [line for line in lines if line.startswith("  unread")]
    assert "the judge's verdicts could not be read" in unread
    assert unread.endswith("name a stronger judge_model, or raise the scorer's max_tokens")
    (failed,) = [line for line in lines if line.startswith("  failed")]
    assert "4 rows score 0 for want of a verdict" in failed


def test_rows_without_a_score_are_told_with_their_commonest_reason(tmp_path: Path) -> None:
    errors = ["scorer: KeyError: 1", "scorer: RuntimeError: \x1b[31mboom\n", "scorer: KeyError: 22"]
    outcomes = [Outcome(9, 1.0), *(Outcome(n, None, error=error) for n, error in enumerate(errors))]
    (failed,) = [line for line in reported(tmp_path, outcomes) if line.startswith("  failed")]
    assert "3 rows have no score and count for nothing (2x scorer: KeyError: N, 1x scorer: RuntimeError: " in failed
    assert failed.endswith("RuntimeError: \\u001b[Nmboom)")


@pytest.mark.parametrize(
    ("mean", "significant", "said"),
    [(0.05, True, "p = 0.016"), (-0.05, True, ": the seed prompt is better"), (-0.05, False, ": no significant gain")],
)
def test_the_report_says_what_a_difference_means(mean: float, significant: bool, said: str) -> None:
    gain = {
        "mean": mean,
        "low": mean - 0.04,
        "high": mean + 0.04,
        "n": 128,
        "p_value": 0.016,
        "significant": significant,
    }
    assert gain_words(gain, same=False).endswith(said)


def test_a_line_of_descent_shows_the_parts_that_changed(tmp_path: Path) -> None:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    scored = Evaluation.of([Outcome(row, 1.0) for row in range(4)])
    seed = replace(born(0), prompt=Prompt((("system", "You sort."), ("instruction", "Sort."))))
    child = replace(seed, number=1, prompt=seed.prompt.with_part("system", "You are kind."), parents=((0, "base"),))
    grandchild = replace(child, number=2, prompt=child.prompt.with_text("Name it."), parents=((1, "base"),))
    write(folder.path, [seed, child, replace(grandchild, evaluation=scored)])
    ended = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(4), elapsed_s=1.0, seed=0)
    write_json(folder.path / "result.json", ended)
    steps = [line.split("island 0")[1].strip() for line in report_lines(Run(folder.path)) if "island 0" in line]
    assert steps == ["Sort.", "[system] You are kind.", "Name it."]


def test_the_report_says_what_a_gain_is_worth_however_often_one_looks(tmp_path: Path) -> None:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    tested = [
        *evaluation_rows(1, [Outcome(100 + row, 1.0) for row in range(30)], "test"),
        *evaluation_rows(0, [Outcome(100 + row, float(row % 2)) for row in range(30)], "test"),
    ]
    write(folder.path, [born(0, "seed", [0, 1]), born(1, "child", [1, 1], (0, "base"))], evaluations=tested)
    ended = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(4), elapsed_s=1.0, seed=0)
    write_json(folder.path / "result.json", ended)
    (said,) = [line for line in report_lines(Run(folder.path)) if line.startswith("  anytime")]
    assert "e-value" in said
    assert said.endswith("better than the seed prompt, however often one looks")
