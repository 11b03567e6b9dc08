"""``evo lineage``: where an individual came from, step by step, word by word, or as a graph for other programs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.text import Text

from evo.cli.reading import plain, print_json
from evo.cli.report import prompt_lines
from evo.cli.text import one_line, percent, safe, say
from evo.errors import ConfigError
from evo.lineage import Lineage, Step, step_between
from evo.model import OK, Individual, Prompt, individual_number
from evo.origins import PartOrigin
from evo.rivals import paired
from evo.run import Run
from evo.words import ADDED, REMOVED, SAME, Change, diff

_STYLES = {SAME: "", REMOVED: "red strike", ADDED: "green"}
_SIGNS = {SAME: ("", ""), REMOVED: ("[-", "-]"), ADDED: ("{+", "+}")}
"""Where there is no colour, as ``git diff --word-diff`` has them."""
_ROWS = 12
"""Most examples named in one line."""
_OPTIMISTIC = """\
gain: child minus parent [95 %, each for itself], paired over the dev and train rows both have a score for. The search
chose this line by these scores, so its gains are optimistic: trust the final test."""


def lineage(options: Namespace) -> None:
    """Print an individual's line of descent, or a graph of its ancestors."""
    run = Run(options.run)
    found = run.lineage(_number(options.individual) if options.individual else None)
    if options.dot or options.mermaid:
        small = options.simplified or options.tree
        graph = found.simplified(tree=options.tree) if small else found.pedigree()
        return print(graph.to_dot() if options.dot else graph.to_mermaid(), end="")
    if options.simplified or options.tree:
        raise ConfigError("--simplified and --tree expect --dot or --mermaid; without, the line of descent is printed")
    if options.json:
        return print_json(_document(found, options))
    return _print(found, options, Console())


def _number(text: str) -> int:
    """Return an individual's number; ``2:17`` is the 17th of island 2, as pages and plots have it."""
    island, colon, sequence = text.rpartition(":")
    if not (text.isascii() and sequence.isdigit() and (island.isdigit() or not colon)):
        raise ConfigError(
            f"an individual is a number as `evo best` prints it, or 2:17 as the report does, got {text!r}"
        )
    return individual_number(int(island), int(sequence)) if colon else int(sequence)


def _document(found: Lineage, options: Namespace) -> dict[str, Any]:
    line = found.individuals() if options.all else found.line()
    document: dict[str, Any] = {
        "individual": found.number,
        "line": list(map(plain, line)),
        "ancestors": found.ancestors,
    }
    if options.why:
        document["why"] = list(map(_plain_step, found.why()))
    if options.origin:
        document["origin"] = list(map(asdict, found.origin()))
    return document


def _plain_step(step: Step) -> dict[str, Any]:
    ends = {"individual": step.child.number, "parent": step.parent.number, "role": step.role}
    gain = None if step.gain is None else {**asdict(step.gain), "significant": step.gain.significant}
    return {**ends, "operator": step.child.operator, "gain": gain, "won": step.won, "lost": step.lost}


def _print(found: Lineage, options: Namespace, console: Console) -> None:
    line = found.individuals() if options.all else found.line()
    steps = {} if options.all else {child.number: step_between(parent, child) for parent, child in pairwise(line)}
    for one in line:
        coloured = console.color_system is not None and not console.no_color
        say(console, *_birth(one, steps.get(one.number), why=options.why, coloured=coloured))
    if options.why:
        say(console, _OPTIMISTIC)
    if options.origin:
        say(console, *_origin_lines(found.origin()))


def _birth(one: Individual, step: Step | None, *, why: bool, coloured: bool) -> Iterator[str | Text]:
    """Yield what is printed of an individual: who it is, from whom, what it gained, what it says."""
    born = f"generation {one.generation}, island {one.island}, {one_line(one.operator, 40)}"
    yield f"{one.number}  {born}, dev {_fitness(one)}{_gain(step)}"
    if one.parents:
        yield f"   from {', '.join(f'{parent} ({one_line(role, 40)})' for parent, role in one.parents)}"
    if why and step is not None:
        yield f"   {_why(step)}"
    if not one.prompt.parts:
        lines: Iterable[str | Text] = safe(one.note).splitlines()
    elif step is None or not step.parent.prompt.parts:
        lines = prompt_lines(one.prompt.parts)
    else:
        lines = diff_lines(step.parent.prompt, one.prompt, coloured=coloured)
    yield from (Text("   | ").append(line) for line in lines)


def _fitness(one: Individual) -> str:
    return percent(one.fitness) if one.ok else "unscored" if one.status == OK else one.status


def _gain(step: Step | None) -> str:
    if step is None or not step.parent.ok or not step.child.ok:
        return ""
    gains = paired(step.child, step.parent)
    if not gains:
        return ""
    won, lost = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return f" ({100 * sum(gains) / len(gains):+.1f} points: {won} rows won, {lost} lost)"


def _why(step: Step) -> str:
    gain = step.gain
    if gain is None:
        return f"gain over {step.parent.number} unknown: no row has a score for both"
    points = f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], p = {gain.p_value:.2g}"
    words = f"gain over {step.parent.number} {points} on {gain.n} rows"
    return f"{words}; won {_examples(step.won)}; lost {_examples(step.lost)}"


def _examples(numbers: Sequence[int]) -> str:
    if not numbers:
        return "none"
    more = f" and {len(numbers) - _ROWS} more" if len(numbers) > _ROWS else ""
    return f"{len(numbers)}: rows {', '.join(map(str, numbers[:_ROWS]))}{more}"


def diff_lines(before: Prompt, after: Prompt, *, coloured: bool) -> list[Text]:
    """Return what changed as lines, safe to print: coloured, or between signs; of several parts those that changed."""
    parts = diff(before, after)
    lines: list[Text] = []
    for part in (one for one in parts if one.changed):
        if len(parts) > 1:
            lines.append(Text(f"[{safe(part.part)}]{' (gene)' if part.gene else ''}"))
        lines += _drawn(part.changes, coloured=coloured).split("\n")
    return lines or [Text("(unchanged)")]


def _drawn(changes: Iterable[Change], *, coloured: bool) -> Text:
    drawn = Text()
    for change in changes:
        left, right = ("", "") if coloured else _SIGNS[change.kind]
        drawn.append(f"{left}{safe(change.text)}{right}", _STYLES[change.kind] if coloured else None)
    return drawn


def _origin_lines(parts: Iterable[PartOrigin]) -> Iterator[str]:
    """Yield where the phrases come from, genes apart."""
    yield "phrases, and who first had them"
    for part in parts:
        yield f"[{safe(part.part)}]{' (gene)' if part.gene else ''}"
        for span in part.spans:
            source = f"{span.individual}, island {span.island}, {one_line(span.operator, 40)}"
            yield f"   {' '.join(safe(span.text).split())}  <- {source}"
