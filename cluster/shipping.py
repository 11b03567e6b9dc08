"""What a cluster's nodes are sent so that they find the user's own modules, which lie beside the configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells a submitted job's driver with which runtime environment it was submitted."""
_OURS = frozenset({"evo", "operators", "fitness", "cluster"})


def modules_beside(base: Path) -> list[str]:
    """Return the Python files and packages in a folder, but none of this project's own packages."""
    found = [path for path in base.glob("*.py") if path.is_file()]
    found += [path.parent for path in base.glob("*/__init__.py") if path.parent.name not in _OURS]
    return sorted(str(path.resolve()) for path in found)


def python_path(base: Path) -> str:
    """Return a PYTHONPATH that finds what lies in a folder, before what this process was given."""
    return os.pathsep.join(filter(None, [str(base), os.environ.get("PYTHONPATH", "")]))


def runtime_env(base: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the runtime environment for a run on a cluster.

    Modules are sent: other nodes need not have the folder. The path is for nodes that do, and for what is no module.
    What a job was submitted with stays as it is: Ray refuses to be told twice.
    """
    given = json.loads(environ.get(JOB) or "{}").get("runtime_env") or {}
    env: dict[str, Any] = {"env_vars": {"PYTHONPATH": python_path(base)}, "py_modules": modules_beside(base)}
    if not env["py_modules"] or "py_modules" in given:
        del env["py_modules"]
    if "PYTHONPATH" in given.get("env_vars", {}):
        del env["env_vars"]
    return env
