"""HTML that stands in a notebook without script or style sheet: tables, prompts and what changed in them.

Only elements and attributes that JupyterLab leaves in an untrusted notebook are used. What a model or a stranger wrote
stands in ``code`` or ``pre``, where no notebook typesets ``$`` as mathematics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evo.view.shorten import shortened
from evo.view.svg import escaped
from evo.words import ADDED, REMOVED

TEXT = 1_200
"""Most characters shown of one prompt's part."""
SAME = 80
"""Most characters shown of a stretch that has not changed."""
CHANGES = 40
"""Most stretches shown of one change."""
NAME = 80
"""Most characters of a name, which is not broken to make a table's column narrow."""
_WRAP = "white-space:pre-wrap;unicode-bidi:isolate;overflow-wrap:"
_MARKS = {ADDED: "ins", REMOVED: "del"}


def text_of(text: str, limit: int = TEXT) -> str:
    """Return an untrusted text, shortened, that keeps its lines."""
    wrap = "anywhere" if limit > NAME else "break-word"
    return f'<code dir="auto" style="{_WRAP}{wrap}">{escaped(shortened(text, limit))}</code>'


def prompt_of(parts: Iterable[Sequence[str]]) -> str:
    """Return a prompt's parts, of several each under its name."""
    parts = list(parts)
    shown = ((f"{text_of(name, NAME)}<br>" if len(parts) > 1 else "") + text_of(text) for name, text in parts)
    return "".join(f'<blockquote style="margin-left:0">{one}</blockquote>' for one in shown)


def changes_of(diffs: Iterable[Mapping[str, Any]], *, first: bool = False) -> str:
    """Return what a birth changed in a prompt, what stayed the same cut short; of several parts those that changed.

    Of the ``first`` of a line, whose diff is with itself, the prompt.
    """
    diffs = list(diffs)
    if first:
        return prompt_of([one["part"], "".join(text for _, text in one["changes"])] for one in diffs)
    changed = [one for one in diffs if any(kind in _MARKS for kind, _ in one["changes"])]
    shown = [(f"{text_of(one['part'], NAME)} " if len(diffs) > 1 else "") + _changes(one["changes"]) for one in changed]
    return "<br>".join(shown) or "unchanged"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are HTML; nothing where it would have no row."""
    body = "".join(f"<tr>{''.join(_cell('td', cell) for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    above = f"<thead><tr>{''.join(_cell('th', cell) for cell in head)}</tr></thead>" if head else ""
    title = f'<caption style="text-align:left">{caption}</caption>' if caption else ""
    return f"<table>{title}{above}<tbody>{body}</tbody></table>"


def folded(summary: str, content: str) -> str:
    """Return content that is shown when asked for, without any script; nothing when there is none."""
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def _changes(changes: Sequence[Sequence[str]]) -> str:
    shown = "".join(_change(kind, text) for kind, text in changes[:CHANGES])
    more = " …" if len(changes) > CHANGES else ""
    return f'<code dir="auto" style="{_WRAP}anywhere">{shown}{more}</code>'


def _change(kind: str, text: str) -> str:
    mark = _MARKS.get(kind)
    if mark is None:
        cut = len(text) > SAME
        return escaped(f"{text[: SAME // 2]} … {text[-SAME // 2 :]}" if cut else text)
    return f"<{mark}>{escaped(shortened(text, TEXT // 2))}</{mark}>"


def _cell(element: str, content: str) -> str:
    return f'<{element} style="text-align:left;vertical-align:top;padding:2px 12px 2px 0">{content}</{element}>'
