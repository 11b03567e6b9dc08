from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evo.errors import ConfigError
from evo.plugins import build, build_model, resolve
from evo.settings import ModelSettings, NamedSettings

HOME = Path(__file__).resolve().parents[2]

PLUGINS = """
class Racer:
    def __init__(self, share: float = 1.0) -> None:
        if share > 1:
            raise ValueError("share is at most 1")
        self.share = share

def model(settings):
    return ("model", settings.name)

NUMBER = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    (tmp_path / "my_plugins.py").write_text(PLUGINS)
    (tmp_path / "my_broken.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_plugins"
    for name in ("my_plugins", "my_broken"):
        sys.modules.pop(name, None)


def test_a_name_a_module_path_and_arguments(module):
    assert resolve("evo.racing", "full").__name__ == "Full"
    assert build("evo.racing", NamedSettings(name=f"{module}:Racer", share=0.5)).share == 0.5
    assert build_model(ModelSettings(name=f"{module}:model")) == ("model", f"{module}:model")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("ful", {}, "unknown racing 'ful'; did you mean 'full'\\? known: "),
        ("my_plugins:Rcer", {}, "'my_plugins' has no 'Rcer'; .*did you mean 'Racer'"),
        ("my_plugins:Racer", {"shar": 1}, "unknown argument 'shar'; did you mean 'share'"),
        ("my_plugins:Racer", {"share": 2}, "share is at most 1"),
        ("my_plugins:Racer", {"share": "x"}, "my_plugins:Racer: "),
        ("my_plugins:NUMBER", {}, "is not callable"),
        ("my_plugins:", {}, "my_plugins"),
        ("my_broken:X", {}, "cannot import 'my_broken' .*no_such_module_at_all"),
        ("nowhere_at_all:X", {}, "cannot import 'nowhere_at_all'"),
        (":X", {}, "cannot import ''"),
        (".x:X", {}, "cannot import '.x'"),
    ],
)
def test_what_cannot_be_made_is_one_message(module, name, arguments, words):
    with pytest.raises(ConfigError, match=words):
        build("evo.racing", NamedSettings(name=name, **arguments))


@pytest.mark.parametrize("place", ["operators", "fitness", "cluster"])
@pytest.mark.parametrize("form", ["package", "module", "namespace"])
def test_a_stranger_under_our_name_is_refused_with_both_places(tmp_path, place, form):
    package = tmp_path / place
    if form == "module":
        (tmp_path / f"{place}.py").write_text("")
    else:
        package.mkdir()
        (package / ("__init__.py" if form == "package" else "thing.py")).write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.path.append({str(HOME)!r}); import evo"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    if form == "namespace":  # a folder without __init__ loses against ours: Python finds the real package first
        assert ran.returncode == 0, ran.stderr
        return
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: `import {place}` would find {tmp_path / place}")
    assert f"needs its own at {HOME / place}" in last
    assert "virtual environment" in last


def test_a_copy_of_the_four_packages_works_where_it_lies(tmp_path):
    for name in ("evo", "operators", "fitness", "cluster"):
        shutil.copytree(HOME / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import evo; print(evo.__file__)"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (ran.returncode, ran.stdout.strip()) == (0, str(tmp_path / "evo" / "__init__.py")), ran.stderr
