"""A folder with another package under one of our names: one clear message, wherever Python comes upon it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from command import EXAMPLES

pytestmark = pytest.mark.real
HOME = EXAMPLES.parent
COMMAND = Path(sysconfig.get_path("scripts")) / "evo"
"""As users start it: unlike ``python -m evo`` it does not look for modules in the working directory."""

SCRIPT = f"""
import evo
evo.evolve({str(EXAMPLES / "toy.yaml")!r}, budget={{"calls": 500}}, storage="runs", cache=False)
"""
SCRIPT_ON_A_RAY_OF_ITS_OWN = f"""
import os, ray
ray.init(num_cpus=1, log_to_driver=False, runtime_env={{"env_vars": {{"PYTHONPATH": os.environ["STRANGER"]}}}})
{SCRIPT}
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "operators").mkdir(parents=True)
    (folder / "operators" / "__init__.py").write_text("raise RuntimeError('the stranger was imported')\n")
    return folder


def message(folder: Path) -> str:
    found, ours = folder / "operators" / "__init__.py", HOME / "operators"
    return (
        f"`import operators` would find {found}, but prompt-archipelago needs its own at {ours}; "
        "rename the other 'operators', start Python in another folder, or use a virtual environment of its own"
    )


def ran(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "STRANGER": str(cwd.parent / "project")},
    )


def test_a_script_beside_a_stranger_ends_at_its_import(stranger: Path) -> None:
    (stranger / "script.py").write_text(SCRIPT)
    done = ran(sys.executable, "script.py", cwd=stranger)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"ImportError: {message(stranger)}"
    assert not (stranger / "runs").exists()


@pytest.mark.parametrize("place", ["working directory", "configuration"])
def test_the_command_beside_a_stranger_is_refused_in_one_line_before_ray_starts(stranger: Path, place: str) -> None:
    config = EXAMPLES / "toy.yaml"
    if place == "configuration":
        config = stranger / "toy.yaml"
        config.write_text((EXAMPLES / "toy.yaml").read_text().replace("toy.jsonl", str(EXAMPLES / "toy.jsonl")))
    cwd = stranger if place == "working directory" else stranger.parent
    done = ran(COMMAND, "run", config, "--plain", "--set", "executor=ray", "--set", "storage=runs", cwd=cwd)
    assert done.returncode == 2
    assert done.stderr.strip() == f"evo: {message(stranger)}"


def test_in_one_process_the_command_does_not_mind_where_it_starts(stranger: Path) -> None:
    changes = [
        part
        for change in ("executor=inline", "budget.calls=500", "storage=runs", "cache=false")
        for part in ("--set", change)
    ]
    done = ran(COMMAND, "run", EXAMPLES / "toy.yaml", "--plain", *changes, cwd=stranger)
    assert done.returncode == 0, done.stderr


def test_a_stranger_that_only_a_ray_worker_finds_ends_the_run_with_the_same_words(stranger: Path) -> None:
    elsewhere = stranger.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "script.py").write_text(SCRIPT_ON_A_RAY_OF_ITS_OWN)
    done = ran(sys.executable, "script.py", cwd=elsewhere)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == f"evo.errors.EvoError: a process cannot start on Ray: ImportError: {message(stranger)}"
