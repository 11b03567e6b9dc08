"""The house's own rules, read from its source: floors, sizes, docstrings, imports, entry points."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import networkx as nx
import pytest

HOME = Path(__file__).resolve().parent.parent
FLOORS = {"evo": set(), "operators": {"evo"}, "fitness": {"evo"}, "cluster": {"evo"}}
OURS = set(FLOORS)
FILES = sorted(path for floor in FLOORS for path in (HOME / floor).rglob("*.py"))
MAX_LINES, MAX_FUNCTION = 300, 45


def name_of(path: Path) -> str:
    return str(path.relative_to(HOME))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path, *, at_load: bool = False) -> set[str]:
    """Return the dotted names a file imports; ``at_load``: those that run when it is imported."""
    found: set[str] = set()
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in _at_load(tree_of(path)) if at_load else ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], base]).strip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module, not what the package's own file defines
            found |= {base} if any(f"{base}.{alias.name}" not in MODULES for alias in node.names) else set()
    return found


def _at_load(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_load(child)


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_the_floors_below_it(path):
    floor = path.relative_to(HOME).parts[0]
    strangers = (roots(imported(path)) & OURS) - {floor} - FLOORS[floor]
    # a module named in a string is an import too, as soon as importlib is near; entry points are the way
    assert not strangers, f"{name_of(path)} imports {sorted(strangers)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short_and_documented(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno + 1 <= MAX_FUNCTION, f"{node.name} is too long"
    bare = [name for name, node in _public(tree) if not ast.get_docstring(node)]
    assert not bare, f"{name_of(path)} has no docstring for {bare}"


def _public(tree: ast.Module):
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                members = (m for m in node.body if isinstance(m, kinds) and not m.name.startswith("_"))
                yield from ((f"{node.name}.{m.name}", m) for m in members)


@pytest.mark.parametrize(
    ("module", "allowed"),
    [("random", "operators/deap_selection.py"), ("litellm", "fitness/llm.py"), ("pycurl", "fitness/curl.py")],
)
def test_a_module_that_only_one_file_may_import(module, allowed):
    users = {name_of(path) for path in FILES if module in roots(imported(path))}
    assert users <= {allowed}


@pytest.mark.parametrize(
    "heavy",
    [
        "ray",
        "litellm",
        "uvloop",
        "pandas",
        "xllamacpp",
        "matplotlib",
        "duckdb",
        "rouge_score",
        "sacrebleu",
        "jsonschema",
    ],
)
def test_heavy_packages_are_imported_at_their_first_use(heavy):
    assert not [name_of(path) for path in FILES if heavy in roots(imported(path, at_load=True))]


def test_modules_do_not_import_in_circles():
    graph = nx.DiGraph(
        (module, target)
        for module, path in MODULES.items()
        for target in imported(path, at_load=True) & set(MODULES)
        if target != module
    )
    assert not list(nx.simple_cycles(graph))


def test_the_reader_of_imports_finds_what_it_must():
    # the rules above are only as good as it: deferred imports count for the floors, and not for circles
    file = HOME / "evo" / "lineage.py"
    assert "networkx" in roots(imported(file))
    assert "networkx" not in roots(imported(file, at_load=True))
    assert "evo.cli.commands" in imported(HOME / "evo" / "cli" / "__init__.py", at_load=True)


def test_importing_evo_is_quick_and_pulls_in_nothing_heavy():
    script = (
        "import json, sys, time; a = time.process_time(); import evo; b = time.process_time();"
        "print(json.dumps([b - a, sorted(m for m in ('ray', 'litellm', 'pyarrow', 'numpy') if m in sys.modules)]))"
    )
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=HOME) for _ in range(3)]
    seconds, heavy = zip(*(json.loads(run.stdout) for run in runs), strict=True)
    assert heavy == ([], [], [])
    assert statistics.median(seconds) < 0.5


DECLARED = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
POINTS = [EntryPoint(name, value, group) for group, points in DECLARED.items() for name, value in points.items()]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.group}:{point.name}")
def test_an_entry_point_resolves_and_is_installed(point):
    point.load()
    assert point in entry_points(group=point.group), "declared but not installed: install the distribution again"


def test_every_group_the_core_looks_into_is_filled():
    source = "".join(path.read_text(encoding="utf-8") for path in FILES)
    asked = set(re.findall(r'(?:resolve|build|names)\("(evo\.\w+)"', source))
    assert asked >= {"evo.methods", "evo.racing", "evo.models", "evo.executors"}
    assert asked <= set(DECLARED)


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="evo")
    assert callable(command.load())
