"""A run without models: the real loop, methods, racing and task sizes, with made-up scores, in memory, without a log.

Calls are counted as the run would count them, since it is the run's own loop that asks for them; what it asks for after
that depends on scores and texts, which are drawn here. Migrants, failed calls and unusable replies are left out. A
judge's calls are the most there can be: a run judges equal replies to a row once, and replies of a word or two, such as
labels, are often equal, which nobody knows before.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evo.budget import BARREN, KEPT_SHARE, RACE_SHARE, Usage, capped
from evo.commission import FinalCalls, Models
from evo.errors import BudgetExhausted
from evo.life import Ground, begin
from evo.loop import live
from evo.model import STAGES, Budget, Completion, Evaluation, Individual, Outcome, Prompt, Request
from evo.plugins import build_model
from evo.ports import Llm, Price
from evo.randomness import child_rng
from evo.rates import STAND_IN, JudgeRates, Rates
from evo.status import IslandStatus

PATIENCE_S = 20.0
"""How long a rehearsal may take."""
LUCK, SPREAD = (0.4, 0.9), 3.0
"""Shares of rows that prompts get right here, and how much a prompt's words matter for it."""


@dataclass(slots=True)
class Books:
    """What a rehearsed search has spent, against the caps of the run. ``calls`` and the like are of all islands.

    ``ended_by`` is the cap that ended it, ``time`` where the rehearsal itself took too long, else nothing.
    """

    budget: Budget
    end: FinalCalls
    calls: int = 0
    tokens: float = 0.0
    usd: float | None = 0.0
    task_calls: int = 0
    task_tokens: float = 0.0
    task_usd: float | None = 0.0
    ended_by: str = ""
    known: dict[object, set[int]] = field(default_factory=dict)
    """Rows that prompts were scored on, and requests that were answered: what is known is not sent again."""
    _began: float = field(default_factory=time.monotonic)

    @property
    def test(self) -> Usage:
        """What the final test takes."""
        return self._like(self.end.winner + self.end.baseline)

    @property
    def final(self) -> Usage:
        """What the final race, as far as it is paid for, and the final test take."""
        return self.test + capped(self._like(self.end.race), self.budget, RACE_SHARE)

    def kept(self, budget: Budget) -> Usage:
        """Return what is set aside for both."""
        return capped(self.test, budget, KEPT_SHARE) + capped(self._like(self.end.race), budget, RACE_SHARE)

    def _like(self, calls: int) -> Usage:
        """Return what calls take that are like those so far."""
        share = calls / max(1, self.task_calls)
        usd = None if self.task_usd is None else self.task_usd * share
        return Usage(calls, round(self.task_tokens * share), usd)

    @property
    def affordable(self) -> float:
        """Share of the final race and test that is paid for."""
        final, budget = self.final, self.budget
        amounts = (
            (budget.calls, self.calls, final.calls),
            (budget.tokens, self.tokens, final.tokens),
            (budget.usd, self.usd, final.usd),
        )
        shares = [(cap - spent) / wanted for cap, spent, wanted in amounts if cap and wanted and spent is not None]
        return min([1.0, *shares])

    def pay(self, calls: int, prompt: float, output: float, price: Price | None, *, task: bool) -> int:
        """Book calls, as many of them as the budget pays for, and return how many."""
        tokens = prompt + output
        usd = None if price is None else price.prompt_usd * prompt + price.output_usd * output
        paid = self._affordable(calls, tokens, usd)
        share = paid / calls if calls else 0.0
        cost = None if usd is None else usd * share
        self.calls, self.tokens, self.usd = self.calls + paid, self.tokens + share * tokens, _sum(self.usd, cost)
        if task:
            self.task_calls, self.task_tokens = self.task_calls + paid, self.task_tokens + share * tokens
            self.task_usd = _sum(self.task_usd, cost)
        return paid

    def _affordable(self, calls: int, tokens: float, usd: float | None) -> int:
        held, fits, paid = self.kept(self.budget), 1.0, calls
        if time.monotonic() - self._began > PATIENCE_S:
            self.ended_by, fits = "time", 0.0
        for name, wanted, spent, kept in (
            ("calls", calls, self.calls, held.calls),
            ("tokens", tokens, self.tokens, held.tokens),
            ("usd", usd, self.usd, held.usd),
        ):
            cap = getattr(self.budget, name)
            if cap is None or not wanted or spent is None:
                continue
            left = cap - spent - (kept or 0.0)
            if left < fits * wanted:
                self.ended_by, fits = name, max(0.0, left / wanted)
                paid = int(calls * fits)
        return paid if fits > 0 else 0


@dataclass(slots=True)
class Rehearsal:
    """The `World` of one island in a rehearsal, and what its births took.

    Args:
        ground: The island's.
        books: Shared by all islands.
        rates: What calls to each of the run's models take.
        models: Places of the island's own among them: what one of them has answered it is not asked again.
        first_only: Whether to end with the founding.
        judge: What a call of the judge takes, where there is one.
    """

    ground: Ground[Any]
    books: Books
    rates: Sequence[Rates]
    models: Models
    first_only: bool = False
    judge: JudgeRates | None = None
    births: int = 0
    founders: int = 0
    """Births that come from no prompt with a score."""
    task_calls: int = 0
    operator_calls: int = 0
    founding_task_calls: int = 0
    founding_operator_calls: int = 0
    pen: Llm = field(default_factory=lambda: build_model(STAND_IN))
    _scored: set[int] = field(default_factory=set)
    _tested: Counter[int] = field(default_factory=Counter)
    _written: Counter[int] = field(default_factory=Counter)
    _barren: int = 0

    @property
    def founding_calls(self) -> int:
        """Calls for the founders, until they were told."""
        return self.founding_task_calls + self.founding_operator_calls

    async def run(self) -> None:
        """Live until the method, the births or the budget end."""
        await live(self.ground, begin(self.ground), self)

    def llm(self, individual: int) -> _Pen:
        """See `evo.life.World`."""
        return _Pen(self, individual)

    async def evaluate(self, individual: int, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """See `evo.life.World`."""
        await asyncio.sleep(0)
        known = self.books.known.setdefault((self.models.task, prompt.shown), set())
        new = [row for row in examples if row not in known]
        known.update(new)
        calls = sum(self.ground.task.calls(prompt, new))
        rates = self.rates[self.models.task]
        sent, answered = rates.row_tokens(prompt)
        judged = len(new) * self.ground.task.judge_calls
        shows = len(new) * self._repeats(prompt, new)
        paid = self.books.pay(calls - judged, shows * sent, shows * answered, rates.price, task=True)
        if self.judge is not None:
            judge = self.judge
            paid += self.books.pay(judged, judged * judge.prompt, judged * judge.output, judge.price, task=True)
        self.task_calls += paid
        self._tested[individual] += paid
        self._barren = 0 if paid else self._barren
        if paid < calls:
            raise BudgetExhausted("the rehearsed budget is used")
        self._scored.add(individual)
        return _made_up(prompt, examples)

    def _repeats(self, prompt: Prompt, rows: Sequence[int]) -> int:
        """Return how often a row is asked: by the calls of a row that shares its prior with one before it."""
        task = self.ground.task
        stages = 1 + sum(name in STAGES for name, _ in prompt.shown)
        return (task.calls(prompt, [*rows[:1], *rows[:1]])[-1] - task.judge_calls) // stages if rows else 1

    async def record(self, rows: Mapping[str, Sequence[Mapping[str, Any]]], status: IslandStatus) -> bool:
        """See `evo.life.World`."""
        self.books.end = replace(self.books.end, winner=max(self.books.end.winner, status.test_calls))
        parents: dict[int, list[int]] = {}
        for edge in rows.get("edges", ()):
            parents.setdefault(edge["child"], []).append(edge["parent"])
        for row in rows.get("individuals", ()):
            self.births += 1
            self._barren += 1
            if self._scored.isdisjoint(parents.get(row["id"], ())):
                self.founders += 1
                self.founding_task_calls += self._tested[row["id"]]
                self.founding_operator_calls += self._written[row["id"]]
        founded = self.births > self.founders
        return not self.books.ended_by and self._barren < BARREN and not (self.first_only and founded)

    async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
        """See `evo.life.World`."""
        del population, told
        return ()

    def write(self, individual: int, request: Request, reply: Completion) -> None:
        """Book an operator's call. Raises BudgetExhausted."""
        embedder = self.models.embedding
        model = embedder if request.embedding and embedder is not None else self.models.operator
        known = self.books.known.setdefault(request.key(str(model)), set())
        if known:
            return
        known.add(0)
        rates = self.rates[model]
        paid = self.books.pay(1, *rates.operator_tokens(request, reply.text), rates.price, task=False)
        self.operator_calls += paid
        self._written[individual] += paid
        self._barren = 0
        if not paid:
            raise BudgetExhausted("the rehearsed budget is used")


@dataclass(frozen=True, slots=True)
class _Pen:
    """The stand-in for an operator model, its calls booked."""

    world: Rehearsal
    individual: int
    identity: str = "rehearsal"
    can_choose: bool = False
    can_embed: bool = True
    price: Price | None = None

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        reply = await self.world.pen.complete(request)
        self.world.write(self.individual, request, reply)
        return reply

    async def aclose(self) -> None:
        """Nothing to close."""


def _made_up(prompt: Prompt, examples: Sequence[int]) -> Evaluation:
    """Return scores of 0 and 1 that depend on prompt and row alone, as a model's do.

    Prompts that share words are about as good, and some rows are hard for all of them.
    """
    words = sorted({*re.findall(r"\w+", " ".join(text for _, text in prompt.shown).casefold())})
    merit = sum(zlib.crc32(word.encode()) / 2**32 for word in words) / max(1, len(words))
    low, high = LUCK
    right = low + (high - low) * min(1.0, max(0.0, 0.5 + SPREAD * (merit - 0.5)))
    size = 1 + max(examples, default=0)
    rows, own = child_rng(0, "rows").random(size), child_rng(0, "own", int(prompt.bare().hash, 16)).random(size)
    luck = (rows + own) / 2
    rank = np.where(luck < 0.5, 2 * luck**2, 1 - 2 * (1 - luck) ** 2)  # evenly spread again
    return Evaluation.of(
        Outcome(row, float(rank[row] < right), answer="a", reply="I think it is a.") for row in examples
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
