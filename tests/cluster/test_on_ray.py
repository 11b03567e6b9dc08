"""Where workers are placed, read from what Ray says of its nodes; the rest needs Ray itself: see tests/real."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import pytest

from cluster.connection import _lent_path, connect
from cluster.demand import Demand
from cluster.on_ray import _awaited, _cores, _missing, _workers, place
from cluster.shipping import JOB, runtime_env
from evo.errors import ConfigError, EvoError


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


@pytest.mark.parametrize(
    ("model", "workers", "missing"),
    [("local/some.gguf", 5, 3), ("local/some.gguf", 20, 6), ("local/some.gguf", None, 0), ("fake/toy", 5, 0)],
    ids=["those asked for", "no more than calls under way", "none where one a core is asked for", "none for an API"],
)
def test_cores_that_are_missing(model, workers, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: [node("a", 2.0)]))
    settings = SimpleNamespace(workers=workers, concurrency=8)
    assert _missing(SimpleNamespace(settings=settings, models=[SimpleNamespace(name=model)])) == missing


def test_an_autoscaler_is_asked_for_what_is_missing_now_and_for_nothing_else(monkeypatch):
    waiting: list[list[dict[str, float]]] = []

    def asked(bundles):
        waiting.append(bundles)
        return bundles

    util = SimpleNamespace(placement_group=asked, remove_placement_group=waiting.remove)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(util=util))
    demand = Demand()
    seen = []
    for cores in (0, 3, 3, 1, 0):
        demand.ask(cores)
        seen.append([len(bundles) for bundles in waiting])
    assert seen == [[], [3], [3], [1], []]


@pytest.fixture
def task(tmp_path):
    for name in ("scoring.py", "toy.yaml", "kit/__init__.py", "notes/readme.md", "evo/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def job(**given: object) -> dict[str, str]:
    return {JOB: json.dumps({"runtime_env": given})}


def test_modules_and_packages_beside_the_configuration_are_sent_and_our_own_are_not(task, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/mine")
    env = runtime_env(task, {})
    assert env["py_modules"] == [f"{task}/kit", f"{task}/scoring.py"]
    assert env["env_vars"]["PYTHONPATH"] == f"{task}:/mine"


def test_nothing_is_sent_where_there_is_nothing(tmp_path):
    assert "py_modules" not in runtime_env(tmp_path, {})


def test_what_a_job_was_submitted_with_is_left_to_it(task):
    assert set(runtime_env(task, job(working_dir="gcs://x.zip"))) == {"env_vars", "py_modules"}
    assert set(runtime_env(task, job(env_vars={"PYTHONPATH": "/x"}, pip=["a"]))) == {"py_modules"}
    assert set(runtime_env(task, job(py_modules=["gcs://y.zip"], env_vars={"A": "1"}))) == {"env_vars"}


def test_a_ray_that_does_not_come_up_is_one_message_with_the_mend(tmp_path, monkeypatch):
    def init(**options: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))
    with pytest.raises(EvoError, match=r"did not start on this machine: .* timed out .*; .* executor: inline"):
        connect(tmp_path, None)
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at 'auto'; start one"):
        connect(tmp_path, "auto")


async def test_what_an_actor_raises_on_purpose_is_raised_as_it_was(monkeypatch):
    class RayActorError(Exception): ...

    class RayTaskError(Exception):
        def __init__(self, cause: Exception) -> None:
            super().__init__("Traceback (most recent call last): ...")
            self.cause = cause

    async def raising(cause: Exception) -> None:
        raise RayTaskError(cause)

    kinds = SimpleNamespace(RayActorError=RayActorError, RayTaskError=RayTaskError)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(exceptions=kinds))
    with pytest.raises(ConfigError, match=r"^nobody to breed from$"):
        await _awaited(None, raising(ConfigError("nobody to breed from")))
    with pytest.raises(RayTaskError):
        await _awaited(None, raising(ValueError("a bug")))
