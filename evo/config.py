"""The YAML file as settings; every mistake named with its file, line, key, what was expected, what came, the mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from evo.errors import ConfigError
from evo.settings import ModelSettings, NamedSettings, RunSettings
from evo.yaml_file import line_of, read_yaml, reason_of

SECRET = ("api_key_env", "api_base")
"""Where a key is put by mistake: what stands there is never shown."""


def load(path: Path | str, changes: Sequence[str] = (), *, overrides: Mapping[str, Any] | None = None) -> RunSettings:
    """Return the settings in a YAML file, with whole keys overridden and ``key.sub=value`` changes applied.

    Raises:
        ConfigError: one line for each mistake.
    """
    file = Path(path)
    content, node = read_yaml(file)
    if isinstance(content, Mapping):
        content = {**content, **(overrides or {})}
    return parse(content, changes, base=file.parent, file=str(file), node=node)


def parse(
    content: Any, changes: Sequence[str] = (), *, base: Path | None = None, file: str = "settings", node: Any = None
) -> RunSettings:
    """Return settings from plain data, with changes applied.

    Args:
        content: A mapping as the YAML file holds it.
        changes: ``key.sub=value`` each.
        base: The folder that paths of model files start from; None: they stay as they are.
        file: What messages call the source.
        node: Its YAML, for line numbers.

    Raises:
        ConfigError: one line for each mistake.
    """
    if not isinstance(content, Mapping):
        got = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{file}: expected a mapping with at least `task:`, got {got}")
    merged = dict(content)
    for change in changes:
        merged = _changed(merged, change)
    try:
        settings = RunSettings.model_validate(merged)
    except ValidationError as error:
        paths = [change.partition("=")[0].split(".") for change in changes]
        lines = [_mistake(problem, paths, file, node) for problem in _deepest(error.errors())]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None
    return settings if base is None else settings.with_model_files(base)


def _changed(content: Mapping[str, Any], change: str) -> dict[str, Any]:
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set expects key=value, such as budget.calls=500, got {change!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {path}: the value is not valid YAML: {reason_of(error)}; put it in quotes of its own, as in "
            f"--set '{path}=\"...\"'"
        ) from error
    changed: dict[str, Any] = _with(content, path.split("."), value)
    return changed


def _with(content: Any, path: Sequence[str], value: Any, place: tuple[str, ...] = ()) -> Any:
    """Return content in which what lies at a path is a value; ``place`` is where the content itself lies."""
    key, *rest = path
    place = (*place, key)
    if isinstance(content, Sequence) and not isinstance(content, str) and key in map(str, range(len(content))):
        number = int(key)
        inner = _with(content[number], rest, value, place) if rest else value
        return [*content[:number], inner, *content[number + 1 :]]
    if content is None:
        content = _default_name(place[:-1])
    if isinstance(content, str):
        content = {"name": content}  # `method: x` and `--set method.population=6` mean `{name: x, population: 6}`
    outer = dict(content) if isinstance(content, Mapping) else {}
    outer[key] = _with(outer.get(key), rest, value, place) if rest else value
    return outer


def _default_name(place: Sequence[str]) -> str | None:
    """Return the name of the method, model or scorer that stands where the file names none."""
    owner = _model_at(place[:-1])
    field = owner.model_fields.get(place[-1]) if owner and place else None
    default = field.get_default(call_default_factory=True) if field else None
    return default.name if isinstance(default, NamedSettings | ModelSettings) else None


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


def _place(location: Sequence[Any], paths: Sequence[Sequence[str]], file: str, node: Any) -> str:
    """Return where a mistake was made: by a change on the command line, or in a line of the file."""
    parts = [str(part) for part in location]
    if any(parts[: len(path)] == path for path in paths):
        return "--set"
    line = line_of(node, location)
    return f"{file}:{line}" if line else file


def _mistake(problem: Any, paths: Sequence[Sequence[str]], file: str, node: Any) -> str:
    location = _location(problem)
    key = ".".join(map(str, location)) or "the file"
    where = _place(location, paths, file, node)
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}{_suggestion(location)}"
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


def _fields_at(location: Sequence[Any]) -> list[str]:
    model = _model_at(location)
    return list(model.model_fields) if model else []


def _model_at(location: Sequence[Any]) -> type[BaseModel] | None:
    """Return the settings a place holds; numbers are places in lists."""
    model: type[BaseModel] = RunSettings
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        kinds = _models_in(field.annotation) if field else ([] if isinstance(part, str) else [model])
        if not kinds:
            return None
        model = kinds[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _suggestion(location: Sequence[Any]) -> str:
    name, known = str(location[-1]), _fields_at(location[:-1])
    inner = [] if location[1:] else [f"{field}.{name}" for field in known if name in _fields_at([field])]
    near = inner or difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(known)}" if known else ""
