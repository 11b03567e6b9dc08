"""Worked examples as genes: choose, order, swap, add, remove and cross them, and give them the model's own reasoning.

Pure functions on worked examples ("demos"), and two operators made of them that call no model. Rows come from those a
method may show (`Brief.practice`). Of two demos with the same input only one is kept. The crossover, and reasoning
taken from replies that were right, are CAPO's (Zehle et al., AutoML 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import numpy as np

from evo.errors import ConfigError, OperatorError
from evo.model import Demo, Example, Individual, Outcome, Prompt, demos_of, with_demos
from evo.ports import Llm
from operators.arguments import at_least, one_of
from operators.parsing import normalised
from operators.rows import MAX_CHARS, drawn_rows, shown_input

Demos = tuple[Demo, ...]
Change = Literal["add", "remove", "swap", "order", "choose", "reason"]


def demo_of(row: Example) -> Demo:
    """Return a row as a worked example: its input as operators show it, and its target as the answer."""
    return Demo(shown_input(row), row.target, row=row.number)


def unused(demos: Sequence[Demo], rows: Sequence[Example]) -> tuple[Example, ...]:
    """Return the rows that are none of the demos, in their order."""
    taken = {demo.input for demo in demos}
    return tuple(row for row in rows if shown_input(row) not in taken)


def chosen(rows: Sequence[Example], count: int, rng: np.random.Generator) -> Demos:
    """Return demos of ``count`` different rows in random order; of all rows where there are fewer."""
    return tuple(demo_of(row) for row in drawn_rows(rows, count, rng))


def ordered(demos: Demos, rng: np.random.Generator) -> Demos:
    """Return the demos in a random order."""
    return tuple(demos[int(place)] for place in rng.permutation(len(demos)))


def added(demos: Demos, rows: Sequence[Example], rng: np.random.Generator) -> Demos:
    """Return the demos and one more, of a row that is none of them; as they are where there is no such row."""
    return (*demos, *chosen(unused(demos, rows), 1, rng))


def removed(demos: Demos, rng: np.random.Generator) -> Demos:
    """Return the demos without a random one; none of none."""
    gone = int(rng.integers(len(demos))) if demos else 0
    return demos[:gone] + demos[gone + 1 :]


def swapped(demos: Demos, rows: Sequence[Example], rng: np.random.Generator) -> Demos:
    """Return the demos, a random one exchanged for that of a row that is none of them, where there is one."""
    newcomer = chosen(unused(demos, rows), 1, rng)
    if not demos or not newcomer:
        return demos
    place = int(rng.integers(len(demos)))
    return (*demos[:place], *newcomer, *demos[place + 1 :])


def crossed(first: Demos, second: Demos, rng: np.random.Generator) -> Demos:
    """Return as many demos as two parents have on average, rounded down, drawn from those of both in random order.

    Of a demo both have, the one with reasoning counts.
    """
    union: dict[str, Demo] = {}
    for demo in (*first, *second):
        if demo.input not in union or (demo.working and not union[demo.input].working):
            union[demo.input] = demo
    return ordered(tuple(union.values()), rng)[: (len(first) + len(second)) // 2]


def reasoned(demos: Demos, outcomes: Iterable[Outcome]) -> Demos:
    """Return the demos, those without reasoning with what a model wrote where it was right on their row.

    A reply that is only the answer, or too long to be shown whole, gives none.
    """
    right = {o.example: o.reply for o in outcomes if o.score is not None and o.score >= 1.0}
    return tuple(
        demo if demo.working or demo.row not in right else replace(demo, working=working(right[demo.row], demo.answer))
        for demo in demos
    )


def working(reply: str, answer: str) -> str:
    """Return the reasoning in a reply: all of it but last lines that only repeat the answer; empty if too long.

    A prompt of several stages may have several such lines.
    """
    lines = reply.strip().split("\n")
    while lines and normalised(lines[-1]) in ("", normalised(answer)):
        lines.pop()
    text = "\n".join(lines).strip()
    return text if len(text) <= MAX_CHARS else ""


def outcomes_of(individual: Individual) -> tuple[Outcome, ...]:
    """Return what is known of an individual's replies, on dev and on train rows."""
    return (*individual.evaluation.outcomes, *individual.practice.outcomes)


@dataclass(frozen=True, slots=True)
class FewShot:
    """Return the only parent with one random change of its worked examples. No model call.

    ``changes`` are tried in random order until one changes something: add one, remove one, swap one for another row,
    order them anew, choose 1 to ``upper_shots`` others, or give reasoning (the parent's own words) to those of rows it
    was right on. Without ``rows`` only what needs no row can be done.
    """

    name: ClassVar[str] = "few-shot"

    changes: tuple[Change, ...] = get_args(Change)
    upper_shots: int = 5
    rows: tuple[Example, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.changes:
            raise ConfigError(f"{self.name} expects changes out of {', '.join(get_args(Change))}, got none; name one")
        for change in self.changes:
            one_of(self.name, "changes", change, Change)
        at_least(self.name, "upper_shots", self.upper_shots, 1)

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError when no change can be made."""
        del llm
        (base,) = parents
        demos = demos_of(base.prompt)
        for place in rng.permutation(len(self.changes)):
            changed = self._changed(self.changes[int(place)], base, demos, rng)
            if changed != demos:
                return with_demos(base.prompt, changed)
        raise OperatorError(
            f"expected worked examples that can be changed, got {len(demos)} and {len(self.rows)} rows; pass train rows"
        )

    def _changed(self, change: Change, base: Individual, demos: Demos, rng: np.random.Generator) -> Demos:
        match change:
            case "add":
                return added(demos, self.rows, rng) if len(demos) < self.upper_shots else demos
            case "remove":
                return removed(demos, rng)
            case "swap":
                return swapped(demos, self.rows, rng)
            case "order":
                return ordered(demos, rng)
            case "choose":
                return chosen(self.rows, int(rng.integers(1, self.upper_shots + 1)), rng) or demos
            case "reason":
                return reasoned(demos, outcomes_of(base))


@dataclass(frozen=True, slots=True)
class Demonstrate:
    """Return the only parent with these rows as its worked examples, its own words where it was right. No model call.

    ``numbers`` are those of ``examples``, in the order in which they are shown.
    """

    name: ClassVar[str] = "demonstrate"

    numbers: tuple[int, ...]
    examples: tuple[Example, ...] = field(repr=False)

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Demonstrate:
        """Return the operator that shows these rows."""
        return cls(tuple(example.number for example in examples), tuple(examples))

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child."""
        del llm, rng
        (base,) = parents
        demos = tuple(demo_of(example) for example in self.examples)
        return with_demos(base.prompt, reasoned(demos, outcomes_of(base)))
