"""A run at a glance: what the display shows and islands report."""

from __future__ import annotations

from dataclasses import dataclass

from evo.budget import Usage


@dataclass(frozen=True, slots=True)
class IslandStatus:
    """An island at a glance. ``best`` and ``median`` are dev fitness; ``improved_by`` made the best one."""

    island: int
    births: int = 0
    failed: int = 0
    best: float | None = None
    median: float | None = None
    improved_by: str = ""
    generation: int = 0
    test_calls: int = 0
    """Most calls that the final test of anyone living here can take."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the calls of one purpose came to since this attempt began; tokens and dollars are those of the answers."""

    purpose: str
    calls: int = 0
    """Attempts that were sent."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    """Of those whose price is known."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at a glance."""

    phase: str
    elapsed_s: float
    left_s: float | None
    spent: Usage
    in_flight: int
    recalled: int
    """Calls answered from earlier runs' logs."""
    shared: int
    """Calls this run asked for again, or twice at once, and did not send again."""
    failed: int
    islands: tuple[IslandStatus, ...]
    pauses: tuple[str, ...] = ()
    """Models that are not called for the moment, in words."""
    waiting: int = 0
    """Calls that wait for a model's pace."""
    traffic: tuple[Traffic, ...] = ()
