"""How a prompt and a row make one message: placeholders, filled in a single pass, so that data is never a template."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from evo.errors import ConfigError
from evo.plugins import unknown

PROMPT, INPUT = "prompt", "input"


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return ``template`` with ``{name}`` replaced for the names in ``values``, once, from left to right.

    What a value holds is never looked at again. ``{{name}}`` and every other brace stay as they are written.
    """
    if not values:
        return template
    return _pattern(tuple(values)).sub(lambda found: values[found[1]] if found[1] else found[0], template)


def cut(template: str, values: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return ``template`` as `fill` leaves it, cut where ``{name}`` stood: joined by a text it is filled with that."""
    pieces, end = [""], 0
    for found in _pattern((*values, name)).finditer(template):
        pieces[-1] += template[end : found.start()]
        end = found.end()
        if found[1] == name:
            pieces.append("")
        else:
            pieces[-1] += values[found[1]] if found[1] else found[0]
    return (*pieces[:-1], pieces[-1] + template[end:])


def placeholders(template: str, known: Collection[str]) -> frozenset[str]:
    """Return the names in ``known`` that ``fill`` would replace."""
    if not known:
        return frozenset()
    return frozenset(name for name in _pattern(tuple(sorted(known))).findall(template) if name)


def input_template(value: str, columns: Sequence[str]) -> str:
    """Return the template of a row's input: ``value`` itself, or ``{value}`` where it names a column.

    Raises ConfigError, listing the columns, when it names one that is not there.
    """
    if value in columns:
        return f"{{{value}}}"
    named = re.findall(r"\{([\w .-]+)\}", re.sub(r"\{\{.*?\}\}", "", value)) or [value]
    for name in named:
        if name not in columns:
            raise ConfigError(f"task.input: {unknown('column', name, set(columns))}")
    return value


def agreed_placeholders(prompts: Sequence[str], known: Collection[str]) -> frozenset[str]:
    """Return the placeholders of the seed prompts; none without prompts. Raises ConfigError when they differ."""
    found = [placeholders(prompt, known) for prompt in prompts]
    if not found:
        return frozenset()
    usual = Counter(found).most_common(1)[0][0]
    for number, (prompt, names) in enumerate(zip(prompts, found, strict=True), 1):
        if names != usual:
            raise ConfigError(
                f"expected the same placeholders in every seed prompt; most have {braced(usual)}, but number {number} "
                f"({prompt[:60]!r}) has {braced(names)}; make them agree"
            )
    return usual


def near_misses(prompts: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each thing in braces that is no placeholder but was probably meant as one."""
    notes: dict[str, None] = {}
    for prompt in prompts:
        for found in re.finditer(r"\{\{\s*([\w-]+)\s*\}\}|\{\s*([\w-]+)\s*\}", prompt):
            name = found[1] or found[2]
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
            if near and found[0] != f"{{{near[0]}}}":
                notes[f"{found[0]} in a seed prompt stays as it is; for the row's text write {{{near[0]}}}"] = None
    return tuple(notes)


def unfilled(layout: str, known: Collection[str], columns: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each thing in braces that a layout leaves as it is. Raises ConfigError for a column."""
    notes: list[str] = []
    for name in sorted({*re.findall(r"(?<!\{)\{([\w-]+)\}(?!\})", layout)} - {*known}):
        if name in columns:
            raise ConfigError(
                f"task.layout: expected {braced(known)}, got the column {{{name}}}; columns go into task.input, which "
                "may be a template of several"
            )
        notes.append(f"{{{name}}} in task.layout stays as it is; a layout knows {braced(known)}")
    return tuple(notes)


def braced(names: Collection[str]) -> str:
    """Return names as a reader sees them in a prompt: ``{a}, {b}``, or ``none``."""
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"


@lru_cache(maxsize=256)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, names))
    return re.compile(rf"\{{\{{(?:{alternatives})\}}\}}|\{{({alternatives})\}}")
