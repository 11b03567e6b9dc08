"""The report of a run as one HTML file that needs nothing else: no network, no library, no server.

The page that follows a run (`evo.view.server`) is the same, but asks its server for the story.

Prompts and replies are untrusted. They stand in the page as JSON that cannot end its element, are shown as text alone,
with what would steer a screen made visible, and a content security policy lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from evo.errors import EvoError
from evo.untrusted import one_line, safe
from evo.view.shorten import LEAST, shortened
from evo.view.story import story

if TYPE_CHECKING:
    from evo.run import Run

SCRIPTS = ("page", "draw", "words", "summary", "pictures", "tables", "tree", "detail", "graph", "steer", "start")
STILL, LIVE = (*SCRIPTS, "still"), (*SCRIPTS, "keep", "live")
"""Files of a page whose story stands in it, and of one that asks for it and keeps what the reader has set."""
STYLES = ("page", "parts")
LONGEST = 24_000
"""Most characters of any text of a page, whoever forgot to shorten it."""
_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def write_report(run: Run, path: Path) -> Path:
    """Write a run's report whole or not at all; return its path. Raises EvoError when it cannot be written."""
    page = html_of(story(run))
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(page, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise EvoError(f"the report cannot be written to {str(path)!r}: {error.strerror}; name another file") from error
    return path


def html_of(document: Mapping[str, Any]) -> str:
    """Return a story as a page."""
    about = "This file holds all it shows and asks nothing of any network."
    return _page(title_of(document["head"]), STILL, data=json_of(document), about=about)


def live_html(title: str) -> str:
    """Return the page that asks ``data.json``, beside it, for the story; it connects to nothing else."""
    about = "This page follows a run, asks its own server for news and nobody else, and changes nothing."
    return _page(title, LIVE, data="null", about=about, bar=_file("live.html"), rules=("connect-src 'self'",))


def title_of(head: Mapping[str, Any]) -> str:
    """Return what a page about a run is called: its task, or its name."""
    return str(head["description"] or head["run"])


def _page(
    title: str, scripts: Sequence[str], *, data: str, about: str, bar: str = "", rules: Sequence[str] = ()
) -> str:
    style = "".join(_file(f"{name}.css") for name in STYLES)
    script = _wrapped([_file(f"{name}.js") for name in scripts])
    return Template(_file("page.html")).substitute(
        title=html.escape(f"{one_line(title, 80)} · prompt-archipelago"),
        policy="; ".join((_policy(style, script), *rules)),
        style=style,
        script=script,
        data=data,
        about=about,
        bar=bar,
    )


def _wrapped(files: Sequence[str]) -> str:
    """Return a script that names nothing outside itself: what draws a story, and at last what draws it when."""
    *parts, last = files
    return f"(() => {{\n'use strict';\nfunction report(story, over) {{\n{''.join(parts)}}}\n{last}}})();\n"


def json_of(document: Any) -> str:
    """Return a document as JSON that can stand inside a script element, every text of it safe to show."""
    return json.dumps(_shown(document), ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_UNSAFE)


def _shown(value: Any) -> Any:
    """Return a document whose texts steer no screen, and whose numbers JSON has."""
    if isinstance(value, str):
        return safe(shortened(value, LONGEST))
    if isinstance(value, Mapping):
        return {safe(shortened(str(key), LEAST)): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _policy(style: str, script: str) -> str:
    """Return the content security policy: this style and this script, and nothing from anywhere."""
    rules = (f"style-src {_hash(style)}", f"script-src {_hash(script)}", "img-src data:", "base-uri 'none'")
    return "; ".join(("default-src 'none'", *rules, "form-action 'none'"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return (files("evo.view") / "web" / name).read_text(encoding="utf-8")
