"""Where workers are placed, read from what Ray says of its nodes; the rest needs Ray itself: see tests/real."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from cluster.on_ray import _cores


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
