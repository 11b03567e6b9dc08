"""Replies that must be JSON of a given shape (JSON Schema; draft by its ``$schema``, else the latest)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from fitness.reasons import quoted, unparsed

FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
STARTS = 50
"""Places in a reply where JSON is looked for at most."""
VIOLATIONS = 3
"""A reason names at most this many violations."""
NESTED = 200
"""Deepest nesting that is read: what goes deeper would exhaust the stack of what looks at it."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Whether the reply holds JSON that is valid by a schema, as ``{name: json-schema, schema: ticket.schema.json}``.

    The JSON is the whole reply, or the first in a fenced block, or the first object or list in it. References to other
    documents are never fetched.

    Args:
        schema: The schema, or a file with it; left out: any JSON.
        fields: Names of fields that must be equal to the target's, which is a JSON object then; the score of a valid
            reply is the share of them that are.
        folder: Where a file is looked for; that of the configuration where it is left out.
    """

    schema: Mapping[str, Any] | str = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    folder: str = ""
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.fields, list | tuple) or not all(isinstance(name, str) for name in self.fields):
            raise ConfigError(f"scorer json-schema: expected fields as a list of names, got {self.fields!r}")
        object.__setattr__(self, "fields", tuple(self.fields))
        schema = _read(Path(self.folder) / self.schema) if isinstance(self.schema, str) else self.schema
        object.__setattr__(self, "schema", schema)  # workers elsewhere have no such file
        object.__setattr__(self, "folder", "")
        _check(schema)

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1, or the share of equal fields, for valid JSON, else 0; a reply without JSON is unparsed.

        Raises ValueError for a target that is no object with those fields.
        """
        if flaw := self.flaw(example.target):
            raise ValueError(flaw)
        found = next(_json_in(completion.text), None)
        if found is None:
            wanted = example if self.fields else replace(example, target="JSON")
            return unparsed("no JSON", completion.text, wanted)
        answer = json.dumps(found, ensure_ascii=False)
        if violations := self._violations(found):
            return Score(0.0, answer, "expected JSON valid by the schema, but " + "; ".join(violations))
        return self._agreement(found, answer, example)

    def flaw(self, target: str) -> str:
        """Return why a target cannot be compared with; empty where it can, or is not."""
        if not self.fields:
            return ""
        wanted = _loaded(target)
        if not isinstance(wanted, dict):
            return f"target {target[:40]!r} is no JSON object"
        lacking = [name for name in self.fields if name not in wanted]
        return f"target {target[:40]!r} has no field {lacking[0]!r}" if lacking else ""

    def _violations(self, value: Any) -> list[str]:
        errors = sorted(_validator(self.schema).iter_errors(value), key=lambda error: error.json_path)
        more = [f"{len(errors) - VIOLATIONS} more"] if len(errors) > VIOLATIONS else []
        return [f"at {error.json_path[:80]}: {_short(error.message)}" for error in errors[:VIOLATIONS]] + more

    def _agreement(self, value: Any, answer: str, example: Example) -> Score:
        if not self.fields:
            return Score(1.0, answer)
        wanted: dict[str, Any] = json.loads(example.target)
        given = value if isinstance(value, dict) else {}
        wrong = [name for name in self.fields if name not in given or not same(given[name], wanted[name])]
        reasons = [
            f"{name}: expected {quoted(json.dumps(wanted[name], ensure_ascii=False))}, got "
            + (quoted(json.dumps(given[name], ensure_ascii=False)) if name in given else "no such field")
            for name in wrong[:VIOLATIONS]
        ]
        return Score(1 - len(wrong) / len(self.fields), answer, "; ".join(reasons))


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _json_in(text: str) -> Iterator[Any]:
    """Yield the JSON values of a reply, the likeliest to be meant first."""
    whole = _loaded(text)
    if whole is not None:
        yield whole
    yield from (value for block in FENCE.findall(text) if (value := _loaded(block)) is not None)
    starts = [found.start() for found in re.finditer(r"[\[{]", text)][:STARTS]
    yield from (value for start in starts if (value := _loaded(text[start:], alone=False)) is not None)


def _loaded(text: str, *, alone: bool = True) -> Any:
    """Return the JSON value a text is, or begins with unless it must stand ``alone``; None where there is none."""
    try:
        value, end = DECODER.raw_decode(text.strip())
    except (ValueError, RecursionError):
        return None
    return value if (not alone or end == len(text.strip())) and _depth(value) <= NESTED else None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= NESTED:
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level, depth = [item for items in inner for item in items], depth + 1
    return depth


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"scorer json-schema: expected a JSON file at {path}, but {error}; name one") from error


def _check(schema: Any) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    if not isinstance(schema, Mapping):
        raise ConfigError(f"scorer json-schema: expected an object or a file as schema, got {type(schema).__name__}")
    try:
        validator_for(schema, default=_latest()).check_schema(schema)
    except SchemaError as error:
        raise ConfigError(
            f"scorer json-schema: expected a JSON Schema, but at {error.json_path}: {_short(error.message)}; mend it"
        ) from error
    _check_references(schema)


def _check_references(schema: Any) -> None:
    """Raise ConfigError for a reference that leads nowhere: every reply would meet it, or only some."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # the drafts' own: no fetching
    from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable

    root = _specification(schema).create_resource(schema)
    registry = REGISTRY.with_resource(root.id() or "", root)
    waiting, seen = [(root, registry.resolver_with_root(root))], {id(schema)}
    while waiting:
        part, resolver = waiting.pop()
        found = [(inner, resolver.in_subresource(inner)) for inner in part.subresources()]
        for reference in _references(part.contents):
            try:
                there = resolver.lookup(reference)
            except (Unresolvable, NoSuchAnchor, PointerToNowhere) as error:
                raise ConfigError(
                    f"scorer json-schema: expected references within the schema, but {reference!r} leads nowhere; put "
                    "what it names into the schema"
                ) from error
            found.append((_specification(schema).create_resource(there.contents), there.resolver))
        waiting += [(one, way) for one, way in found if id(one.contents) not in seen]
        seen |= {id(one.contents) for one, _ in found}


def _references(part: Any) -> list[str]:
    given = [part.get(name) for name in ("$ref", "$dynamicRef")] if isinstance(part, Mapping) else []
    return [reference for reference in given if isinstance(reference, str)]


def _specification(schema: Any) -> Any:
    from referencing.jsonschema import DRAFT202012, specification_with

    return specification_with(schema.get("$schema", ""), default=DRAFT202012)


def _validator(schema: Any) -> Any:
    from jsonschema.validators import validator_for  # not before it is used
    from referencing import Registry

    return validator_for(schema, default=_latest())(schema, registry=Registry())


def _latest() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator


def _short(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:80]} ... {message[-76:]}"
