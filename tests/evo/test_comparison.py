"""Runs side by side: the same rows are paired, whatever their numbers, and other tasks are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import born, write

import evo
from evo.budget import Usage
from evo.cli import main
from evo.commission import load_task
from evo.comparison import Comparison, Difference, _adjusted, compare
from evo.errors import ConfigError, EvoError
from evo.folder import RunFolder, write_json
from evo.model import Completion, Individual, Outcome
from evo.receipts import Receipt
from evo.run import Run
from evo.schema import call_row, evaluation_rows
from evo.settings import RunSettings
from evo.verdict import finalists, verdict

ROWS = [{"input": f"text {place}", "target": "ab"[place % 2]} for place in range(40)]
TASK: dict[str, Any] = {"scorer": "choice", "input": "input", "target": "target"}


def made(
    tmp_path: Path,
    name: str,
    scores: Sequence[float],
    test: Mapping[int, float] | None = None,
    *,
    fingerprint: str = "",
    rows: Sequence[Mapping[str, str]] = ROWS,
    task: Mapping[str, Any] | None = None,
    dev: Sequence[int] | None = None,
    **settings: Any,
) -> Run:
    """Return a run whose winner has these scores, on its task's dev rows where none are named, and on test rows."""
    data = tmp_path / f"{name}.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    whole = {"task": {"data": str(data), **TASK, **(task or {})}, "prompts": ["Sort."], **settings}
    given_settings = RunSettings.model_validate({**whole, "storage": str(tmp_path / "runs")})
    real = load_task(given_settings, tmp_path)
    mark = fingerprint or real.fingerprint
    folder = RunFolder.create(given_settings, base=tmp_path, title=name, fingerprint=mark)
    numbers = list(dev) if dev is not None else sorted(real.examples("dev"))[: len(scores)]
    one = born(1, f"Sort, {name}.", ())
    outcomes = [Outcome(number, score) for number, score in zip(numbers, scores, strict=True)]
    winner = Individual(1, one.prompt, "paraphrase", ((0, "base"),), 1, one.evaluation.of(outcomes))
    seed = Individual(0, born(0, "Sort.").prompt, "seed", (), 0, one.evaluation.of(Outcome(n, 0.0) for n in numbers))
    tested = evaluation_rows(1, [Outcome(number, score) for number, score in (test or {}).items()], "test")
    calls = [call_row(Receipt(str(at), "m", "task", 1, float(at), Completion("a", 3, 1, 0.5, 0.1))) for at in range(8)]
    write(folder.path, [seed, winner], evaluations=tested, calls=calls)
    if test is not None:
        spent = Usage(8, 32, 0.8)
        ended = verdict(folder.path, finalists(folder.path), status="done", spent=spent, elapsed_s=2.0, seed=0)
        write_json(folder.path / "result.json", ended)
    return Run(folder.path)


def only(found: Comparison, split: str) -> Difference:
    (one,) = [one for one in found.differences if one.split == split]
    return one


def test_winners_are_paired_on_the_rows_both_were_tested_on(tmp_path: Path) -> None:
    one = made(tmp_path, "a", [1, 1, 0, 0], {30: 1.0, 31: 0.0, 32: 0.0, 33: 1.0}, fingerprint="f")
    other = made(tmp_path, "b", [1, 1, 1, 0], {30: 1.0, 31: 1.0, 32: 1.0}, fingerprint="f")
    found = evo.compare(one, other.path)
    test, dev = only(found, "test"), only(found, "dev")
    assert (test.first, test.second, test.n, test.mean) == (0, 1, 3, pytest.approx(2 / 3))
    assert (dev.n, dev.mean) == (4, 0.25)
    back = only(evo.compare(other, one), "test")
    assert (back.mean, back.low, back.high, back.p_value) == pytest.approx(
        (-test.mean, -test.high, -test.low, test.p_value)
    )


def test_each_side_says_what_it_came_to_and_what_it_took(tmp_path: Path) -> None:
    runs = [made(tmp_path, name, [1, 1, 0, 0], {30: 1.0, 31: 0.0}, fingerprint="f") for name in "ab"]
    found = compare(*runs)
    (one, _) = found.runs
    assert (one.dev.mean, one.dev.n, one.test and one.test.mean, one.optimism) == (0.5, 4, 0.5, 0.0)
    assert (one.spent.calls, one.spent.tokens, one.spent.usd, one.births) == (8, 32, 4.0, 2)
    assert found.calls == (1, 2, 4, 6, 8)
    assert found.course[-1] == (0.5, 0.5)


def test_only_settings_that_differ_are_named_and_no_secret_is(tmp_path: Path) -> None:
    one = made(tmp_path, "a", [1, 0], fingerprint="f", method="evoprompt-de")
    other = made(tmp_path, "b", [1, 0], fingerprint="f", budget={"calls": 9})
    manifest = RunFolder(other.path).manifest
    manifest["settings"]["method"]["arguments"] = {"api_key": "sk-12345678"}
    write_json(other.path / "run.json", manifest)
    settings = compare(one, other).settings
    assert settings["method.name"] == ("evoprompt-de", "tide")
    assert settings["budget.calls"] == (None, 9)
    assert "sk-12345678" not in repr(settings)
    assert "seed" not in settings


def test_rows_split_by_another_seed_are_matched_by_what_they_hold(tmp_path: Path) -> None:
    def tested(seed: int, score: float) -> dict[int, float]:
        data = {"task": {"data": str(tmp_path / f"s{seed}.jsonl"), **TASK}, "prompts": ["Sort."], "seed": seed}
        (tmp_path / f"s{seed}.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
        return dict.fromkeys(load_task(RunSettings.model_validate(data), tmp_path).examples("test"), score)

    first, second = tested(0, 1.0), tested(1, 0.0)
    runs = [made(tmp_path, f"s{seed}", [1, 0], test, seed=seed) for seed, test in enumerate((first, second))]
    found = only(compare(*runs), "test")
    assert 0 < found.n == len(first.keys() & second.keys()) < len(first)  # numbers are places in the same file here
    assert found.mean == -1.0


def test_the_same_rows_in_another_order_are_matched(tmp_path: Path) -> None:
    rows = [*reversed(ROWS)]
    names = "ab"
    runs = []
    for name, given_rows in zip(names, (ROWS, rows), strict=True):
        data = tmp_path / f"{name}-test.jsonl"
        data.write_text("\n".join(map(json.dumps, given_rows[10:30])))
        dev = tmp_path / f"{name}-dev.jsonl"
        dev.write_text("\n".join(map(json.dumps, [*ROWS[:10], *ROWS[30:]])))
        files = {"data": {"dev": str(dev), "test": str(data)}}
        given_settings = RunSettings.model_validate({"task": {**TASK, **files}, "prompts": ["Sort."]})
        task = load_task(given_settings, tmp_path)
        right = {
            number: float(int(task.example(number).inputs["input"].split()[1]) < 15) for number in task.examples("test")
        }
        runs.append(made(tmp_path, name, [1, 0], right, task=files))
    found = only(compare(*runs), "test")
    assert (found.n, found.mean, found.low < 0 < found.high) == (20, 0.0, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": {"scorer": "exact"}}, r"scorer\.name is 'choice' and 'exact'"),
        ({"task": {"layout": "{input}\n{prompt}"}}, r"layout is .* and "),
        ({"rows": [{"input": f"other {n}", "target": "ab"[n % 2]} for n in range(40)]}, "no row in common"),
    ],
)
def test_another_task_is_refused_by_what_differs(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    one, other = made(tmp_path, "a", [1, 0]), made(tmp_path, "b", [1, 0], **change)
    with pytest.raises(ConfigError, match=said):
        compare(one, other)


def test_data_that_are_gone_or_changed_are_said(tmp_path: Path) -> None:
    one, other = made(tmp_path, "a", [1, 0]), made(tmp_path, "b", [1, 0], seed=3)
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, ROWS[:30])))
    with pytest.raises(ConfigError, match=r"cannot be matched: its data have changed"):
        compare(one, other)
    (tmp_path / "b.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"cannot be matched: .*b\.jsonl"):
        compare(one, other)


def test_runs_that_have_not_ended_are_compared_on_dev_alone(tmp_path: Path) -> None:
    one, other = (made(tmp_path, name, [1, 0, 1], fingerprint="f") for name in "ab")
    found = compare(one, other)
    assert [difference.split for difference in found.differences] == ["dev"]
    assert found.runs[0].test is None
    assert found.runs[0].optimism is None


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = made(tmp_path, "a", [1, 0], fingerprint="f")
    for runs in ((), (run,), (run, run.path)):
        with pytest.raises(ConfigError, match="two or more different runs"):
            compare(*runs)
    empty = RunFolder.create(run.settings, base=tmp_path, title="e", fingerprint="f")
    with pytest.raises(EvoError, match="has scored no prompt yet"):
        compare(run, empty.path)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_keep_their_order_and_never_fall(p_values: list[float]) -> None:
    found = _adjusted([Difference(0, 1, "test", 0.0, 0.0, 0.0, 9, p, p) for p in p_values])
    assert all(one.p_value <= one.adjusted_p <= 1 for one in found)
    assert min(one.adjusted_p for one in found) == pytest.approx(min(1.0, len(p_values) * min(p_values)))
    by_p = sorted(found, key=lambda one: one.p_value)
    assert [one.adjusted_p for one in by_p] == sorted(one.adjusted_p for one in by_p)


def test_the_command_says_it_to_people_and_to_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = {number: float(number % 3 == 0) for number in range(12)}
    runs = [made(tmp_path, name, [1, 0], test, fingerprint="f", seed=at) for at, name in enumerate("abc")]
    paths = [str(run.path) for run in runs]
    assert main(["compare", *paths, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in document["runs"]] == paths
    assert {(one["first"], one["second"]) for one in document["differences"]} == {(0, 1), (0, 2), (1, 2)}
    assert document["differences"][0]["significant"] is False
    assert document["settings"]["seed"] == [0, 1, 2]
    assert main(["compare", *paths]) == 0
    out = capsys.readouterr().out
    assert "run 3 minus run 2: +0.0 points" in out
    assert "on 12 rows, p = 1: no significant difference" in out
    assert "adjusted for the number of differences" in out
    assert main(["compare", paths[0]]) == 2
    assert "two or more" in capsys.readouterr().err
