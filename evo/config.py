"""The YAML file as settings; every mistake named with its file, line, key, what was expected, what came, the mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from evo.errors import ConfigError
from evo.settings import RunSettings

SECRET = ("api_key_env",)
"""Where a key is put by mistake: what stands there is never shown."""


def load(path: Path | str, changes: Sequence[str] = (), *, overrides: Mapping[str, Any] | None = None) -> RunSettings:
    """Return the settings in a YAML file, with whole keys overridden and ``key.sub=value`` changes applied.

    Raises:
        ConfigError: one line for each mistake.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no file {str(file)!r}{_near(file)}; expected a YAML configuration") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {str(file)!r} as text: {error}") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {_one_line(error)}") from error
    if isinstance(content, Mapping):
        content = {**content, **(overrides or {})}
    return parse(content, changes, file=str(file), node=node)


def parse(content: Any, changes: Sequence[str] = (), *, file: str = "settings", node: Any = None) -> RunSettings:
    """Return settings from plain data, with changes applied. Raises ConfigError, one line for each mistake."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file}: expected a mapping with at least `task:`, got {type(content).__name__}")
    merged = dict(content)
    for change in changes:
        merged = _changed(merged, change)
    try:
        return RunSettings.model_validate(merged)
    except ValidationError as error:
        lines = [_mistake(problem, file, node) for problem in _deepest(error.errors())]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _changed(content: Mapping[str, Any], change: str) -> dict[str, Any]:
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set expects key=value, such as budget.calls=500, got {change!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {path}: the value is not valid YAML: {_one_line(error)}") from error
    changed: dict[str, Any] = _with(content, path.split("."), value)
    return changed


def _with(content: Any, path: Sequence[str], value: Any) -> Any:
    if isinstance(content, Sequence) and not isinstance(content, str) and path[0] in map(str, range(len(content))):
        place = int(path[0])
        return [
            *content[:place],
            value if len(path) == 1 else _with(content[place], path[1:], value),
            *content[place + 1 :],
        ]
    if isinstance(content, str):
        content = {"name": content}  # `method: x` and `--set method.population=6` mean `{name: x, population: 6}`
    inner = dict(content) if isinstance(content, Mapping) else {}
    inner[path[0]] = value if len(path) == 1 else _with(inner.get(path[0]), path[1:], value)
    return inner


def _deepest(problems: Sequence[Any]) -> list[Any]:
    """Return problems without those of a union's branch that was not meant: where another branch got further."""
    places = [_location(problem) for problem in problems]
    return [
        problem
        for problem, place in zip(problems, places, strict=True)
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def _location(problem: Any) -> list[Any]:
    *inner, last = problem["loc"] or ("",)
    return [*(part for part in inner if not _is_branch(part)), *([] if _names_branch(problem) else [last])]


def _mistake(problem: Any, file: str, node: Any) -> str:
    location = _location(problem)
    key = ".".join(map(str, location)) or "the file"
    line = _line(node, location)
    where = f"{file}:{line}" if line else file
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}{_suggestion(str(location[-1]), _fields_at(location[:-1]))}"
    if problem["type"] == "missing":
        return f"{where}: {key!r} is missing; it is required"
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        said = f"expected a mapping with {', '.join(_fields_at(location)) or 'keys and values'}"
    if problem["type"] in ("tuple_type", "list_type"):
        said = "expected a list"
    value = problem["input"]
    plain = isinstance(value, str | int | float | bool | type(None)) and key.rpartition(".")[2] not in SECRET
    return f"{where}: {key}: {said}" + (f", got {value!r}"[:120] if plain and "got" not in said else "")


def _names_branch(problem: Any) -> bool:
    return problem["type"] not in ("extra_forbidden", "missing") and _is_branch(
        problem["loc"][-1:] and problem["loc"][-1]
    )


def _is_branch(part: Any) -> bool:
    # pydantic puts the tried branch of a union, such as "int" or "tuple[...]", into the location
    return isinstance(part, str) and (part in ("int", "str", "float", "bool") or "[" in part)


def _line(node: Any, location: Sequence[Any]) -> int | None:
    """Return the line of the deepest part of a location that is in the file."""
    if node is None:
        return None
    line = int(node.start_mark.line) + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(part)]
            if not found:
                return line
            line, node = int(found[0][0].start_mark.line) + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = int(node.start_mark.line) + 1
    return line


def _fields_at(location: Sequence[Any]) -> list[str]:
    model: Any = RunSettings
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        kinds = _models_in(field.annotation) if field else ([] if isinstance(part, str) else [model])
        if not kinds:
            return []
        model = kinds[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _suggestion(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(known)}" if known else ""


def _near(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.4)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
