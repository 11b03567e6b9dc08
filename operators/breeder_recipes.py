"""How each of Promptbreeder's operators (Fernando et al., 2023) is used: which parents it takes, in which roles.

Eight operators generate; prompt crossover follows any of them now and then, or is drawn by itself. An operator that
finds nothing to work on (no correct working, no elite ancestor, nobody to cross with) gives way to direct mutation.
Crossover that follows a mutation swaps another task-prompt than the mutated one, which it would undo: units of one
task-prompt cross over only where crossover is drawn by itself. A task-prompt that the base lacks, as a seed prompt or
an immigrant may, is written as those of the first population are, whichever operator was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from evo.model import Demo, Example, Individual, demos_of
from evo.ports import Operator, Proposal
from operators.contexts import shuffled, workings
from operators.estimation import Estimate, LineageEstimate, RankedEstimate
from operators.genes import MUTATION, mutation_of
from operators.lamarckian import Lamarckian
from operators.mutation_prompts import AddPart, BetterMutation, FirstOrder, NewMutation, ZeroOrder
from operators.random_string import AfterRandomString
from operators.replication import Copy, Replicate
from operators.selection import roulette
from operators.similarity import diverse
from operators.units import Unit

ZERO_HYPER, FIRST_HYPER = HYPER = ("zero-order-hyper", "first-order-hyper")
CROSSOVER = "crossover"
MUTATION_ROLE = "mutation_prompt"
SHOWN = 4
"""Most workings a Lamarckian mutation shows."""
Fallback = Literal["direct", "zero-order", "first-order"]
Parents = tuple[tuple[Individual, str], ...]


@dataclass(frozen=True, slots=True)
class Kit:
    """What births are made with: the task in words, and the arguments that operators need."""

    description: str
    parts: tuple[str, ...]
    """Names of the task-prompts."""
    practice: tuple[Example, ...] = field(repr=False)
    """Rows that operators may show."""
    styles: tuple[str, ...] = field(repr=False)
    max_tokens: int
    contexts: int
    crossover: float
    similarity: float
    """Cosine above which a prompt is not listed beside a better one."""
    embeddings: bool
    """Whether that cosine is of embeddings, not of trigrams."""
    fallback: Fallback
    random_string: int = 0
    """Characters of the random string in front of what a mutation asks the model; 0: none."""

    def headed(self, operator: Operator) -> Operator:
        """Return an operator that asks after a random string, where there is to be one."""
        return AfterRandomString(operator, self.random_string) if self.random_string else operator


@dataclass(frozen=True, slots=True)
class Plan:
    """A replication decided on: a copy of the unit in ``winner``, mutated, is to overwrite ``slot``."""

    winner: int
    slot: int
    operator: str
    temperature: float
    """Of the copy."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a recipe may draw on."""

    kit: Kit
    plan: Plan
    base: Unit
    carrier: Individual
    """Whose mutation-prompt the copy gets."""
    members: tuple[Individual, ...]
    """Who else lives, and the base."""
    part: str
    """The task-prompt to be mutated."""
    rng: np.random.Generator

    @property
    def call(self) -> tuple[float, int]:
        """Temperature and most tokens of the operator's call."""
        return self.plan.temperature, self.kit.max_tokens

    @property
    def parent(self) -> Parents:
        """The base with its role."""
        return ((self.base.individual, "base"),)

    @property
    def listed(self) -> Parents:
        """The members that have the part; without near-duplicates, unless the operator is to leave them out."""
        sharing = [_focused(member, self.part) for member in self.members if self.part in dict(member.prompt.parts)]
        shown = sharing if self.kit.embeddings else diverse(sharing, self.kit.similarity)
        return tuple((member, "listed") for member in shown)

    @property
    def listing(self) -> tuple[float, int, float | None]:
        """What a call that lists members takes: as `call`, and the cosine of embeddings above which one is left out."""
        return *self.call, self.kit.similarity if self.kit.embeddings else None


Recipe = Callable[[Scene], tuple[Operator, Parents] | None]


def zero_order(scene: Scene) -> tuple[Operator, Parents]:
    """Return a restart from the task's description."""
    return ZeroOrder(scene.kit.description, *scene.call), scene.parent


def first_order(scene: Scene) -> tuple[Operator, Parents]:
    """Return the copy's mutation-prompt, applied."""
    return FirstOrder(*scene.call), (*scene.parent, (scene.carrier, MUTATION_ROLE))


def estimate(scene: Scene) -> tuple[Operator, Parents]:
    """Return the continuation of a list of the population."""
    return Estimate(*scene.listing), (*scene.parent, *scene.listed)


def ranked_estimate(scene: Scene) -> tuple[Operator, Parents]:
    """Return the continuation of a ranking of the population."""
    return RankedEstimate(*scene.listing), (*scene.parent, (scene.carrier, MUTATION_ROLE), *scene.listed)


def lineage(scene: Scene) -> tuple[Operator, Parents] | None:
    """Return the continuation of the base's elite ancestors; None without any."""
    elites = tuple((elite, "elite") for elite in scene.base.elites if scene.part in dict(elite.prompt.parts))
    return (LineageEstimate(*scene.call), (*scene.parent, *elites)) if elites else None


def lamarckian(scene: Scene) -> tuple[Operator, Parents] | None:
    """Return the instruction behind the base's correct workings; None without any."""
    temperature, max_tokens = scene.call
    base, rows = scene.base.individual, scene.kit.practice
    operator = Lamarckian.of(base, rows, scene.rng, shown=SHOWN, temperature=temperature, max_tokens=max_tokens)
    return None if operator is None else (operator, scene.parent)


RECIPES: Mapping[str, Recipe] = {
    ZeroOrder.name: zero_order,
    FirstOrder.name: first_order,
    Estimate.name: estimate,
    RankedEstimate.name: ranked_estimate,
    LineageEstimate.name: lineage,
    ZERO_HYPER: first_order,
    FIRST_HYPER: first_order,
    Lamarckian.name: lamarckian,
}
"""The eight that generate; the new mutation-prompt of a hypermutation is applied at once, as first-order does."""


def new_mutation_prompt(kit: Kit, plan: Plan, carrier: Individual, rng: np.random.Generator) -> Proposal:
    """Return the birth of a hypermutation's mutation-prompt."""
    if plan.operator == FIRST_HYPER:
        improve = BetterMutation(plan.temperature, kit.max_tokens)
        return Proposal(kit.headed(improve), (carrier,), ("base",), examples=(), part=MUTATION)
    invent = NewMutation(kit.description, drawn(kit.styles, rng), plan.temperature, kit.max_tokens)
    return Proposal(kit.headed(invent), examples=(), part=MUTATION)


def replication(
    kit: Kit, plan: Plan, base: Unit, carrier: Individual, members: tuple[Individual, ...], rng: np.random.Generator
) -> Proposal:
    """Return the birth of the winner's mutated copy; which task-prompt is mutated, or added, is drawn."""
    part = drawn(kit.parts, rng)
    scene = Scene(kit, plan, base, carrier, members, part, rng)
    donor, swapped = _donor(scene, rng)
    mutation: Operator
    if donor and plan.operator == CROSSOVER:
        mutation, shown = Copy(), scene.parent
    else:
        mutation, shown = _mutation(scene, rng)
    operator = Replicate(
        CROSSOVER if isinstance(mutation, Copy) else plan.operator if plan.operator in HYPER else mutation.name,
        mutation,
        mutation_of(carrier.prompt),
        plan.temperature,
        swapped,
        _contexts(scene, rng),
    )
    everyone = (*shown, *(((donor, "mate"),) if donor else ()))
    parents, roles = tuple(one for one, _ in everyone), tuple(role for _, role in everyone)
    return Proposal(kit.headed(operator), parents, roles, part=part)


def _mutation(scene: Scene, rng: np.random.Generator) -> tuple[Operator, Parents]:
    if not scene.base.has(scene.part):
        added = AddPart(scene.kit.description, drawn(scene.kit.styles, rng), *scene.call)
        return added, (*scene.parent, (scene.carrier, MUTATION_ROLE))
    recipe = RECIPES.get(scene.plan.operator)
    found = recipe(scene) if recipe else None
    if found is not None:
        return found
    direct = drawn((ZeroOrder.name, FirstOrder.name), rng)
    name = direct if scene.kit.fallback == "direct" else scene.kit.fallback
    return zero_order(scene) if name == ZeroOrder.name else first_order(scene)


def _donor(scene: Scene, rng: np.random.Generator) -> tuple[Individual | None, str]:
    """Return who gives a task-prompt, drawn in proportion to fitness, and which; nobody where none crosses over."""
    alone = scene.plan.operator == CROSSOVER
    parts = [part for part in scene.kit.parts if (part == scene.part) is alone]
    if not parts or rng.random() >= (1.0 if alone else scene.kit.crossover):
        return None, ""
    swapped = drawn(parts, rng)
    own = dict(scene.base.individual.prompt.parts).get(swapped)
    donors = [member for member in scene.members if dict(member.prompt.parts).get(swapped, own) != own]
    return (roulette(donors, 1, rng)[0], swapped) if donors else (None, "")


def _contexts(scene: Scene, rng: np.random.Generator) -> tuple[Demo, ...] | None:
    if not scene.kit.contexts:
        return None
    own = demos_of(scene.base.individual.prompt) if scene.base.native else ()
    return shuffled(own, workings(scene.base.individual, scene.kit.practice), scene.kit.contexts, rng)


def _focused(member: Individual, part: str) -> Individual:
    return replace(member, prompt=member.prompt.focused(part))


def drawn(names: Sequence[str], rng: np.random.Generator) -> str:
    """Return one of the names, all equally likely."""
    return names[int(rng.integers(len(names)))]
