"""Numbers short enough for a terminal; untrusted text is made safe by `evo.untrusted`."""

from __future__ import annotations

from evo.untrusted import one_line as one_line
from evo.untrusted import safe as safe


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
