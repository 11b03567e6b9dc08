"""How a steady-state method uses each operator: which parents it takes from the living, and in which roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evo.errors import ConfigError
from evo.model import EXAMPLES, Example, Individual, by_fitness
from evo.plugins import build, names, unknown
from evo.ports import Operator, Proposal
from evo.settings import NamedSettings
from operators.arguments import between
from operators.edits import OPERATIONS, Edit, PhraseCrossover, Reframe
from operators.few_shot import FewShot
from operators.induction import Induce
from operators.reflection import Reflect, lessons
from operators.restatements import BackTranslation, Cloze, Continuation
from operators.rewrites import CrossoverMutation, DifferentialRecombination, Paraphrase
from operators.rows import drawn_rows
from operators.selection import tournament
from operators.worked_examples import family_for


@dataclass(frozen=True, slots=True)
class Stock:
    """What a recipe may breed from."""

    living: tuple[Individual, ...]
    origins: Mapping[int, Individual]
    """The parent an edited member was edited from, by the member's number."""
    labels: tuple[str, ...]
    rounds: int
    """Size of a tournament."""
    temperature: float
    max_tokens: int
    rows: tuple[Example, ...] = ()
    """Dev rows: what members got wrong there may be shown to a model."""
    practice: tuple[Example, ...] = ()
    """Rows that may be shown to a model with their targets."""
    value: Callable[[Individual], float] | None = None
    """What a tournament goes by; None: fitness, then length."""

    def parent(self, rng: np.random.Generator, without: Individual | None = None) -> Individual:
        """Return a tournament's winner; ``without`` takes part only where nobody else lives."""
        others = [individual for individual in self.living if without is None or individual.number != without.number]
        return tournament(others or self.living, self.rounds, rng, self.value)


Recipe = Callable[[Stock, np.random.Generator], Proposal]


def edit(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return one edit, its kind drawn here, so that only parents it draws phrases from are recorded."""
    base = stock.parent(rng)
    operation = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
    operator = Edit(level="any", operations=(operation,), labels=stock.labels)
    givers: list[tuple[Individual, str] | None] = [None]
    if operation in ("substitute", "add") and len(stock.living) > 1:
        givers.append((stock.parent(rng, without=base), "donor1"))
    if operation == "add" and base.number in stock.origins:
        givers.append((stock.origins[base.number], "deleted-from"))
    giver = givers[int(rng.integers(len(givers)))]
    if giver is None:
        return Proposal(operator, (base,), ("base",))
    return Proposal(operator, (base, giver[0]), ("base", giver[1]))


def reframe(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member with another framing sentence."""
    return Proposal(Reframe(stock.labels), (stock.parent(rng),), ("base",))


def phrase_crossover(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a crossover of two members' phrases."""
    base = stock.parent(rng)
    return Proposal(PhraseCrossover(), (base, stock.parent(rng, without=base)), ("base", "mate"))


def paraphrase(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a paraphrase of a member."""
    return Proposal(Paraphrase(stock.temperature, stock.max_tokens), (stock.parent(rng),), ("base",))


def crossover_mutation(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a crossover of two members that a model writes and mutates."""
    operator = CrossoverMutation(stock.temperature, stock.max_tokens, family_for(stock.labels))
    base = stock.parent(rng)
    return Proposal(operator, (base, stock.parent(rng, without=base)), ("base", "mate"))


def differential(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member recombined with the difference of two others and the best."""
    operator = DifferentialRecombination(
        temperature=stock.temperature, max_tokens=stock.max_tokens, example=family_for(stock.labels)
    )
    base = stock.parent(rng)
    others = [individual for individual in stock.living if individual.number != base.number]
    first, second = (others[int(place)] for place in rng.choice(len(others), size=2, replace=False))
    best = min(stock.living, key=by_fitness)
    return Proposal(operator, (first, second, best, base), ("donor1", "donor2", "best", "base"))


def few_shot(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member with one change of its worked examples."""
    return Proposal(FewShot(rows=stock.practice), (stock.parent(rng),), ("base",), part=EXAMPLES)


def reflect(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member rewritten by a model that sees three dev rows it got wrong and one it got right."""
    base = stock.parent(rng)
    rows = lessons(base, stock.rows, rng)
    return Proposal(Reflect(rows, (), stock.temperature, stock.max_tokens), (base,), ("base",))


def induce(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a restart: an instruction induced from five rows takes the place of a member's."""
    demos = drawn_rows(stock.practice, 5, rng)
    operator = Induce(demos=demos, labels=stock.labels, temperature=stock.temperature, max_tokens=stock.max_tokens)
    return Proposal(operator, (stock.parent(rng),), ("base",))


def continuation(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member said again, as the second of two prompts that mean the same."""
    return Proposal(Continuation(stock.temperature, max_tokens=stock.max_tokens), (stock.parent(rng),), ("base",))


def cloze(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member some words of which were hidden and filled in again."""
    operator = Cloze(temperature=stock.temperature, max_tokens=stock.max_tokens)
    return Proposal(operator, (stock.parent(rng),), ("base",))


def back_translation(stock: Stock, rng: np.random.Generator) -> Proposal:
    """Return a member translated into another language and back."""
    operator = BackTranslation(temperature=stock.temperature, max_tokens=stock.max_tokens)
    return Proposal(operator, (stock.parent(rng),), ("base",))


RECIPES: Mapping[str, tuple[Recipe, int]] = {
    "edit": (edit, 1),
    "reframe": (reframe, 1),
    "phrase-crossover": (phrase_crossover, 2),
    "paraphrase": (paraphrase, 1),
    "crossover-mutation": (crossover_mutation, 2),
    "differential": (differential, 3),
    "few-shot": (few_shot, 1),
    "reflect": (reflect, 1),
    "induce": (induce, 1),
    "continuation": (continuation, 1),
    "cloze": (cloze, 1),
    "back-translation": (back_translation, 1),
}
"""Recipe and number of living it needs, by operator name."""


@lru_cache
def recipe_for(name: str) -> tuple[Recipe, int]:
    """Return an operator's recipe and the number of living it needs; a plugin's operator gets one parent.

    Raises:
        ConfigError: No such operator is known, or it cannot be made without arguments.
    """
    if name in RECIPES:
        return RECIPES[name]
    known = {*RECIPES, *names("evo.operators")}
    if ":" not in name and name not in known:
        raise ConfigError(unknown("operator", name, known))
    operator: Operator = build("evo.operators", NamedSettings(name=name))
    return lambda stock, rng: Proposal(operator, (stock.parent(rng),), ("base",)), 1


def check_weights(owner: str, weights: Mapping[str, float]) -> None:
    """Return nothing. Raises ConfigError for an unknown operator, a weight out of range, or none above 0."""
    for name, weight in weights.items():
        recipe_for(name)
        between(owner, f"the weight of {name}", weight, 0, 1e6)
    if not any(weights.values()):
        raise ConfigError(f"{owner} expects an operator with a weight above 0, got {dict(weights)}; raise one")
