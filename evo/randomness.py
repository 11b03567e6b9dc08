"""Seeded randomness as an argument: one generator for every (run seed, kind, island, number)."""

from __future__ import annotations

import zlib

import numpy as np


def child_rng(seed: int, kind: str, *numbers: int) -> np.random.Generator:
    """Return the generator of one event of a run; the same arguments give the same stream on any machine."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), *numbers])


def draw_seed(rng: np.random.Generator) -> int:
    """Return a seed in [0, 2**31) for a model call."""
    return int(rng.integers(0, 2**31))
