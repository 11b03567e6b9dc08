"""What holds in every run, whatever its islands, methods, topology and budget: read from the log of drawn runs."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cluster.topology import NAMES, topology
from evo import Individual, Run, evolve, resume
from evo.engine import reopen
from evo.history import history_of
from evo.life import relive
from evo.model import MIGRATION, island_of
from evo.randomness import child_rng
from evo.replay import read_individuals
from evo.schema import FINAL_STEP
from fitness.toy import toy_rows

CAP = 4
"""Members every method may have."""
METHODS: list[dict[str, Any]] = [
    {"name": "steady-state", "in_flight": 3},
    {"name": "evoprompt-ga", "generations": None, "parents": "tournament"},
    {"name": "evoprompt-ga", "generations": 2, "update": "std"},
    {"name": "evoprompt-de", "generations": None, "current_best": "live"},
    {"name": "reflect-pareto", "in_flight": 3},
    {"name": "promptbreeder", "generations": None, "batch": 4, "contexts": 2, "workings": 2},
    {"name": "promptbreeder", "generations": 3, "batch": 3, "form": "steady-state", "operators": "nine_uniform"},
    {"name": "capo", "block_size": 3, "upper_shots": 2},
    {
        "name": "opro",
        "num_generated_instructions_in_each_step": 3,
        "few_shot_selection_criteria": "current_most_frequent",
    },
    {"name": "ape", "num_subsamples": 2, "num_prompts_per_subsample": 4, "subset": 3, "resample_rounds": 3},
    {"name": "grips", "iterations": None, "restart": "seeds"},
    {"name": "grips", "iterations": None, "mode": "beam", "num_candidates": 2, "substitute": "model"},
    {"name": "gps", "generations": 3, "sample": 5, "operators": {"continuation": 1.0, "cloze": 1.0}},
]
CAP_NAME = {"ape": "finalists", "gps": "top_k", "grips": "beam", "opro": "max_num_instructions"}
RACING: list[dict[str, Any]] = [
    {"name": "full"},
    {"name": "subset", "n": 5},
    {"name": "gate", "stages": [3, 8]},
    {"name": "lazy", "n0": 4, "block": 2},
    {"name": "fresh", "n": 3},
    {"name": "halving", "rungs": [2, 4, 8]},
]
ROWS = toy_rows(20)


@dataclass(frozen=True)
class World:
    """A run's settings, and how many more calls or births it is resumed with."""

    arguments: dict[str, Any]
    more: int

    @property
    def islands(self) -> int:
        return len(self.arguments["islands"])

    @property
    def graph(self) -> nx.DiGraph:
        return topology(self.arguments["topology"], self.islands, child_rng(self.arguments["seed"], "topology"))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    methods = draw(st.lists(st.sampled_from(METHODS), min_size=2, max_size=5))
    budget = draw(
        st.one_of(
            st.fixed_dictionaries({"calls": st.integers(150, 350)}),
            st.fixed_dictionaries({"births": st.integers(15, 40)}),
        )
    )
    arguments = {
        "islands": [{"method": {**method, CAP_NAME.get(method["name"], "population"): CAP}} for method in methods],
        "topology": draw(st.sampled_from(NAMES)),
        "migration": {"every": draw(st.integers(1, 4)), "count": draw(st.integers(1, 3))},
        "budget": budget,
        "racing": draw(st.sampled_from(RACING)),
        "concurrency": draw(st.sampled_from([1, 5, 32])),
        "model": {"name": "fake/toy", "options": {"garble": draw(st.sampled_from([0.0, 0.4]))}},
        "seed": draw(st.integers(0, 10_000)),
    }
    return World(arguments, draw(st.sampled_from([0, 0, 30])))


def sail(world: World, storage: str) -> Run:
    prompts = [
        "Judge the review.",
        "Say positive or negative.",
        "What is the tone?",
        "Read and decide.",
        "Which is it?",
    ]
    task = {"data": {"train": ROWS[:4], "dev": ROWS[4:12], "test": ROWS[12:]}, "scorer": "choice"}
    run = evolve(task, prompts=prompts, executor="inline", storage=storage, **world.arguments)
    ((cap, size),) = world.arguments["budget"].items()
    return resume(run, budget={cap: size + world.more}) if world.more else run


@dataclass(frozen=True)
class Watched:
    """A method that remembers how many lived after each telling."""

    method: Any
    sizes: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def tell(self, state: Any, individual: Individual) -> Any:
        after = self.method.tell(state, individual)
        self.sizes.append(len(self.method.living(after)))
        return after


def check_numbers_and_steps(run: Run, born: dict[int, Individual]) -> None:
    """A number is asked for once, then told once: a birth's or that of evidence. Nobody asks for a migrant's."""
    assert len(born) == run.individuals().num_rows
    events = [row for row in run.events().to_pylist() if row["kind"] in ("asked", "told")]
    assert all(row["island"] == island_of(row["individual"]) for row in events)
    assert max(Counter((row["kind"], row["individual"]) for row in events).values()) == 1
    place = {(row["kind"], row["individual"]): place for place, row in enumerate(events)}
    told, asked = ({number for kind, number in place if kind == wanted} for wanted in ("told", "asked"))
    assert told == set(born) | {row["step"] for row in run.measurements().to_pylist()} - {FINAL_STEP}
    assert told - asked == {number for number, one in born.items() if one.operator == MIGRATION}
    assert all(place["asked", number] < place["told", number] for number in told & asked)


def check_descent(born: dict[int, Individual]) -> None:
    """Parents are known, live where the child does, and the oldest is one generation before it."""
    for one in born.values():
        parents = [born[number] for number, _ in one.parents]
        if one.operator != MIGRATION:
            assert {parent.island for parent in parents} <= {one.island}
            assert one.generation == 1 + max((parent.generation for parent in parents), default=-1)
            assert all(parent.number < one.number for parent in parents)
            assert "migrant_of" not in {role for _, role in one.parents}


def check_migrants(run: Run, born: dict[int, Individual], graph: nx.DiGraph) -> int:
    """A migrant is its original on another island, one edge of the topology away; return how many there are."""
    told = [led_to for island in graph for _, _, led_to in history_of(run.path, island)]
    copies = {one.number: one for one in told if isinstance(one, Individual) and one.operator == MIGRATION}
    for copy in copies.values():
        ((source, role),) = copy.parents
        assert role == "migrant_of"
        assert graph.has_edge(island_of(source), copy.island)
        original = born[source]
        assert (copy.prompt.shown, copy.generation) == (original.prompt.shown, original.generation)
        assert set(copy.prompt.parts) <= set(original.prompt.parts), "it may leave genes behind"
        assert copy.evaluation.scores.items() <= original.evaluation.scores.items(), "the original may have more by now"
    offers = run.migrations().to_pylist()
    taken = {
        row["copy"]: (row["individual"], row["from_island"], row["to_island"]) for row in offers if row["accepted"]
    }
    assert taken == {n: (c.parents[0][0], island_of(c.parents[0][0]), c.island) for n, c in copies.items()}
    assert all(graph.has_edge(row["from_island"], row["to_island"]) for row in offers)
    return len(copies)


def check_populations(run: Run, islands: int) -> Counter[int]:
    """No island ever has more members than its cap; return how often it had how many."""
    order, sizes = reopen(run.path), Counter()
    for island in range(islands):
        ground = order.ground(island)
        watched = Watched(ground.method)
        relive(replace(ground, method=watched), history_of(run.path, island))
        sizes.update(watched.sizes)
    assert max(sizes) <= CAP
    return sizes


def test_the_log_of_every_run_is_consistent() -> None:
    met: Counter[str] = Counter()

    # not shrunk: that takes minutes of runs, and where the order of events matters it ends elsewhere
    @settings(max_examples=8, deadline=None, phases=(Phase.reuse, Phase.generate), print_blob=True)
    @given(world=worlds())
    def holds(world: World) -> None:
        with tempfile.TemporaryDirectory() as storage:
            run = sail(world, storage)
            born = {one.number: one for one in read_individuals(run.path)}
            check_numbers_and_steps(run, born)
            check_descent(born)
            met["migrants"] += check_migrants(run, born, world.graph)
            met["full"] += check_populations(run, world.islands)[CAP]
            met["children"] += sum(len(one.parents) > 1 for one in born.values())

    holds()
    assert min(met["migrants"], met["full"], met["children"]) > 0, f"half of this was not tested: {met}"
