from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import born, write

import evo.pedigree as module
from evo.ancestry import Ancestry
from evo.errors import EvoError
from evo.lineage import Lineage
from evo.model import FAILED, Individual, Prompt, individual_number
from evo.replay import read_individuals


@st.composite
def dags(draw) -> dict[int, list[int]]:
    """Return parents by child: numbers grow along every edge, as births do; ids come from several islands."""
    count = draw(st.integers(1, 25))
    islands = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    ids = [individual_number(island, place) for place, island in enumerate(islands)]
    return {
        child: draw(st.lists(st.sampled_from(ids[:place]), max_size=4)) if place else []
        for place, child in enumerate(ids)
    }


def ancestry_of(parents: dict[int, list[int]]) -> Ancestry:
    with tempfile.TemporaryDirectory() as folder:
        edges = {number: [(parent, "mate") for parent in some] for number, some in parents.items()}
        return Ancestry(write(Path(folder), [born(number, "", [], *edges[number]) for number in parents]))


@settings(max_examples=30)
@given(parents=dags())
def test_relations_agree_with_networkx(parents):
    ancestry = ancestry_of(parents)
    graph = nx.DiGraph([(parent, child) for child, some in parents.items() for parent in some])
    graph.add_nodes_from(parents)
    for number in parents:
        assert set(ancestry.ancestors(number).tolist()) == nx.ancestors(graph, number)
        assert set(ancestry.descendants(number).tolist()) == nx.descendants(graph, number)
        assert ancestry.parents([number]).tolist() == sorted(set(parents[number]))
        assert ancestry.children([number]).tolist() == sorted(graph.successors(number))
    everyone = np.array(list(parents))
    assert ancestry.parents(everyone).tolist() == sorted({parent for some in parents.values() for parent in some})


@settings(max_examples=30)
@given(parents=dags(), data=st.data())
def test_a_common_ancestor_is_the_youngest_of_those_shared(parents, data):
    ancestry, age = ancestry_of(parents), list(parents)
    one, other = (data.draw(st.sampled_from(age)) for _ in range(2))
    shared = {one, *ancestry.ancestors(one)} & {other, *ancestry.ancestors(other)}
    assert ancestry.common_ancestor(one, other) == (max(shared, key=age.index) if shared else None)


@pytest.mark.parametrize("far", [individual_number(0, 2**39), individual_number(2**20, 0), individual_number(3, 9)])
def test_numbers_are_found_whatever_their_gaps(tmp_path, far):
    path = write(tmp_path, [born(7), born(far, "", [], (7, "base")), born(2, "", [], (far, "base"), (99, "mate"))])
    ancestry = Ancestry(path)
    assert ancestry.ancestors(2).tolist() == sorted([7, far]), "a parent that the log has lost is left out"
    assert ancestry.places([7, far, 2, 99, -1, 2**62, far + 1, 8]).tolist() == [0, 1, 2, -1, -1, -1, -1, -1]


@settings(max_examples=12, deadline=None)
@given(parents=dags(), data=st.data())
def test_the_line_is_a_path_of_fittest_parents_from_a_founder(parents, data):
    with tempfile.TemporaryDirectory() as folder:
        fitness = {number: data.draw(st.sampled_from([0.0, 0.5, 1.0])) for number in parents}
        roles = {number: [(parent, "base") for parent in dict.fromkeys(some)] for number, some in parents.items()}
        path = write(Path(folder), [born(n, "", [fitness[n]], *roles[n], generation=p) for p, n in enumerate(parents)])
        last = list(parents)[-1]
        lineage = Lineage(path, Ancestry(path), last)
        line = [one.number for one in lineage.line()]
        assert line[-1] == last
        assert not parents[line[0]]
        for parent, child in pairwise(line):
            assert parent in parents[child]
            assert fitness[parent] == max(fitness[other] for other in parents[child])
        assert {one.number for one in lineage.individuals()} == {last, *lineage.ancestors}
        graph = lineage.to_networkx()
        assert nx.is_directed_acyclic_graph(graph)
        assert graph.number_of_edges() == sum(len(roles[number]) for number in graph)


def test_a_graph_carries_roles_texts_and_failed_parents(tmp_path):
    failed = Individual(1, Prompt(()), "cloze", status=FAILED, note="no tag")
    child = born(2, "child", [1.0, None], (0, "base"), (0, "mate"), (1, "mate"), generation=1)
    path = write(tmp_path, [born(0), failed, child])
    graph = Lineage(path, Ancestry(path), 2).to_networkx()
    assert sorted(role for *_, role in graph.edges(data="role")) == ["base", "mate", "mate"]
    assert graph.nodes[1] == {"operator": "cloze", "generation": 0, "island": 0, "fitness": None, "text": ""}
    assert graph.nodes[2]["fitness"] == 1.0
    assert [one.number for one in Lineage(path, Ancestry(path), 2).line()] == [0, 2]


def test_a_lineage_too_large_for_networkx_is_refused_with_the_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GRAPH_LIMIT", 2)
    path = write(tmp_path, [born(0), born(1, "", [1], (0, "base")), born(2, "", [1], (1, "base"))])
    with pytest.raises(EvoError, match=r"has 3 individuals, .* takes 2; work on `ancestors`"):
        Lineage(path, Ancestry(path), 2).to_networkx()


def test_an_empty_run_has_no_relations(tmp_path):
    ancestry = Ancestry(tmp_path)
    assert ancestry.ancestors(5).size == ancestry.descendants(5).size == ancestry.parents([]).size == 0


def test_individuals_come_back_as_they_were_written(tmp_path):
    written = [
        born(0, "a \N{SNOWMAN}\n\n  b", [0.25, None]),
        born(3, "c", [1.0], (0, "base"), (0, "mate"), generation=2, note="second try"),
        Individual(
            individual_number(2, 5), Prompt((("instruction", "x"), ("stage-2", "y"))), "migration", ((3, "migrant_of"),)
        ),
        Individual(9, Prompt(()), "cloze", status=FAILED, note="no tag"),
    ]
    path = write(tmp_path, written)
    assert list(read_individuals(path)) == [*written[:3], written[3]]
    assert [one.number for one in read_individuals(path, island=2)] == [individual_number(2, 5)]
    assert [one.number for one in read_individuals(path, numbers=[9, 0, 77])] == [0, 9]
    assert math.isnan(next(read_individuals(path, numbers=[9])).fitness)
