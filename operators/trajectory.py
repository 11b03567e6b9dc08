"""What OPRO knows: the best instructions so far, what was tried, the step under way; and which examples to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from evo.model import FAILED, OK, Brief, Example, Individual
from operators.brood import Brood
from operators.members import renewed
from operators.meta_prompt import TRIED
from operators.rows import drawn_rows, mistakes
from operators.selection import best
from operators.told import Told

Criterion = Literal["random", "constant", "accumulative_most_frequent", "current_most_frequent"]
BY_MISTAKES: tuple[Criterion, ...] = ("accumulative_most_frequent", "current_most_frequent")


@dataclass(frozen=True, slots=True)
class Trajectory:
    """State of `Opro`."""

    brief: Brief
    size: int | None
    """Most instructions that are shown, and kept; None: all."""
    brood: Brood
    """Births of the step under way; closed between steps."""
    scored: tuple[int, ...] | None = None
    """Rows every birth is scored on; None: racing decides."""
    shown: tuple[Individual, ...] = ()
    """The best so far, best first."""
    exemplars: tuple[Example, ...] = ()
    """Examples of the task shown in the step under way, or the last one."""
    part: str | None = None
    """The part of the prompt the step works on."""
    wrong: frozenset[int] = frozenset()
    """Rows that operators may see and anyone ever got wrong."""
    known: frozenset[str] = frozenset()
    """Hashes of the prompts tried so far: 32 characters for each."""
    immigrants: tuple[Individual, ...] = ()
    """Arrivals by number; they join between two steps, once scored on the rows that all shown have."""
    asked: frozenset[tuple[int, tuple[int, ...]]] = frozenset()
    """(immigrant, rows) of the evidence asked for."""
    step: int = -1
    """Steps completed; -1 until the seeds are scored."""
    stale: int = 0
    """Steps in a row that brought only what was tried before; steps without a usable reply are not counted."""
    unimproved: int = 0
    """Steps in a row that brought nothing better than the best before."""
    seen: Told = field(default_factory=Told)

    @property
    def living(self) -> tuple[Individual, ...]:
        """The best so far, those of the step under way among them."""
        return best((*self.shown, *self.brood.living), self.size)

    def lacking(self, immigrant: Individual) -> tuple[int, ...]:
        """Return the rows an immigrant must be scored on before it joins."""
        needed = [_tried(one) for one in self.shown]
        rows = set.intersection(*needed) if needed else {row.number for row in self.brief.dev}
        return tuple(sorted(rows - _tried(immigrant)))


def receive(state: Trajectory, individual: Individual) -> Trajectory:
    """Return the state that knows of a birth, of evidence or of an immigrant; twice told changes nothing."""
    number = individual.number
    if state.brood.awaits(number):
        state = replace(state, brood=state.brood.tell(individual), seen=state.seen.add(number))
        return _with_arrivals(_completed(state) if state.brood.closed else state)
    if any(one.number == number for one in state.immigrants):
        return _with_arrivals(replace(state, immigrants=renewed(state.immigrants, individual)))
    if number in state.seen:
        shown = best(renewed(state.shown, individual), state.size)
        return replace(state, shown=shown, brood=state.brood.informed(individual))
    state = replace(state, seen=state.seen.add(number))
    if individual.status != OK or not individual.prompt.shown:
        return state
    arrivals = sorted((*state.immigrants, individual), key=lambda arrival: arrival.number)
    return _with_arrivals(replace(state, immigrants=tuple(arrivals)))


def _completed(state: Trajectory) -> Trajectory:
    """Return the state after the step whose births are all told."""
    before, told = state, state.brood.told
    new = [one for one in told if one.status != FAILED and one.prompt.bare().hash not in state.known]
    state = _joined(replace(state, brood=Brood(0), step=state.step + 1), new)
    said = bool(new) or any(_is_known(state, one) for one in told)
    best_before, best_now = (max((one.fitness or 0.0 for one in s.shown), default=-1.0) for s in (before, state))
    return replace(
        state,
        stale=0 if new else state.stale + said,
        unimproved=0 if best_now > best_before else state.unimproved + said,
    )


def _is_known(state: Trajectory, born: Individual) -> bool:
    """Return whether the model replied with something tried before: an outage or an unusable reply says nothing."""
    return TRIED in born.note if born.status == FAILED else born.prompt.bare().hash in state.known


def _with_arrivals(state: Trajectory) -> Trajectory:
    """Return the state with the immigrants that have all they need, between two steps."""
    ready = [one for one in state.immigrants if not state.lacking(one)] if state.brood.closed else []
    if not ready:
        return state
    left = tuple(one for one in state.immigrants if state.lacking(one))
    waiting = {one.number for one in left}
    asked = frozenset((number, rows) for number, rows in state.asked if number in waiting)
    return _joined(replace(state, immigrants=left, asked=asked), ready)


def _joined(state: Trajectory, arrivals: Sequence[Individual]) -> Trajectory:
    wrong = {row.number for one in arrivals for row, _ in mistakes(one, state.brief.practice)}
    return replace(
        state,
        shown=best((*state.shown, *arrivals), state.size),
        wrong=state.wrong | wrong,
        known=state.known | {one.prompt.bare().hash for one in arrivals},
    )


def shown_to_model(state: Trajectory, threshold: float) -> tuple[Individual, ...]:
    """Return the instructions that reach a threshold, or all where none does; worst first."""
    enough = [one for one in state.shown if one.fitness >= threshold]
    return tuple(reversed(enough or state.shown))


def exemplars(
    state: Trajectory, shown: Sequence[Individual], criterion: Criterion, count: int, rng: np.random.Generator
) -> tuple[Example, ...]:
    """Return the examples of the task for one step, ``count`` of them where there are as many rows."""
    rows = state.brief.practice
    if criterion == "constant" and state.exemplars:
        return state.exemplars
    shuffled = drawn_rows(rows, len(rows), rng)
    if criterion == "accumulative_most_frequent":
        shuffled = tuple(sorted(shuffled, key=lambda row: row.number not in state.wrong))
    if criterion == "current_most_frequent":
        errors = Counter(row.number for one in shown for row, _ in mistakes(one, rows))
        shuffled = tuple(sorted(shuffled, key=lambda row: -errors[row.number]))
    return shuffled[:count]


def _tried(individual: Individual) -> set[int]:
    return {o.example for o in (*individual.evaluation.outcomes, *individual.practice.outcomes)}
