"""What a terminal is told: lines that cannot steer it, numbers short enough for it."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from evo.untrusted import one_line as one_line
from evo.untrusted import safe as safe


def say(console: Console, *lines: str | Text) -> None:
    """Print lines as they are, of any width, made safe; coloured ones must have been made of safe text."""
    for line in lines:
        safe_line = safe(line) if isinstance(line, str) else line
        console.print(safe_line, markup=False, highlight=False, soft_wrap=True)


def shown_path(path: Path) -> str:
    """Return a path on one line: a folder's name is a stranger's text, too."""
    return safe(str(path)).replace("\n", "\\u000a")


def shell_word(path: Path) -> str:
    """Return a path as a word of a command that can be copied."""
    return shlex.quote(shown_path(path))


def money(usd: float | None) -> str:
    """Return US dollars; an unknown price is said to be unknown."""
    if usd is None:
        return "unknown cost"
    return f"${usd:.4f}" if usd < 1 else f"${usd:.2f}"


def duration(seconds: float) -> str:
    """Return seconds as 45s, 3m05s or 2h10m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def percent(value: float | None) -> str:
    """Return a score in [0, 1] as a percentage."""
    return "-" if value is None else f"{100 * value:.1f} %"
