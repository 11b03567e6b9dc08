"""The parts of a Promptbreeder unit that no model under test sees: its mutation-prompt and its temperature.

They are parts of the prompt, so they are inherited, logged and taken along by a migrant.
"""

from __future__ import annotations

import math

import numpy as np

from evo.model import Prompt

MUTATION = "_mutation-prompt"
TEMPERATURE = "_temperature"


def mutation_of(prompt: Prompt) -> str:
    """Return a prompt's mutation-prompt; empty when it has none, as prompts of other methods."""
    return dict(prompt.parts).get(MUTATION, "")


def temperature_of(prompt: Prompt, hottest: float) -> float | None:
    """Return a prompt's temperature, at most ``hottest``; None when it has none that can be read."""
    try:
        value = float(dict(prompt.parts).get(TEMPERATURE, ""))
    except ValueError:
        return None
    return min(max(value, 0.0), hottest) if math.isfinite(value) else None


def perturbed(temperature: float, step: float, hottest: float, rng: np.random.Generator) -> float:
    """Return a temperature moved by up to ``step`` either way, kept from 0 to ``hottest``."""
    return float(min(max(temperature + rng.uniform(-step, step), 0.0), hottest))


def with_genes(prompt: Prompt, mutation: str, temperature: float) -> Prompt:
    """Return the prompt with these genes instead of its own; the temperature is written with 4 decimals."""
    return prompt.with_part(MUTATION, mutation).with_part(TEMPERATURE, f"{temperature:.4f}")
