"""GrIPS: gradient-free, edit-based search (Prasad et al., EACL 2023); greedy, simulated annealing, or a beam.

An iteration: ``num_candidates`` candidates are made of the base by deleting, swapping, substituting or putting back
phrases; the best of them becomes the base if it has strictly more points (`operators.objective`). The search stops
after ``patience`` iterations in a row without success: the paper's code counts from 1 and stops beyond 2, so after
two, as here.
What differs from the paper and its code. Phrases come from punctuation and function words instead of a constituency
parse, and are edited as phrases instead of by replacing substrings (`operators.phrases`); a substitute comes from a
bank, or from the operator model, instead of from PEGASUS. Operations are drawn among those that apply to the base: a
prompt of one phrase has none to delete. With ``num_compose`` above 1 all that is deleted are phrases of the base. All
seed prompts are scored, and the search starts from the best instead of from one given instruction. In annealing the
best candidate replaces the base if it is as good, or by chance exp(gain / T) with T = 10 exp(-i / 5) in iteration i,
from 0; that counts as success, which the code forgets. The beam is the paper's option, which the released code lacks:
every member has its candidates, the best B of all live on, and success is a better best. When an iteration ends,
immigrants are scored on the rows they lack and compete with the base; a better one is a success. ``restart`` is ours.
The run's winner is chosen by dev accuracy from everyone ever scored, not by points.
Calls, with S seeds, |D| rows, m candidates, i iterations: at most (S + i m)|D| task calls; a beam of B has B m
candidates in each iteration after the first. No operator call, or one for each substitution with ``substitute: model``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import OK, Brief, Individual, Prompt
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, between, one_of
from operators.brood import Brood
from operators.climb import Candidate, Climb, Line, drawn_part, drawn_steps
from operators.initialisation import require_living
from operators.objective import Objective, Points
from operators.phrase_script import PhraseScript
from operators.phrases import Level
from operators.pool import lacking
from operators.rewrites import MAX_TOKENS, TEMPERATURE
from operators.seeds import Seed
from operators.selection import best

NAME = "grips"
Unit = Literal["phrase", "word", "sentence"]
LEVELS: dict[Unit, Level] = {"phrase": "clause", "word": "word", "sentence": "sentence"}
Mode = Literal["greedy", "annealing", "beam"]
Substitute = Literal["bank", "model"]
Start = Literal["best", "first"]
Restart = Literal["never", "seeds", "best"]
T_MAX, COOLING = 10.0, 5.0
Asked = tuple[Proposal | Evidence | None, Climb]


@dataclass(frozen=True, slots=True)
class Grips:
    """Hill climbing by edits of phrases, which need no operator model (GrIPS).

    Args:
        num_candidates: Candidates m of an iteration, for each member of a beam.
        num_compose: Edits of each candidate.
        patience: Iterations in a row without success after which the search stops, or starts again; those in which no
            candidate got a score do not count.
        iterations: Most iterations; None goes on until patience or the budget ends.
        level: What is edited: phrases, words or sentences.
        mode: ``greedy`` takes what is better, ``annealing`` sometimes what is worse, ``beam`` keeps several.
        beam: Members B of a beam.
        substitute: Where other wordings come from: a small ``bank``, or a call of the operator ``model``.
        objective: ``balanced`` accuracy with the entropy of the labels, where there are labels; or plain ``accuracy``.
        start_from: The ``best`` seed prompt, or the ``first`` that lives.
        restart: What follows when patience is used up: ``never`` stops; ``seeds`` starts from the next seed prompt, in
            turn; ``best`` from the best so far, with nothing deleted yet.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "no model can write prompts: a small local edit search, from a decent instruction."
    cost: ClassVar[str] = "an iteration: m x |dev| task calls (a beam: B times as many), and no operator call"
    racing: ClassVar[str] = "full"
    in_flight: ClassVar[int | None] = None

    num_candidates: int = 5
    num_compose: int = 1
    patience: int = 2
    iterations: int | None = 10
    level: Unit = "phrase"
    mode: Mode = "greedy"
    beam: int = 5
    substitute: Substitute = "bank"
    objective: Objective = "balanced"
    start_from: Start = "best"
    restart: Restart = "never"
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        for name in ("num_candidates", "num_compose", "patience", "beam", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        if self.iterations is not None:
            at_least(NAME, "iterations", self.iterations, 1)
        one_of(NAME, "level", self.level, Unit)
        one_of(NAME, "mode", self.mode, Mode)
        one_of(NAME, "substitute", self.substitute, Substitute)
        one_of(NAME, "objective", self.objective, Objective)
        one_of(NAME, "start_from", self.start_from, Start)
        one_of(NAME, "restart", self.restart, Restart)
        between(NAME, "temperature", self.temperature, 0, 2)

    def start(self, brief: Brief) -> Climb:
        """Return the first state. Raises ConfigError when there is no seed prompt."""
        seeds = tuple(dict.fromkeys(brief.seeds))
        if not seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        return Climb(brief, seeds, Brood(len(seeds)))

    def ask(self, state: Climb, number: int, rng: np.random.Generator) -> Asked:
        """Return the next birth, or scores an immigrant lacks; None while an iteration is told, or at the end.

        Raises:
            ConfigError: All seeds are told and none lives.
        """
        if (place := state.first.place) is not None:
            return Proposal(Seed(state.seeds[place])), replace(state, first=state.first.ask(number))
        if not state.first.closed or self.finished(state):
            return None, state
        if not state.brood.closed:
            return (None, state) if state.brood.place is None else self._candidate(state, number, rng)
        if state.immigrants:
            return _comparison(state)
        require_living(state.members, 1)
        brood = Brood(self.num_candidates * len(state.lines))
        return self._candidate(replace(state, brood=brood, luck=1.0 - float(rng.random())), number, rng)

    def tell(self, state: Climb, individual: Individual) -> Climb:
        """Return the state that knows this individual, or what was found about it; the last one ends an iteration."""
        number, over = individual.number, self.finished(state)
        if number in state.seen:
            return self._settled(state.informed(individual))
        state = replace(state, seen=state.seen.add(number))
        if state.first.awaits(number):
            state = replace(state, first=state.first.tell(individual))
            return self._settled(self._founded(state)) if state.first.closed else state
        if state.brood.awaits(number):
            state = replace(state, brood=state.brood.tell(individual))
            return self._settled(self._ended(state)) if state.brood.closed else state
        known = any(other.prompt.shown == individual.prompt.shown for other in (*state.members, *state.immigrants))
        if over or known or individual.status != OK:
            return state
        immigrants = sorted((*state.immigrants, individual), key=lambda one: one.number)
        return self._settled(replace(state, immigrants=tuple(immigrants)))

    def living(self, state: Climb) -> Sequence[Individual]:
        """Return the base or the beam, the best so far, and immigrants: as many as a beam holds, or two.

        While seeds are told they are the best of these.
        """
        members = state.members if state.first.closed else best(state.first.living, self.beam)
        return (*members, *(one for one in state.immigrants if one.ok))[: max(2, self.beam)]

    def finished(self, state: Climb) -> bool:
        """Whether the iterations or the patience are used up, and no immigrant waits."""
        weary = self.restart == "never" and state.failures >= self.patience
        return state.resting and not state.immigrants and (weary or self._over(state))

    def _over(self, state: Climb) -> bool:
        return self.iterations is not None and state.iteration >= self.iterations

    def _candidate(self, state: Climb, number: int, rng: np.random.Generator) -> Asked:
        """Return the birth of the next candidate: ``num_candidates`` of each line, one line after the other."""
        line = state.lines[(state.brood.place or 0) // self.num_candidates]
        part = drawn_part(state.brief, line.member.prompt, rng)
        steps = drawn_steps(line, part, LEVELS[self.level], self.num_compose, rng)
        operator = PhraseScript(
            tuple((step.operation, step.lost.phrase if step.lost else "") for step in steps),
            LEVELS[self.level],
            self.substitute == "model",
            state.brief.labels,
            self.temperature,
            self.max_tokens,
        )
        back = [step.lost.source for step in steps if step.operation == "add" and step.lost]
        sources = {source.number: source for source in back}
        parents, roles = (line.member, *sources.values()), ("base", *("deleted-from" for _ in sources))
        candidates = (*state.candidates, Candidate(number, line, steps))
        state = replace(state, brood=state.brood.ask(number), candidates=candidates)
        return Proposal(operator, parents, roles, part=part), state

    def _founded(self, state: Climb) -> Climb:
        """Return the state after the seeds: their ranking, the score set, and the first search begun."""
        seeds = state.first.living
        tried = {outcome.example for seed in seeds for outcome in seed.evaluation.outcomes}
        rows = tuple(row.number for row in state.brief.dev if row.number in tried or not seeds)
        ranking = tuple(sorted(seeds, key=_rank(self._points(state).of(seeds))))
        state = replace(state, rows=rows, ranking=seeds if self.start_from == "first" else ranking)
        return self._begun(replace(state, best=ranking[0])) if ranking else state

    def _begun(self, state: Climb) -> Climb:
        """Return the state at the beginning of a search, from the next seed or the best so far."""
        base = state.best
        if state.ranking and (self.restart != "best" or not state.starts):
            base = state.ranking[state.starts % len(state.ranking)]
        lines = (Line(base),) if base else ()
        return replace(state, lines=lines, starts=state.starts + 1, age=0, failures=0)

    def _ended(self, state: Climb) -> Climb:
        """Return the state after an iteration."""
        births = {candidate.number: candidate for candidate in state.candidates}
        children = [births[child.number].descendant(child) for child in state.brood.living]
        after, success = self._met(state, children, state.luck if self.mode == "annealing" else 1.0)
        failures = 0 if success else state.failures + bool(children)  # an outage is no failure of the search
        after = replace(after, brood=Brood(0), candidates=(), luck=1.0, failures=failures)
        return replace(after, iteration=state.iteration + 1, age=state.age + 1)

    def _settled(self, state: Climb) -> Climb:
        """Return the state, between iterations joined by immigrants and with a new search where patience is used up."""
        if not state.resting or state.incomplete():
            return state
        strangers = [Line(one) for one in state.immigrants if one.ok]
        state, success = self._met(state, strangers, 1.0)
        failures = 0 if success else state.failures
        state = replace(state, immigrants=(), sent=frozenset(), failures=failures)
        weary = self.restart != "never" and failures >= self.patience
        return self._begun(state) if weary and not self._over(state) else state

    def _met(self, state: Climb, entrants: Sequence[Line], luck: float) -> tuple[Climb, bool]:
        """Return the state after entrants met the base or the beam, and whether that is a success.

        With ``luck`` below 1 one that is no better may win.
        """
        if not entrants:
            return state, False
        points = self._points(state).of([*state.members, *(line.member for line in entrants)])
        rank = _rank(points)
        winner, *_ = sorted(entrants, key=lambda line: rank(line.member))
        lead = points.get(winner.member.number, -math.inf)
        bar = max((points.get(line.member.number, -math.inf) for line in state.lines), default=-math.inf)
        if state.best is None or lead > points.get(state.best.number, -math.inf):
            state = replace(state, best=winner.member)
        if self.mode == "beam":
            beam = sorted((*state.lines, *entrants), key=lambda line: rank(line.member))
            return replace(state, lines=_distinct(beam)[: self.beam]), lead > bar
        gain, heat = lead - bar, T_MAX * math.exp(-state.age / COOLING)
        success = gain > 0 or (self.mode == "annealing" and luck < 1 and (gain == 0 or gain > heat * math.log(luck)))
        return replace(state, lines=(winner,) if success else state.lines), success

    def _points(self, state: Climb) -> Points:
        return Points(state.brief.dev, state.brief.labels, self.objective)


def _comparison(state: Climb) -> Asked:
    """Return a request for the scores that an immigrant lacks; None while they are gathered."""
    for one in state.incomplete():
        if one.number not in state.sent:
            return Evidence(one, lacking(one, state.rows)), replace(state, sent=state.sent | {one.number})
    return None, state


def _rank(points: Mapping[int, float]) -> Callable[[Individual], tuple[float, int]]:
    """Return a sort key, best first: more points, then the older; those without points last.

    Not the shorter, as elsewhere: every tie would go to a delete, and a beam would soon have nothing left to edit.
    """
    return lambda one: (-points.get(one.number, -math.inf), one.number)


def _distinct(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines, of several with the same prompt the first."""
    known: dict[Prompt, Line] = {}
    for line in lines:
        known.setdefault(line.member.prompt, line)
    return tuple(known.values())
