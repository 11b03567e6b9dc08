"""How ProTeGi's beam grows: reasons for errors, edits against the reasons, paraphrases (Pryzant et al., EMNLP 2023).

Each stage is planned of what the one before it led to; a birth that failed has no children.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evo.model import Individual
from evo.ports import Proposal
from evo.randomness import child_rng
from operators.beam import Beam, Families, scores_on
from operators.rewrites import Paraphrase
from operators.rows import drawn_rows, mistakes
from operators.stages import Stage
from operators.textual_gradients import GradientEdit, TextualGradient

MOST_ERRORS = 16
"""Rows successors are tried on before some are rejected."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The sizes of an expansion; arguments as in `operators.protegi.ProTeGi`."""

    n_gradients: int
    errors_per_gradient: int
    gradients_per_error: int
    steps_per_gradient: int
    mc_samples_per_step: int
    max_expansion_factor: int
    reject_on_errors: bool
    temperature: float
    max_tokens: int

    def criticised(self, state: Beam) -> Beam:
        """Return the state with births of reasons for the members' errors; of none for a member without errors."""
        operator = TextualGradient((), state.minibatch, self.temperature, self.max_tokens)
        rng = child_rng(state.draw, "gradients")
        births = [birth for one in state.members for birth in self._reasons(one, operator, state.part, rng)]
        return state.breeding("criticise", births)

    def _reasons(
        self, member: Individual, operator: TextualGradient, part: str, rng: np.random.Generator
    ) -> Iterator[Proposal]:
        wrong = [row for row, _ in mistakes(member, operator.rows)]
        for _ in range(self.n_gradients if wrong else 0):
            group = sorted(row.number for row in drawn_rows(wrong, self.errors_per_gradient, rng))
            for _ in range(self.gradients_per_error):
                yield Proposal(replace(operator, errors=tuple(group)), (member,), ("base",), (), part)

    def edited(self, state: Beam) -> Beam:
        """Return the state with births of edits against each reason, which are shown the errors it was found on."""
        return state.breeding("edit", self._edits(state.stage, state))

    def _edits(self, reasons: Stage, state: Beam) -> Iterator[Proposal]:
        for step, reason in zip(reasons.plan, reasons.results, strict=True):
            if reason is None or not isinstance(step, Proposal) or not isinstance(step.operator, TextualGradient):
                continue
            operator = GradientEdit(step.operator.errors, state.minibatch, self.temperature, self.max_tokens)
            for _ in range(self.steps_per_gradient):
                yield Proposal(operator, (*step.parents, reason), ("base", "gradient"), (), state.part)

    def paraphrased(self, state: Beam) -> Beam:
        """Return the state with births of paraphrases of every edit and every member."""
        state = replace(state, families=_grown(state))
        operator = Paraphrase(self.temperature, self.max_tokens)
        texts = [one for member, family in zip(state.members, state.families, strict=True) for one in (*family, member)]
        births = (
            Proposal(operator, (text,), ("base",), (), state.part)
            for text in texts
            for _ in range(self.mc_samples_per_step)
        )
        return state.breeding("paraphrase", births)

    def drawn(self, state: Beam) -> Beam:
        """Return the state with the successors that are drawn, and a stage that tries those that may be rejected."""
        rng = child_rng(state.draw, "successors")
        most = self.max_expansion_factor
        families: list[tuple[Individual, ...]] = []
        for member, family in zip(state.members, _distinct(_grown(state), state.members), strict=True):
            rejects = self.reject_on_errors and self._shown_errors(state, member)
            families.append(_sampled(family, 2 * most if rejects else most, rng))
        state = replace(state, families=tuple(families))
        wanted = [
            (one, self._shown_errors(state, member))
            for member, family in zip(state.members, state.families, strict=True)
            for one in family
            if len(family) > most
        ]
        return state.trying("reject", wanted)

    def rejected(self, state: Beam) -> Beam:
        """Return the state without the successors that are worst on the errors of the member they came from."""
        families = tuple(
            _best_on(family, self._shown_errors(state, member), self.max_expansion_factor)
            for member, family in zip(state.members, state.families, strict=True)
        )
        return replace(state, families=families)

    def _shown_errors(self, state: Beam, member: Individual) -> list[int]:
        """Return up to 16 errors of a member in the minibatch, the same whenever they are asked for in a round."""
        wrong = [row for row, _ in mistakes(member, state.minibatch)]
        rng = child_rng(state.draw, "errors", member.number)
        return [row.number for row in drawn_rows(wrong, MOST_ERRORS, rng)]


def _grown(state: Beam) -> Families:
    """Return the families with what the stage led to: a birth belongs where its first parent does."""
    home = {member.number: place for place, member in enumerate(state.members)}
    home |= {one.number: place for place, family in enumerate(state.families) for one in family}
    families = [list(family) for family in state.families]
    for step, one in zip(state.stage.plan, state.stage.results, strict=True):
        if one is not None and isinstance(step, Proposal):
            families[home[step.parents[0].number]].append(one)
    return tuple(tuple(family) for family in families)


def _distinct(families: Families, members: Sequence[Individual]) -> Families:
    """Return the families without repeated prompts, those of the members among them; of several the first stays."""
    seen = {member.prompt.shown for member in members}
    found: list[tuple[Individual, ...]] = []
    for family in families:
        first = {one.prompt.shown: one for one in reversed(family) if one.prompt.shown not in seen}
        found.append(tuple(one for one in family if first.get(one.prompt.shown) is one))
        seen.update(first)
    return tuple(found)


def _sampled(family: Sequence[Individual], size: int, rng: np.random.Generator) -> tuple[Individual, ...]:
    """Return ``size`` successors drawn at random, in their order; all where there are no more."""
    places = rng.choice(len(family), size=size, replace=False) if len(family) > size else range(len(family))
    return tuple(family[place] for place in sorted(int(place) for place in places))


def _best_on(family: Sequence[Individual], rows: Sequence[int], size: int) -> tuple[Individual, ...]:
    """Return the ``size`` successors with the highest mean on these rows, all where there are no more."""

    def rank(one: Individual) -> tuple[float, int, int]:
        scores = [score for score in scores_on(one, rows) if score is not None]
        mean = math.fsum(scores) / len(scores) if scores else -1.0
        return (-mean, one.prompt.length, one.number)

    return tuple(family) if len(family) <= size else tuple(sorted(family, key=rank)[:size])
