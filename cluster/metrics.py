"""A run's figures for Prometheus, through Ray's metrics: what the display shows, tagged by the run.

Ray exports them at each node's metrics port, with ``ray_`` before their names and ``_total`` after those that only
grow, where ``ray[default]`` is installed: the extra ``cluster``. Where it is not there are none, and nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from evo.commission import Watch
from evo.status import Snapshot

PACE_S = 1.0
"""How often figures are given to Ray, which exports them every few seconds."""


def metered(run: str, watch: Watch) -> Watch:
    """Return a watch that shows snapshots to ``watch`` and to Prometheus, where Ray can. Ray must be initialised."""
    if find_spec("prometheus_client") is None or find_spec("opencensus") is None:
        return watch
    metrics = RunMetrics(run)

    def show(snapshot: Snapshot) -> None:
        metrics.show(snapshot)
        watch(snapshot)

    return show


class RunMetrics:
    """The metrics of one run."""

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Counter, Gauge

        self._run, self._shown_at = run, 0.0
        self._given: dict[tuple[str, tuple[str, ...]], float] = {}
        by_purpose, by_island = ("run", "purpose"), ("run", "island")
        self._metrics: dict[str, Any] = {
            "calls": Counter("evo_calls", "Model calls sent, every attempt.", by_purpose),
            "tokens": Counter("evo_tokens", "Tokens of answers; kind is prompt or output.", (*by_purpose, "kind")),
            "cost": Counter("evo_cost_usd", "US dollars for answers whose price is known.", by_purpose),
            "in_flight": Gauge("evo_calls_in_flight", "Model calls under way.", ("run",)),
            "waiting": Gauge("evo_calls_waiting", "Calls that wait for a model's pace.", ("run",)),
            "failed": Counter("evo_calls_failed", "Calls that were given up.", ("run",)),
            "births": Counter("evo_births", "Births told to the method.", by_island),
            "best": Gauge("evo_best_fitness", "Dev fitness of the best so far, in [0, 1].", by_island),
        }

    def show(self, snapshot: Snapshot) -> None:
        """Give a snapshot's figures to Ray, unless others were given a moment ago; the last of a run in any case."""
        now = time.monotonic()
        if now - self._shown_at < PACE_S and snapshot.in_flight:
            return
        self._shown_at = now
        self._set("in_flight", snapshot.in_flight)
        self._set("waiting", snapshot.waiting)
        self._grow("failed", snapshot.failed)
        for traffic in snapshot.traffic:
            self._grow("calls", traffic.calls, purpose=traffic.purpose)
            self._grow("cost", traffic.usd, purpose=traffic.purpose)
            self._grow("tokens", traffic.prompt_tokens, purpose=traffic.purpose, kind="prompt")
            self._grow("tokens", traffic.output_tokens, purpose=traffic.purpose, kind="output")
        for island in snapshot.islands:
            self._grow("births", island.births, island=str(island.island))
            if island.best is not None:
                self._set("best", island.best, island=str(island.island))

    def _set(self, name: str, value: float, **tags: str) -> None:
        self._metrics[name].set(value, self._tags(tags))

    def _grow(self, name: str, total: float, **tags: str) -> None:
        """Add what a count has grown by since it was given last: a counter takes no totals."""
        key = name, tuple(tags.values())
        more = total - self._given.get(key, 0.0)
        if more > 0:
            self._metrics[name].inc(more, self._tags(tags))
            self._given[key] = total

    def _tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        return {"run": self._run, **tags}
