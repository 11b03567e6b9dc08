from __future__ import annotations

import re
import tempfile
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import born, write

import evo.lineage as lineage_module
import evo.pedigree as module
from evo.ancestry import Ancestry, Links
from evo.drawings import Link, Node, dot, mermaid
from evo.errors import EvoError
from evo.lineage import Lineage
from evo.model import DROPPED, individual_number
from evo.simplify import simplify


def links_of(parents: dict[int, list[int]]) -> Links:
    pairs = [(child, parent) for child, some in parents.items() for parent in some]
    child, parent = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    return Links.of(child, parent, len(parents))


def shape(links: Links, samples: list[int]) -> tuple[list[int], list[tuple[int, int, int]]]:
    found = simplify(links, np.array(samples, np.int32))
    return found.places.tolist(), sorted(zip(found.parent, found.child, found.steps, strict=True))


def test_extinct_lines_go_and_mere_steps_become_one_link():
    #  0 - 1 - 2 - 5 (alive)      3 is extinct, 6 a founder without descendants
    #       \- 3    \- 4 - 7 (alive)
    parents = {0: [], 1: [0], 2: [1], 3: [1], 4: [2], 5: [2], 6: [], 7: [4]}
    assert shape(links_of(parents), [5, 7]) == ([0, 2, 5, 7], [(0, 2, 2), (2, 5, 1), (2, 7, 2)])


def test_what_becomes_a_mere_step_by_simplifying_goes_too():
    # two ways from 0 to 3 that hold nothing else are one way, so 3 only passes on
    assert shape(links_of({0: [], 1: [0], 2: [0], 3: [1, 2], 4: [3]}), [4]) == ([0, 4], [(0, 4, 3)])


def test_a_child_of_two_founders_keeps_both_and_a_sample_stays_wherever_it_is():
    assert shape(links_of({0: [], 1: [], 2: [0, 1], 3: [2]}), [3, 2]) == (
        [0, 1, 2, 3],
        [(0, 2, 1), (1, 2, 1), (2, 3, 1)],
    )
    assert shape(links_of({0: [], 1: [0]}), [0]) == ([0], [])


@st.composite
def dags(draw) -> dict[int, list[int]]:
    return {
        child: draw(st.lists(st.sampled_from(range(child)), max_size=3)) if child else []
        for child in range(draw(st.integers(1, 20)))
    }


@settings(max_examples=150)
@given(parents=dags(), data=st.data())
def test_simplifying_changes_no_relation_among_those_who_remain(parents, data):
    samples = data.draw(st.lists(st.sampled_from(list(parents)), min_size=1, max_size=4, unique=True))
    whole = nx.DiGraph([(parent, child) for child, some in parents.items() for parent in some])
    whole.add_nodes_from(parents)
    places, links = shape(links_of(parents), samples)
    small = nx.DiGraph([(parent, child) for parent, child, _ in links])
    small.add_nodes_from(places)
    assert set(small) >= set(samples)
    for place in places:
        assert place in samples or nx.descendants(whole, place) & set(samples), "an extinct line is shown"
        assert nx.ancestors(small, place) == nx.ancestors(whole, place) & set(places)
        single = small.in_degree(place) == small.out_degree(place) == 1
        assert place in samples or not single, "a mere step is shown"
        founder = not parents[place]
        assert founder == (small.in_degree(place) == 0)
    for parent, child, steps in links:
        assert steps >= nx.shortest_path_length(whole, parent, child)


FAMILY = [
    born(0, "first", [1, 0]),
    born(1, "second", [0, 0]),
    born(2, "third", [1, 1], (1, "mate"), (0, "base"), generation=1),
    born(3, "fourth", [1, 1], (2, "base"), generation=2),
    born(4, "fifth", [0, 1], (3, "base"), (1, "mate"), generation=3),
    born(individual_number(1, 0), "fifth", [0, 1], (4, "migrant_of"), operator="migration", generation=3),
]
LAST = FAMILY[-1].number


@pytest.fixture
def family(tmp_path) -> Path:
    return write(tmp_path, FAMILY)


def test_a_run_draws_simplified_with_those_who_bred_last(family, monkeypatch):
    monkeypatch.setattr(lineage_module, "RECENT", 1)
    found = Lineage(family, Ancestry(family), 3).simplified(tree=True)
    assert found.numbers.tolist() == [0, 1, 3, 4], "the parents of 4 and of its copy on island 1"
    assert found.links().to_pylist() == [
        {"parent": 0, "child": 3, "role": "", "steps": 2},
        {"parent": 3, "child": 4, "role": "base", "steps": 1},
    ]


def test_who_lives_can_be_said_and_an_individual_can_stand_alone(family):
    lineage = Lineage(family, Ancestry(family), 3)
    assert lineage.simplified(alive=False).numbers.tolist() == [0, 1, 2, 3]
    assert lineage.simplified(living=[LAST, 77]).numbers.tolist() == [0, 1, 2, 3, 4, LAST]
    assert len(Lineage(family, Ancestry(family), 0).simplified(alive=False)) == 1


def test_a_graph_of_links_says_how_many_births_they_stand_for(family):
    graph = Lineage(family, Ancestry(family), LAST).simplified(alive=False).to_networkx()
    assert graph.get_edge_data(2, 4) == {0: {"role": "", "steps": 2}}
    assert graph.get_edge_data(1, 4) == {0: {"role": "mate", "steps": 1}}
    assert 3 not in graph


@pytest.mark.parametrize(("draw", "limit"), [("to_networkx", "GRAPH"), ("to_dot", "DOT"), ("to_mermaid", "MERMAID")])
def test_a_lineage_too_large_to_draw_is_refused_with_the_mend(family, monkeypatch, draw, limit):
    lineage = Lineage(family, Ancestry(family), 3)
    monkeypatch.setattr(module, f"{limit}_LIMIT", 3)
    with pytest.raises(EvoError, match=r"has 4 individuals, .* takes 3; .*simplified\(tree=True\)"):
        getattr(lineage, draw)()
    monkeypatch.setattr(module, f"{limit}_LIMIT", 4)
    assert getattr(lineage, draw)()


def test_drawings_name_everyone_and_every_role(family):
    lineage = Lineage(family, Ancestry(family), LAST)
    text = lineage.to_dot()
    assert re.findall(r"n(\d+) -> n(\d+) \[label=\"(\w+)\"\]", text)[:2] == [("1", "2", "mate"), ("0", "2", "base")]
    assert text.count("subgraph") == 2
    assert 'n2 [label="2: paraphrase, 100.0 %\\nthird"]' in text
    text = lineage.to_mermaid()
    assert 'n2["2: paraphrase, 100.0 %<br/>third"]' in text
    assert f'n4 -->|"migrant#95;of"| n{LAST}' in text
    assert "-.->" in lineage.simplified(alive=False).to_mermaid()


def test_who_did_not_stay_in_the_race_has_no_fitness(tmp_path):
    path = write(tmp_path, [born(0, "", [1.0], status=DROPPED), born(1, "", [])])
    assert Lineage(path, Ancestry(path), 0).to_networkx().nodes[0]["fitness"] is None
    assert Lineage(path, Ancestry(path), 1).to_networkx().nodes[1]["fitness"] is None


EVIL = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            ['"', "\\", "]", "}", "`", "\n", "\x1b", "\u202e", "-->", "<b>", "#quot;", "\\N", ";", "end", "|", "%%"]
        ),
        max_size=9,
    ).map("".join),
)
DOT_STRING = re.compile(r'"(?:[^"\\\n]|\\["\\n])*"')
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ud800-\udfff]")


@settings(max_examples=200)
@given(operator=EVIL, text=EVIL, role=EVIL)
def test_no_label_can_end_itself_or_steer(operator, text, role):
    nodes = [Node(n, operator, 0, 0, 0.5, text) for n in (0, 1)]
    links = [Link(0, 1, role)]
    drawn = dot(nodes, links, 1)
    plain = DOT_STRING.sub("S", drawn)
    assert plain == DOT_STRING.sub("S", dot([Node(n, "a", 0, 0, 0.5, "b") for n in (0, 1)], [Link(0, 1, "c")], 1))
    flow = mermaid(nodes, links, 1)
    plain = re.sub(r'"[^"\n]*"', "S", flow)
    assert plain == re.sub(
        r'"[^"\n]*"', "S", mermaid([Node(n, "a", 0, 0, 0.5, "b") for n in (0, 1)], [Link(0, 1, "c")], 1)
    )
    for label in re.findall(r'"([^"\n]*)"', flow):
        assert not re.search(r"[`\[\]{}()<>|\\;&]", re.sub(r"#\d+;", "", label.replace("<br/>", "")))
    assert not STEERING.findall((drawn + flow).replace("\n", ""))


def test_an_escaped_label_reads_as_it_was_written():
    shown = mermaid([Node(0, 'a"b', 0, 0, None, "#quot; [x]")], [])
    label = re.search(r'n0\["(.*)"\]', shown)[1]
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) == '0: a"b<br/>#quot; [x]'


def test_an_individual_alone_is_drawn():
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), [born(0)])
        lineage = Lineage(path, Ancestry(path), 0)
        assert "->" not in lineage.to_dot()
        assert lineage.simplified().links().num_rows == 0
