"""Islands and workers as Ray actors: the same result as in one process, and nothing left when they have ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from command import EXAMPLES, evo, only_run, running, wait_for

import evo as library

pytestmark = pytest.mark.real


def run_toy(folder: Path, *changes: str) -> library.Run:
    arguments = [part for change in (*changes, "cache=false") for part in ("--set", change)]
    evo("run", EXAMPLES / "toy.yaml", "--set", f"storage={folder}", *arguments, "--plain", cwd=folder)
    return library.open_run(only_run(folder))


def history(run: library.Run) -> list[tuple[object, ...]]:
    rows = run.individuals().sort_by("id").to_pylist()
    return [(r["id"], r["operator"], r["prompt"], r["fitness"], r["n_scored"], r["status"]) for r in rows]


def test_ray_and_inline_walk_the_same_path(tmp_path: Path) -> None:
    same = ("topology=isolated", "method.generations=2", "method.population=6", "budget.births=34")
    folders = [tmp_path / "ray", tmp_path / "inline"]
    for folder in folders:
        folder.mkdir()
    on_ray = run_toy(folders[0], *same, "executor=ray", "concurrency=8")
    inline = run_toy(folders[1], *same, "executor=inline", "concurrency=32")
    assert history(on_ray) == history(inline)
    assert len(history(on_ray)) == 34
    assert on_ray.result is not None
    assert inline.result is not None
    assert on_ray.result["winner"] == inline.result["winner"]
    assert on_ray.result["gain"] == inline.result["gain"]


def begun_by(test: Path) -> list[bytes]:
    """Return the command lines of the processes that inherited a test's mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            if f"EVO_TEST={test}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
    return found


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVO_TEST", str(tmp_path))
    settings = (f"storage={tmp_path}", "method.generations=1", "cache=false")
    arguments = [part for one in settings for part in ("--set", one)]
    with running("run", EXAMPLES / "toy.yaml", "--plain", *arguments, cwd=tmp_path) as run:
        wait_for(lambda: any(b"raylet" in one for one in begun_by(tmp_path)))
        assert run.wait(timeout=120) == 0
    wait_for(lambda: not begun_by(tmp_path), timeout_s=5)
