"""What is given to Ray's metrics, which are replaced here; that Prometheus can read them is seen in tests/real."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest

import cluster.metrics as module
from cluster.metrics import RunMetrics, metered
from evo import evolve
from evo.budget import Usage
from evo.status import IslandStatus, Snapshot, Traffic
from fitness.toy import toy_rows

SNAPSHOT = Snapshot(
    phase="search",
    elapsed_s=1.0,
    left_s=None,
    spent=Usage(5, 60, 0.5),
    in_flight=3,
    recalled=0,
    shared=0,
    failed=1,
    islands=(IslandStatus(0, births=2, best=0.5), IslandStatus(1)),
    waiting=4,
    traffic=(Traffic("operator", 1, 10, 5, 0.25), Traffic("task", 4, 40, 5, 0.0)),
)


class Given:
    """Stands for a metric of Ray's: what each set of tags adds up to, or was set to last."""

    all: ClassVar[dict[str, dict[tuple[tuple[str, str], ...], float]]] = {}

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.series, self.keys = Given.all.setdefault(name, {}), set(tag_keys)

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert value > 0, "Ray refuses it"
        self.set(self.series.get(tuple(tags.items()), 0.0) + value, tags)

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert set(tags) == self.keys
        self.series[tuple(tags.items())] = value


@pytest.fixture
def given(monkeypatch) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    monkeypatch.setattr(Given, "all", {})
    metrics = SimpleNamespace(Counter=Given, Gauge=Given)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(util=SimpleNamespace(metrics=metrics)))
    monkeypatch.setitem(sys.modules, "ray.util", SimpleNamespace(metrics=metrics))
    monkeypatch.setitem(sys.modules, "ray.util.metrics", metrics)
    monkeypatch.setattr(module, "PACE_S", 0.0)
    return Given.all


def value(given, name: str, **tags: str) -> float | None:
    return given[name].get((("run", "a run"), *tags.items()))


def test_a_snapshot_is_given_by_run_island_and_purpose(given):
    RunMetrics("a run").show(SNAPSHOT)
    assert value(given, "evo_calls", purpose="task") == 4
    assert value(given, "evo_tokens", purpose="operator", kind="output") == 5
    assert value(given, "evo_cost_usd", purpose="operator") == 0.25
    assert value(given, "evo_cost_usd", purpose="task") is None
    assert (value(given, "evo_calls_in_flight"), value(given, "evo_calls_waiting")) == (3, 4)
    assert value(given, "evo_calls_failed") == 1
    assert value(given, "evo_births", island="0") == 2
    assert (value(given, "evo_best_fitness", island="0"), value(given, "evo_best_fitness", island="1")) == (0.5, None)


def test_counts_grow_to_the_latest_totals(given):
    metrics = RunMetrics("a run")
    for calls in (4, 4, 9):
        metrics.show(replace(SNAPSHOT, traffic=(Traffic("task", calls, 10 * calls),)))
    assert value(given, "evo_calls", purpose="task") == 9
    assert value(given, "evo_tokens", purpose="task", kind="prompt") == 90


def test_figures_are_given_about_once_a_second(given, monkeypatch):
    monkeypatch.setattr(module, "PACE_S", 60.0)
    metrics = RunMetrics("a run")
    for in_flight in (3, 7):
        metrics.show(replace(SNAPSHOT, in_flight=in_flight))
    assert value(given, "evo_calls_in_flight") == 3
    metrics.show(replace(SNAPSHOT, in_flight=0))
    assert value(given, "evo_calls_in_flight") == 0, "the last of a run is given whenever it comes"


@pytest.mark.parametrize(("installed", "series"), [(True, 8), (False, 0)])
def test_the_display_is_shown_everything_with_or_without_the_extra(installed, series, given, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: object() if installed else None)
    shown: list[Snapshot] = []
    metered("a run", shown.append)(SNAPSHOT)
    assert shown == [SNAPSHOT]
    assert len(given) == series


def test_the_traffic_of_a_snapshot_adds_up_to_what_was_spent(tmp_path):
    shown: list[Snapshot] = []
    rows = toy_rows(24)
    run = evolve(
        {"data": {"dev": rows[:12], "test": rows[12:]}, "scorer": "choice"},
        model="fake/toy",
        prompts=["Judge.", "Say positive or negative."],
        executor="inline",
        storage=str(tmp_path),
        budget={"calls": 200},
        watch=shown.append,
    )
    last = shown[-1].traffic
    assert [traffic.purpose for traffic in last] == ["operator", "task"]
    assert sum(traffic.calls for traffic in last) == run.spent.calls
    assert sum(traffic.prompt_tokens + traffic.output_tokens for traffic in last) == run.spent.tokens
