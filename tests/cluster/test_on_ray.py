"""Where workers are placed, read from what Ray says of its nodes; the rest needs Ray itself: see tests/real."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from cluster.on_ray import _cores, _lent_path, _workers, place


def node(name: str, cpus: float | None, *, alive: bool = True) -> dict[str, object]:
    return {"NodeID": name, "Alive": alive, "Resources": {} if cpus is None else {"CPU": cpus}}


@pytest.mark.parametrize(
    ("nodes", "cores"),
    [
        ([node("a", 2.0), node("b", 1.0), node("c", 3.0)], "abcacc"),
        ([node("a", 1.0, alive=False), node("b", 1.0)], "b"),
        ([node("head", 0.0), node("b", 1.0), node("c", None)], "b"),
        ([node("a", 0.0), node("b", None)], "ab"),
    ],
    ids=["the nodes in turn", "the living", "not a head without cores", "somewhere when none has cores"],
)
def test_cores_are(nodes, cores, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: nodes))
    assert _cores() == list(cores)


@pytest.mark.parametrize(
    ("cores", "taken", "node", "is_free"),
    [
        ("abcacc", "", "a", True),
        ("abcacc", "abc", "a", True),
        ("abcacc", "acacc", "b", True),
        ("ab", "ab", "a", False),
        ("b", "ab", "b", False),
        ("b", "a", "b", True),
    ],
    ids=[
        "the first",
        "the nodes in turn",
        "in the place of a lost one",
        "beside one where all cores are taken",
        "beside one where a node is gone with its cores",
        "not where a node is gone",
    ],
)
def test_the_next_worker_is_placed_on_a_free_core(cores, taken, node, is_free):
    assert place(list(cores), list(taken)) == (node, is_free)


@pytest.mark.parametrize(("model", "workers"), [("local/some.gguf", 2), ("fake/toy", 5)])
def test_workers_that_compute_themselves_are_no_more_than_the_cores(model, workers, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: [node("a", 2.0)]))
    settings = SimpleNamespace(workers=5, concurrency=8)
    assert _workers(SimpleNamespace(settings=settings, models=[SimpleNamespace(name=model)])) == workers


@pytest.mark.parametrize("own", [None, "/mine"])
def test_the_path_that_rays_processes_inherit_is_ours_again_afterwards(own, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False) if own is None else monkeypatch.setenv("PYTHONPATH", own)
    with _lent_path("/task"):
        assert os.environ["PYTHONPATH"] == "/task"
    assert os.environ.get("PYTHONPATH") == own
