"""Every method that breeds, beside a steady-state island: whole small runs, a fake model, and migrants both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_conformance import CHOOSING, METHODS

from evo import Run, evolve
from evo.engine import reopen
from evo.history import history_of
from evo.life import relive
from evo.model import MIGRATION, Individual, island_of
from fitness.toy import toy_rows

ROWS = toy_rows(24, 5)
TASK = {"data": {"train": ROWS[:8], "dev": ROWS[8:18], "test": ROWS[18:]}, "scorer": "choice"}
SEEDS = [
    "Sort it, as you like, or not.",
    "What is the mood, by the way?",
    "Is it good, or bad?",
    "Read, and then decide.",
]
NEIGHBOUR = {"name": "steady-state", "population": 4}
"""Of few members: what it sends is soon more than the seed prompts, which live on the other island too."""
BIRTHS = 80
"""Of both islands together."""
SMALL: dict[str, dict[str, Any]] = {
    "ape": {"num_subsamples": 1, "num_prompts_per_subsample": 4, "resample_rounds": 12, "resample_top": 0.5},
    "evoprompt-ga": {"population": 4, "generations": None},
    "evoprompt-de": {"population": 4, "generations": None},
    "gps": {"top_k": 4, "generations": None, "children": 2},
    "grips": {"iterations": None, "restart": "seeds"},
    "promptbreeder": {"population": 4, "batch": 4, "generations": None},
    "protegi": {
        "rounds": None,
        "beam_size": 3,
        "n_gradients": 1,
        "mc_samples_per_step": 1,
        "max_expansion_factor": 3,
        "eval_rounds": 3,
        "eval_prompts_per_round": 4,
        "samples_per_eval": 4,
    },
}
"""Arguments with which a method is past its beginning, and not at its end, within its births."""


@pytest.fixture(scope="module", params=sorted(METHODS.keys() - CHOOSING))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    method = {"name": request.param, **SMALL.get(request.param, {})}
    return evolve(
        TASK,
        prompts=SEEDS,
        model="fake/toy",
        islands=[{"method": method}, {"method": NEIGHBOUR}],
        migration={"every": 4, "count": 2},
        budget={"births": BIRTHS},
        executor="inline",
        storage=str(tmp_path_factory.mktemp(request.param)),
        seed=4,
    )


def living(run: Run, island: int) -> list[Individual]:
    """Return who lives on an island at the end, by its log."""
    ground = reopen(Path(run.path)).ground(island)
    return list(ground.method.living(relive(ground, history_of(run.path, island)).state))


def test_both_islands_end_with_living_members(run: Run) -> None:
    assert run.status == "done"
    for island in (0, 1):
        members = living(run, island)
        assert members
        assert all(island_of(member.number) == island for member in members)


def test_migrants_live_and_breed_among_the_members_of_any_method(run: Run) -> None:
    arrived = {row["copy"] for row in run.migrations().to_pylist() if row["to_island"] == 0 and row["accepted"]}
    assert arrived
    bred = {edge["parent"] for edge in run.edges().to_pylist() if edge["role"] != "migrant_of"}
    assert arrived & (bred | {member.number for member in living(run, 0)})


def test_every_parent_is_known_and_older(run: Run) -> None:
    born = {row["id"]: row for row in run.individuals().to_pylist()}
    edges = run.edges().to_pylist()
    assert edges
    assert all(born[edge["parent"]]["generation"] <= born[edge["child"]]["generation"] for edge in edges)
    for edge in edges:
        migrated = born[edge["child"]]["operator"] == MIGRATION
        assert (island_of(edge["parent"]) != island_of(edge["child"])) is migrated
