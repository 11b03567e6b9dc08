"""Where the time of a run went: by a log written by hand, and of whole runs in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from records import born, write

import evo.schema
from evo import evolve, resume
from evo.cli import main
from evo.folder import RunFolder
from evo.model import Completion
from evo.processes import process_name, process_row
from evo.profile import FILE, profile_of, read_profile
from evo.receipts import Receipt
from evo.schema import CLOCK, PROCESS, RACE, ROOT_ISLAND, STARTED, STOPPED, TEST, call_row, event_row
from evo.settings import RunSettings
from fitness.toy import toy_rows

SECRET = "Never show this prompt."


@pytest.fixture
def folder(tmp_path) -> Path:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "concurrency": 2, "storage": str(tmp_path)})
    return RunFolder.create(settings, base=Path("."), title="t", fingerprint="f").path


def event(at: float, island: int, kind: str, individual: int | None = None, detail: str = "") -> dict:
    return {**event_row(island, kind, individual, detail), "at": int(at * 1e6)}


def call(key: str, purpose: str, at: float, took: float | None, individual: int = 1, **more: object) -> dict:
    answer = None if took is None else Completion("a", 1, 1, latency_s=took)
    return call_row(Receipt(key, "m", purpose, individual, at, answer, "" if answer else "down", **more))


def by_name(found: dict) -> dict[str, float]:
    return {phase["phase"]: phase["seconds"] for phase in found["phases"]}


def lived(folder: Path) -> Path:
    said = {"role": "worker", "process": "a:1", "cpu_s": 2.0, "models_s": 0.5}
    log = {"role": "log", "process": "a:2", "cpu_s": 1.0, "log_s": 0.4}
    island = {"role": "islands", "process": "a:3"}
    return write(
        folder,
        [born(0, SECRET), born(1, SECRET + "!", [1, 1], (0, "base"), generation=1)],
        calls=[
            call("a", "task", 12, 2, 0),
            call("b", "task", 12, 2, 0),
            call("c", "operator", 15, 1),
            call("d", "task", 16, 2, attempts=3),
            call("e", "judge", 16, None),
            call("f", "task", 20, 1, 0),
            call("g", "task", 22, 3, 1),
            {**call("h", "task", 24, 60, 1, attempts=4), "recalled": True},
        ],
        events=[
            event(11, ROOT_ISLAND, STARTED),
            event(11.5, 0, "asked", 0),
            event(14.5, 0, "told", 0),
            event(14.5, 0, "asked", 1),
            event(18.5, 0, "told", 1),
            event(18.5, 0, "asked", 77),  # evidence on somebody born
            event(18.9, 0, "told", 77),
            event(19, ROOT_ISLAND, RACE),
            event(21, ROOT_ISLAND, TEST),
            event(26, ROOT_ISLAND, PROCESS, None, json.dumps(said)),
            event(26, ROOT_ISLAND, PROCESS, None, json.dumps(log)),
            event(26, ROOT_ISLAND, PROCESS, None, json.dumps({**island, "cpu_s": 1.0})),
            event(26, ROOT_ISLAND, PROCESS, None, json.dumps({**island, "cpu_s": 1.5})),
            event(26, ROOT_ISLAND, CLOCK, None, "15.0"),
            event(26, ROOT_ISLAND, STOPPED),
        ],
    )


def test_the_log_alone_says_how_long_each_phase_took(folder):
    found = profile_of(lived(folder))
    assert by_name(found) == pytest.approx(
        {
            "executor": 0,
            "workers and models": 1,
            "founding": 2.5,
            "search": 4.5,
            "final race": 2,
            "final test": 4,
            "closing": 1,
        }
    )
    assert found["wall_s"] == pytest.approx(15)
    assert found["births"] == {"births": 2, "mean_s": pytest.approx(3.5), "calling": pytest.approx(5 / 7)}
    assert found["pace"] is None


def test_calls_are_counted_by_purpose_with_those_that_failed(folder):
    found = {row["purpose"]: row for row in profile_of(lived(folder))["calls"]}
    assert (found["task"]["sent"], found["task"]["again"], found["task"]["p50_s"]) == (5, 2, 2)
    assert (found["judge"]["failed"], found["judge"]["p50_s"]) == (1, None)


def test_a_process_that_says_twice_what_it_took_counts_once(folder):
    driver = {"began_at": 9.0, "ended_at": 27.0, "cpu_s": 3.0, "process": "a:9", "waiting": 0.25, "paused": 0.0}
    found = profile_of(lived(folder), driver)
    assert found["processes"] == [
        {"role": "driver", "processes": 1, "cpu_s": 3.0},
        {"role": "islands", "processes": 1, "cpu_s": 1.5},
        {"role": "log", "processes": 1, "cpu_s": 1.0},
        {"role": "worker", "processes": 1, "cpu_s": 2.0},
    ]
    assert found["cpu_ms_a_call"] == pytest.approx(1000 * 7.5 / 9)
    assert (by_name(found)["executor"], by_name(found)["closing"], found["wall_s"]) == pytest.approx((2, 2, 18))
    assert found["log"] == pytest.approx({"seconds": 0.4, "share": 0.4 / 15})
    assert (found["models_s"], found["pace"]) == (0.5, {"waiting": 0.25, "paused": 0.0})


def test_a_run_that_is_still_searching_has_no_final_test(folder, monkeypatch):
    monkeypatch.setattr(evo.schema, "now_us", lambda: 8_000_000)  # of the clock that the journal adds
    write(folder, [], events=[event(5, ROOT_ISLAND, STARTED)], calls=[call("a", "task", 6, 2)])
    assert by_name(profile_of(folder)) == pytest.approx(
        {
            "executor": 0,
            "workers and models": 1,
            "founding": 2,
            "search": 0,
            "final race": 0,
            "final test": 0,
            "closing": 0,
        }
    )


def test_a_run_without_a_call_has_a_profile(folder):
    write(folder, [], events=[event(5, ROOT_ISLAND, STARTED), event(7, ROOT_ISLAND, STOPPED)])
    found = profile_of(folder)
    assert (found["wall_s"], found["calls"], found["cpu_ms_a_call"]) == (2, [], None)


def go(storage: Path, **more: object):
    rows = toy_rows(24)
    data = {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}
    settings = {"model": "fake/toy", "executor": "inline", "budget": {"calls": 240}, "prompts": [SECRET, "Judge."]}
    return evolve({"data": data, "scorer": "choice"}, storage=str(storage), **settings, **more)


def test_a_profiled_run_writes_its_profile_and_shows_it_again(tmp_path, capsys):
    run = go(tmp_path, profile=True)
    written = json.loads((run.path / FILE).read_text())
    assert run.profile == written
    assert [one["role"] for one in written["processes"]] == ["driver"]
    assert sum(by_name(written).values()) == pytest.approx(written["wall_s"])
    assert written["log"]["seconds"] > 0
    assert main(["show", str(run.path), "--profile"]) == 0
    shown = capsys.readouterr().out
    assert "final test" in shown
    assert SECRET not in shown + (run.path / FILE).read_text()
    assert main(["show", str(run.path), "--profile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["phases"] == written["phases"]


def test_a_run_without_a_profile_says_nothing_of_its_processes(tmp_path):
    run = go(tmp_path)
    assert PROCESS not in run.events()["kind"].to_pylist()
    assert not (run.path / FILE).exists()
    assert run.profile["processes"] == []
    assert by_name(run.profile)["final test"] > 0


def test_the_profile_of_an_earlier_attempt_is_not_taken_for_that_of_the_latest(tmp_path):
    run = go(tmp_path, profile=True)
    again = resume(run, budget={"calls": 300}, profile=False)
    assert json.loads((run.path / FILE).read_text())["attempt"] == 0
    assert (again.profile["attempt"], again.profile["pace"]) == (1, None)
    assert read_profile(resume(run, budget={"calls": 360}, profile=True).path)["attempt"] == 2


def test_events_are_printed_a_line_of_json_each(tmp_path, capsys):
    run = go(tmp_path)
    assert main(["show", str(run.path), "--events"]) == 0
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == run.events()["kind"].to_pylist()
    assert [kind for kind in kinds if kind in (STARTED, RACE, TEST, STOPPED)] == [STARTED, RACE, TEST, STOPPED]
    assert main(["show", str(run.path), "--events", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["events"]) == len(kinds)


def test_a_process_says_who_it_is_and_what_it_took():
    detail = json.loads(process_row("worker", models_s=1.0)["detail"])
    assert (detail["role"], detail["process"], detail["models_s"]) == ("worker", process_name(), 1.0)
    assert detail["cpu_s"] > 0
