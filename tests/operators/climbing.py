"""What the tests of GrIPS share: iterations told by hand, and a world in which fewer words are better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from breeding import DEV, ask_all, brief, failed, tell_all
from reflecting import World

from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.ports import Proposal
from operators.climb import Climb
from operators.grips import Grips
from operators.phrase_script import PhraseScript

LONG = "Please read the review carefully, and decide whether it is good or bad. Reply with one word."
ALL_DEV = tuple(row.number for row in DEV)


def scored(number: int, score: float, text: str = "", rows: Sequence[int] = ALL_DEV, **more: Any) -> Individual:
    """Return an individual with this score on each of these rows, and 100 times as many points."""
    prompt = Prompt.of(text or f"Read it, and say {number}.")
    return Individual(number, prompt, "seed", evaluation=Evaluation.of(Outcome(row, score) for row in rows), **more)


def begun(method: Grips, *scores: float) -> Climb:
    """Return the state after the seeds, whose texts are ``LONG`` and their number, have been told."""
    seeds = [Prompt.of(f"{LONG} {number}") for number in range(len(scores))]
    _, state = ask_all(method, method.start(replace(brief(0), seeds=tuple(seeds))), 0)
    told = [scored(number, score, seeds[number].text) for number, score in enumerate(scores)]
    state = tell_all(method, state, told)
    assert isinstance(state, Climb)
    return state


def iterate(method: Grips, state: Climb, first: int, *scores: float | None) -> tuple[list[Proposal], Climb]:
    """Return the births of an iteration numbered from ``first``, and the state after they are told; None: it failed."""
    births, state = ask_all(method, state, first)
    assert len(births) == len(scores)
    told = [failed(first + n) if score is None else scored(first + n, score) for n, score in enumerate(scores)]
    return births, tell_all(method, state, told)


def bases(state: Climb) -> list[int]:
    """Return the numbers of the base, or of the beam."""
    return [line.member.number for line in state.lines]


def first_with(method: Grips, state: Climb, operation: str, start: int = 10) -> tuple[list[Proposal], int, int, Climb]:
    """Return an iteration's births in which this operation was drawn, its place there, the first number, the state.

    Numbers go up from ``start`` until there is such an iteration.
    """
    for first in range(start, start + 1000, 10):
        births, asked = ask_all(method, state, first)
        kinds = [edits_of(birth)[0][0] for birth in births]
        if operation in kinds:
            return births, kinds.index(operation), first, asked
    raise AssertionError(f"no {operation} was ever drawn")


def edits_of(birth: Proposal) -> tuple[tuple[str, str], ...]:
    """Return the edits of a candidate."""
    assert isinstance(birth.operator, PhraseScript)
    return birth.operator.edits


def brevity(prompt: Prompt, row: int) -> float:
    """Fewer words are better."""
    return max(0.0, 1 - len(prompt.text.split()) / 20)


def world(method: Grips, *seeds: Prompt, **more: Any) -> World:
    """Return a world before its first step; the only seed is ``LONG`` where none is given."""
    task = replace(brief(0), seeds=seeds or (Prompt.of(LONG),), **more.pop("task", {}))
    return World(method, method.start(task), **{"scores": brevity, **more})
