"""A graph of individuals as text that other programs draw: Graphviz DOT and Mermaid.

Labels hold what models and strangers wrote, so nothing in them may end a label or begin markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evo.untrusted import one_line

WIDTH = 60
"""Characters of a prompt that a node shows."""


@dataclass(frozen=True, slots=True)
class Node:
    """An individual as drawn; ``fitness`` is None where it has none or did not stay in the race."""

    number: int
    operator: str
    generation: int
    island: int
    fitness: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A parent and its child, or an ancestor and its descendant ``steps`` births later; then ``role`` is empty."""

    parent: int
    child: int
    role: str
    steps: int = 1


def dot(nodes: Sequence[Node], links: Iterable[Link], focus: int | None = None) -> str:
    """Return a directed graph for Graphviz, parents above; a box for each island, the one in focus drawn thick."""
    lines = ["digraph lineage {", "  node [shape=box, fontname=sans]"]
    for island in sorted({node.island for node in nodes}):
        lines += [f"  subgraph cluster_{island} {{", f'    label="island {island}"']
        for node in (one for one in nodes if one.island == island):
            label = "\\n".join(map(_quoted, _words(node)))
            lines.append(f'    n{node.number} [label="{label}"{", penwidth=3" * (node.number == focus)}]')
        lines.append("  }")
    lines += (f'  n{link.parent} -> n{link.child} [label="{_quoted(_about(link))}"{_dashed(link)}]' for link in links)
    return "\n".join([*lines, "}", ""])


def mermaid(nodes: Iterable[Node], links: Iterable[Link], focus: int | None = None) -> str:
    """Return a flowchart for Mermaid, parents above; the individual in focus drawn thick."""
    lines = ["flowchart TD"]
    lines += (f'  n{node.number}["{"<br/>".join(map(_entities, _words(node)))}"]' for node in nodes)
    for link in links:
        arrow = "-->" if link.steps == 1 else "-.->"
        lines.append(f'  n{link.parent} {arrow}|"{_entities(_about(link))}"| n{link.child}')
    if focus is not None:
        lines.append(f"  style n{focus} stroke-width:4px")
    return "\n".join([*lines, ""])


def _words(node: Node) -> tuple[str, str]:
    fitness = "" if node.fitness is None else f", {100 * node.fitness:.1f} %"
    return f"{node.number}: {one_line(node.operator, 40)}{fitness}", one_line(node.text, WIDTH) or "(no prompt)"


def _about(link: Link) -> str:
    return one_line(link.role, 40) or "parent" if link.steps == 1 else f"{link.steps} births"


def _dashed(link: Link) -> str:
    return ", style=dashed" if link.steps > 1 else ""


def _quoted(text: str) -> str:
    """Return text for the inside of a DOT string, where a backslash begins a code, such as one for the node's name."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entities(text: str) -> str:
    """Return text for the inside of a quoted Mermaid label: whatever is not plain is a numbered entity."""
    return re.sub(r"[^\w .,:!?%+/=-]|_", lambda sign: f"#{ord(sign[0])};", text)
