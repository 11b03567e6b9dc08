"""What prompts can be compared by beside quality, who is dominated by nobody, and where a front bends.

The knee is the member whose worst objective is best, each objective scaled to its range on the front: the compromise
nearest to the ideal point in the maximum norm (Zeleny 1973). What is worst in anything is as far from it as can be, so
that objectives which go together, as length and cost do, cannot outvote quality.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from evo.errors import ConfigError
from evo.model import Individual, Prompt, total_cost

Floats = npt.NDArray[np.float64]

QUALITY, TOKENS, COST, LATENCY = OBJECTIVES = ("quality", "tokens", "cost", "latency")
CHARACTERS = 4
"""Of one token, about: a measure of length that is the same for all models and needs no call."""


def prompt_tokens(prompt: Prompt) -> int:
    """Return about how many tokens the parts have that a model under test may see."""
    return -(-prompt.length // CHARACTERS)


def checked_objectives(names: Iterable[str], owner: str) -> tuple[str, ...]:
    """Return the names. Raises ConfigError unless they are objectives, quality and at least another, each once."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigError(f"{owner} expects a list of objectives, got {names!r}; write [{QUALITY}, {TOKENS}], say")
    found = tuple(names)
    if unknown := [name for name in found if name not in OBJECTIVES]:
        raise ConfigError(f"{owner} expects objectives among {', '.join(OBJECTIVES)}, got {unknown[0]!r}; name those")
    if QUALITY not in found or len(set(found)) < max(2, len(found)):
        raise ConfigError(f"{owner} expects {QUALITY} and other objectives, each once, got {list(found)}; add one")
    return found


def goals(individuals: Sequence[Individual], objectives: Sequence[str]) -> Floats:
    """Return a row for each individual, a column for each objective, higher better.

    Cost and latency are means over the dev rows with a score, as quality is: a call that failed is neither free nor
    fast. Where what somebody costs is unknown, nobody is compared by cost: its column is 0.
    """
    columns = [[_goal(individual, name) for individual in individuals] for name in objectives]
    values = np.array(columns, dtype=np.float64).reshape(len(columns), len(individuals)).T
    return np.where(np.isnan(values).any(axis=0), 0.0, values)


def nondominated(values: Floats) -> list[int]:
    """Return the places of rows that no other row dominates, the best in the first column first.

    A row dominates another that it equals or exceeds in every column; of equal rows the first stays. Time grows with
    rows x front.
    """
    columns = [np.arange(len(values)), *reversed([-column for column in values.T])]
    front = np.empty_like(values)
    kept: list[int] = []
    for place in np.lexsort(columns).tolist():  # nobody later dominates an earlier one
        if not np.all(front[: len(kept)] >= values[place], axis=1).any():
            front[len(kept)] = values[place]
            kept.append(place)
    return kept


def knee(front: Floats) -> int:
    """Return the place of the knee of a front, of several the first; it needs one row at least."""
    span = np.ptp(front, axis=0)
    lacking = (front.max(axis=0) - front) / np.where(span > 0, span, 1.0)
    return int(np.argmin(np.round(lacking.max(axis=1), 12)))


def _goal(individual: Individual, objective: str) -> float:
    if objective == QUALITY:
        return individual.fitness
    if objective == TOKENS:
        return -float(prompt_tokens(individual.prompt))
    scored = [outcome for outcome in individual.evaluation.outcomes if outcome.score is not None]
    if objective == COST:
        cost = total_cost(outcome.cost_usd for outcome in scored)
        return np.nan if cost is None else -cost / max(1, len(scored))
    return -sum(outcome.latency_s for outcome in scored) / max(1, len(scored))
