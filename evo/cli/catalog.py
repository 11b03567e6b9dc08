"""``evo methods``, ``evo racing``, ``evo scorers`` and ``evo models``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from evo.errors import ConfigError
from evo.plugins import names, resolve
from evo.settings import RunSettings


class KnownModel(Protocol):
    """A model that can be fetched."""

    name: str
    size: int
    licence: str
    description: str
    path: Path | None


class ModelCatalog(Protocol):
    """Where local model files are found and fetched: entry points of group ``evo.catalogs``."""

    def known_models(self) -> Sequence[KnownModel]:
        """Return the models there are."""
        ...

    def locate(self, name: str, progress: Callable[[int, int], None] | None = None) -> Path:
        """Return a model's file, fetched if need be. Raises ConfigError."""
        ...


def methods(options: Namespace) -> None:
    """List methods, and in a line each the racing policies that go with any of them."""
    rows = [_method(name) for name in sorted(names("evo.methods"))]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']}\n  {row['summary']}")
        print(f"  when  {row['when']}\n  cost  {row['cost']}")
        _print_arguments(row)
    print("racing, any policy with any method; `evo racing` lists their arguments")
    for policy in _plugins("evo.racing"):
        print(f"  {policy['name']:12} {policy['summary']}")


def racing(options: Namespace) -> None:
    """List racing policies."""
    _list("evo.racing", options)


def scorers(options: Namespace) -> None:
    """List scorers."""
    _list("evo.scorers", options)


def _list(group: str, options: Namespace) -> None:
    rows = _plugins(group)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']}\n  {row['summary']}")
        if row["arguments"]:
            _print_arguments(row)


def models(options: Namespace) -> None:
    """List local models, or fetch one."""
    if options.pull:
        if not options.name:
            raise ConfigError("evo models pull expects a name, such as smollm2-135m")
        name = options.name if options.name.startswith("local/") else f"local/{options.name}"
        path = _fetch(name, Console(stderr=True))
        print(json.dumps({"name": name, "path": str(path)}) if options.json else path)
        return
    rows = [_model(model) for catalog in _catalogs() for model in catalog.known_models()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        where = row["path"] or "not fetched; `evo models pull` or the first run does"
        print(f"{row['name']}  {row['size_bytes'] / 1e6:.0f} MB, {row['licence']}\n  {row['description']}\n  {where}")
    print("any other name goes to LiteLLM, such as openai/gpt-5-mini; fake/... answers without a model")


def fetch_local_models(settings: RunSettings, console: Console) -> None:
    """Fetch the local models a run needs, with a progress bar, before anything else starts."""
    for name in sorted({model.name for model in settings.models}):
        if name.startswith("local/"):
            _fetch(name, console)


def _fetch(name: str, console: Console) -> Path:
    columns = TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None, visible=False)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        catalog: ModelCatalog = resolve("evo.catalogs", name.partition("/")[0])
        return catalog.locate(name, progress)


def _catalogs() -> list[ModelCatalog]:
    return [resolve("evo.catalogs", name) for name in sorted(names("evo.catalogs"))]


def _model(model: KnownModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "size_bytes": model.size,
        "licence": model.licence,
        "description": model.description,
        "path": str(model.path) if model.path else None,
    }


def _method(name: str) -> dict[str, Any]:
    kind = resolve("evo.methods", name)
    return {
        "name": name,
        "summary": _summary(kind),
        "when": getattr(kind, "when", ""),
        "cost": getattr(kind, "cost", ""),
        "arguments": _arguments(kind),
    }


def _plugins(group: str) -> list[dict[str, Any]]:
    kinds = {name: resolve(group, name) for name in sorted(names(group))}
    return [{"name": name, "summary": _summary(kind), "arguments": _arguments(kind)} for name, kind in kinds.items()]


def _summary(kind: Any) -> str:
    return kind.__doc__.strip().splitlines()[0].replace("``", "`") if kind.__doc__ else ""


def _arguments(kind: Any) -> dict[str, Any]:
    return {f.name: _default(f) for f in fields(kind) if f.name != "folder"} if is_dataclass(kind) else {}


def _print_arguments(row: Mapping[str, Any]) -> None:
    print("  " + ", ".join(f"{argument}={value}" for argument, value in row["arguments"].items()))


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None
