"""A YAML file as plain data, with the line of everything in it; keys that stand twice are refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from evo.errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"
"""The key ``<<``: each takes another mapping in, and none hides another."""


def read_yaml(file: Path) -> tuple[Any, Any]:
    """Return a file's content, and its node for `line_of`.

    Raises:
        ConfigError: no such file, no text, no YAML, or a key that stands twice in one mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"expected a YAML configuration, but there is no file {str(file)!r}{_near(file)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {str(file)!r} as text: {error}") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigError(
            f"{place}: not valid YAML: {reason_of(error)}; mend the indentation or quote the text"
        ) from error
    if repeated := [f"{file}:{line}: {words}" for line, words in _repeated(node, set())]:
        raise ConfigError("\n".join(repeated))
    return content, node


def line_of(node: Any, location: Sequence[Any]) -> int | None:
    """Return the line, from 1, of the deepest part of a location that is in the file; None without a node."""
    if node is None:
        return None
    line = _line(node)
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(part)]
            if not found:
                return line
            line, node = _line(found[0][0]), found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = _line(node)
    return line


def reason_of(error: Exception) -> str:
    """Return what YAML found wrong, on one line, without the places that its own words spell out."""
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _repeated(node: Any, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the line of each key its mapping holds already, and what to say: YAML would let the last win."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))  # an alias stands for the same node, and one may stand for what it lies in
    first: dict[str, int] = {}
    for item in node.value:
        key, value = item if isinstance(node, yaml.MappingNode) else (None, item)
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in first:
                yield _line(key), f"key {key.value!r} stands here and in line {first[key.value]}; keep one of them"
            first.setdefault(key.value, _line(key))
        yield from _repeated(value, seen)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _near(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.4)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""
