from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.migration import emigrants, is_time
from cluster.topology import NAMES, topology
from evo.errors import ConfigError
from evo.model import FAILED, Evaluation, Individual, Outcome, Prompt

ISLANDS = st.integers(1, 300)
FAST = settings(max_examples=64, deadline=None)


def graph(name: str, islands: int, seed: int = 0) -> nx.DiGraph:
    return topology(name, islands, np.random.default_rng(seed))


@FAST
@given(name=st.sampled_from(NAMES), islands=ISLANDS, seed=st.integers(0, 9))
def test_every_island_is_there_nobody_meets_itself_and_the_seed_decides(name, islands, seed):
    found = graph(name, islands, seed)
    assert list(found) == list(range(islands))
    assert nx.number_of_selfloops(found) == 0
    assert nx.utils.graphs_equal(found, graph(name, islands, seed))


@FAST
@given(islands=st.integers(2, 300))
def test_a_ring_is_one_cycle(islands):
    ring = graph("ring", islands)
    assert set(dict(ring.in_degree()).values()) == set(dict(ring.out_degree()).values()) == {1}
    assert nx.is_strongly_connected(ring)


@FAST
@given(islands=ISLANDS)
def test_a_torus_is_a_grid_with_four_neighbours_as_square_as_can_be(islands):
    torus = graph("torus", islands)
    rows = max(d for d in range(1, math.isqrt(islands) + 1) if islands % d == 0)
    # a side of two meets the same neighbour both ways, a side of one only itself
    expected = sum(min(side - 1, 2) for side in (rows, islands // rows))
    assert set(dict(torus.in_degree()).values()) == {expected}
    assert all(torus.has_edge(v, u) for u, v in torus.edges)
    assert nx.is_strongly_connected(torus)


@FAST
@given(islands=ISLANDS)
def test_star_complete_and_isolated(islands):
    star = graph("star", islands)
    assert set(star.edges) == {(0, i) for i in range(1, islands)} | {(i, 0) for i in range(1, islands)}
    assert graph("complete", islands).number_of_edges() == islands * (islands - 1)
    assert graph("isolated", islands).number_of_edges() == 0


@FAST
@given(islands=ISLANDS, seed=st.integers(0, 99))
def test_at_random_each_island_has_two_sources_or_all_there_are(islands, seed):
    assert set(dict(graph("random", islands, seed).in_degree()).values()) == {min(2, islands - 1)}


@FAST
@given(name=st.sampled_from(sorted({*NAMES} - {"isolated"})), islands=ISLANDS, seed=st.integers(0, 99))
def test_what_one_island_finds_can_reach_every_other(name, islands, seed):
    assert nx.is_strongly_connected(graph(name, islands, seed))


def test_another_seed_makes_another_random_graph():
    assert len({tuple(graph("random", 30, seed).edges) for seed in range(5)}) == 5


def test_an_unknown_topology_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="unknown topology 'rings'; expected one of ring, torus"):
        graph("rings", 3)


def one(number: int, fitness: float | None) -> Individual:
    outcomes = () if fitness is None else (Outcome(0, fitness),)
    status = FAILED if fitness is None else "ok"
    return Individual(number, Prompt.of(f"p{number}"), "seed", evaluation=Evaluation(outcomes), status=status)


POPULATIONS = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])), max_size=12).map(
    lambda scores: [one(number, score) for number, score in enumerate(scores)]
)


@FAST
@given(living=POPULATIONS, count=st.integers(1, 15), seed=st.integers(0, 999), turned=st.booleans())
def test_emigrants_are_distinct_scored_members_whatever_order_they_stand_in(living, count, seed, turned):
    chosen = emigrants(living, count, np.random.default_rng(seed))
    scored = [member for member in living if member.ok]
    assert len(set(chosen)) == len(chosen) == min(count, len(scored))
    assert set(chosen) <= set(scored)
    assert chosen == emigrants(living[::-1] if turned else living, count, np.random.default_rng(seed))


def test_the_worst_member_goes_only_when_all_go_and_the_best_goes_often():
    living = [one(number, number / 10) for number in range(10)]
    gone = [emigrants(living, 1, np.random.default_rng(seed))[0].number for seed in range(400)]
    assert 0 not in gone
    assert gone.count(9) / 400 == pytest.approx(0.2, abs=0.06)  # in 9 + 8 + ... pairs of 45, the best is in 9
    assert len(emigrants(living, 10, np.random.default_rng(0))) == 10


def test_it_is_time_every_so_many_births():
    assert [told for told in range(13) if is_time(told, 4)] == [4, 8, 12]
