"""An island's life: what does not change, what does, and how a log becomes a life again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from evo.errors import EvoError
from evo.history import ASKED, MET, Past
from evo.model import FAILED, MIGRATION, Brief, Evaluation, Individual, Prompt, island_of, sequence_of
from evo.ports import Evidence, Llm, Method, Proposal, Racing, Task
from evo.randomness import child_rng
from evo.replay import Found
from evo.rivals import Rivals, Tally, untried, with_raced
from evo.statistics import sure_fitness
from evo.status import IslandStatus
from evo.verdict import ENOUGH

S = TypeVar("S")


class World(Protocol):
    """What lies around an island: models, evaluation, the log, and other islands."""

    def llm(self, individual: int) -> Llm:
        """Return the operator model, its calls accounted to an individual."""
        ...

    async def evaluate(self, individual: int, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        """Score a prompt. Raises BudgetExhausted or Interrupted."""
        ...

    async def record(self, rows: Mapping[str, Sequence[Mapping[str, Any]]], status: IslandStatus) -> bool:
        """Add to the log in one transaction; return whether the search goes on."""
        ...

    async def exchange(self, population: Sequence[Individual], told: int) -> Sequence[Individual]:
        """Offer migrants and take those on offer, when it is time; ``told`` counts this island's births so far.

        Those measured by another task model than this island's come without evidence.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ground(Generic[S]):
    """What does not change while an island lives."""

    island: int
    seed: int
    method: Method[S]
    racing: Racing
    task: Task
    births: int | None = None
    can_embed: bool = False
    """Whether the island has an embedding model."""
    meets: int | None = None
    """In lockstep, after how many births each time islands wait for one another; None: they do not."""

    @property
    def brief(self) -> Brief:
        """What the method may know: the task's brief, and what the island can do."""
        return replace(self.task.brief, can_embed=self.can_embed)


@dataclass(slots=True)
class Life(Generic[S]):
    """What changes: the method's state, steps under way, and counts. Rebuilt from the log by `relive`."""

    state: S
    sequence: int = 0
    told: int = 0
    failed: int = 0
    asked: int = 0
    pending: dict[int, Proposal | Evidence] = field(default_factory=dict)
    admitted: int = 0
    """Dev rows that newborns were scored on."""
    added: int = 0
    """Dev rows that racing has asked for on the living."""
    generation: int = 0
    """The highest of any birth asked for."""
    raced: tuple[Individual, ...] = ()
    """The latest newborns, see `evo.rivals.Rivals`."""
    raised: set[int] = field(default_factory=set)
    """Steps under way that racing has asked for."""
    grown: dict[int, Individual] = field(default_factory=dict)
    """What is known of those on whom racing has gathered evidence, while they live or take part in a step under way."""
    rivals: dict[int, Rivals] = field(default_factory=dict)
    """In lockstep, whom a birth under way is compared with: those of the moment it was asked for."""
    met: int = 0
    """In lockstep, after how many births migrants came last."""
    best: Individual | None = None
    most: int = 0
    """Most dev examples any individual was scored on."""
    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def note(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Queue rows for the next transaction."""
        self.rows.setdefault(table, []).extend(rows)


def begin(ground: Ground[S]) -> Life[S]:
    """Return an island's life before its first birth."""
    return Life(ground.method.start(ground.brief))


def relive(ground: Ground[S], history: Iterable[Past]) -> Life[S]:
    """Return the life a history leads to, by the same pure methods; steps without an end are pending again."""
    life = begin(ground)
    for past in history:
        repeat(ground, life, past)
    return life


def repeat(ground: Ground[S], life: Life[S], past: Past) -> None:
    """Live through one more thing that happened before. Raises EvoError when it would not happen again."""
    kind, number, led_to = past
    if kind == ASKED:
        if not ask(ground, life, number):
            raise _changed(number, "the method asks for nothing")
        return
    if kind == MET:
        life.met = number
        return
    step = life.pending.get(number)
    if isinstance(led_to, Found):
        if not isinstance(step, Evidence):
            raise _changed(number, "the method has not asked for evidence")
        tell(ground, life, number, step.individual.with_evidence(led_to.dev, led_to.train))
    else:
        assert led_to is not None
        _compare(number, step, led_to)
        tell(ground, life, number, led_to)


def _compare(number: int, step: Proposal | Evidence | None, born: Individual) -> None:
    """Raises EvoError when a birth in the log is not the one the method has asked for."""
    if step is None and born.operator == MIGRATION:
        return
    if not isinstance(step, Proposal):
        raise _changed(number, "the method has not asked for a birth")
    asked, logged = (step.operator.name, step.edges), (born.operator, born.parents)
    if asked != logged:
        raise _changed(number, f"the method asks for {asked}, the log has {logged}")


def _changed(number: int, words: str) -> EvoError:
    return EvoError(
        f"step {sequence_of(number)} of island {island_of(number)} cannot be repeated: {words}; the method or the "
        "package has changed since the run began, go on with the versions in its run.json or start a new run"
    )


def ask(ground: Ground[S], life: Life[S], number: int, *, births: bool = True) -> bool:
    """Ask racing, then the method for one step; return whether there is one. Without ``births`` only evidence will do.

    What racing asks for hangs on no cap, so that a run resumed with another one is relived as it was. It has an end by
    itself: rows that the living were not tried on.
    """
    step: Proposal | Evidence | None
    if (extra := _more(ground, life, number)) is not None:
        step = extra
        life.raised.add(number)
        life.added += len(extra.examples)
    else:
        rng = child_rng(ground.seed, "ask", ground.island, sequence_of(number))
        step, state = ground.method.ask(life.state, number, rng)
        if isinstance(step, Evidence):
            step = _without_repeats(life, step)
        if step is None or (isinstance(step, Proposal) and not births):
            return False
        life.state = state
    life.pending[number] = step
    if isinstance(step, Proposal):
        if ground.meets is not None:
            life.rivals[number] = rivals_now(ground, life, step.parents)
        life.asked += 1
        life.generation = max(life.generation, step.generation)
    life.sequence = max(life.sequence, sequence_of(number) + 1)
    return True


def rivals_now(ground: Ground[S], life: Life[S], parents: Sequence[Individual]) -> Rivals:
    """Return whom a newborn is compared with now."""
    known = tuple(life.grown.get(parent.number, parent) for parent in parents)
    return Rivals(tuple(ground.method.living(life.state)), known, life.raced)


def _more(ground: Ground[S], life: Life[S], number: int) -> Evidence | None:
    """Return the evidence racing asks for, without rows that were tried; None for none, or where the search is over."""
    if ground.method.finished(life.state):
        return None
    busy = frozenset(step.individual.number for step in life.pending.values() if isinstance(step, Evidence))
    tally = Tally(life.admitted, life.added, life.generation, busy)
    order = ground.task.examples("dev")
    rng = child_rng(ground.seed, "more", ground.island, sequence_of(number))
    step = ground.racing.more(ground.method.living(life.state), tally, order, rng)
    if step is None or step.individual.number in busy:
        return None
    rows = untried(step.individual, step.examples)
    return replace(step, examples=rows) if rows else None


def _without_repeats(life: Life[S], step: Evidence) -> Evidence | None:
    """Return a method's request without what racing has brought meanwhile; None while racing is at these very rows."""
    for other in (life.pending[number] for number in life.raised):
        assert isinstance(other, Evidence)
        same = other.individual.number == step.individual.number
        if same and not {*step.examples}.isdisjoint(other.examples):
            return None
    known = life.grown.get(step.individual.number)
    if known is None:
        return step
    scores = known.evaluation.scores
    rows = tuple(row for row in step.examples if row not in scores)
    return Evidence(step.individual.with_evidence_of(known), rows)


def tell(ground: Ground[S], life: Life[S], number: int, individual: Individual) -> None:
    """Tell the method how the step of this number ended; it may be one it has not asked for."""
    life.state = ground.method.tell(life.state, individual)
    life.sequence = max(life.sequence, sequence_of(number) + 1)
    step = life.pending.pop(number, None)
    life.rivals.pop(number, None)
    if isinstance(step, Proposal):
        life.told += 1
        life.failed += individual.status == FAILED
        life.admitted += len(individual.evaluation.outcomes)
        life.raced = with_raced(life.raced, individual)
    elif step is not None:
        _share(life, individual)
        if number in life.raised or individual.number in life.grown:
            life.raised.discard(number)
            life.grown[individual.number] = individual
    if life.grown:
        life.grown = _still_needed(ground, life)
    _follow(life, individual, ground.method.living(life.state))


def _still_needed(ground: Ground[S], life: Life[S]) -> dict[int, Individual]:
    needed = {member.number for member in ground.method.living(life.state)}
    for step in life.pending.values():
        needed.update(one.number for one in (step.parents if isinstance(step, Proposal) else (step.individual,)))
    return {number: one for number, one in life.grown.items() if number in needed}


def _share(life: Life[S], individual: Individual) -> None:
    """Let other evidence under way for this individual know of what was found: it is told on top of it."""
    for number, step in life.pending.items():
        if isinstance(step, Evidence) and step.individual.number == individual.number:
            life.pending[number] = replace(step, individual=step.individual.with_evidence_of(individual))


def _follow(life: Life[S], individual: Individual, living: Sequence[Individual]) -> None:
    """Keep as the best whom the final ranking would put first; all are looked at only where the best itself changed."""
    told = next((one for one in living if one.number == individual.number), individual)
    if told.ok:
        life.most = max(life.most, told.evaluation.count)
    best = life.best
    changed = best is not None and best.number == told.number
    if best is not None and changed:
        best = best.with_evidence_of(told)
    rivals = [told] if best is None else [best, told]
    if changed or (best is not None and not _is_ranked(life, best)):
        rivals += living
    life.best = min((one for one in rivals if _is_ranked(life, one)), key=_rank, default=best)


def _is_ranked(life: Life[S], individual: Individual) -> bool:
    return individual.ok and individual.evaluation.count >= ENOUGH * life.most


def _rank(individual: Individual) -> tuple[float, int, int]:
    sure = sure_fitness(individual.fitness, individual.evaluation.count)
    return (-sure, len(individual.prompt.text), individual.number)


def status_of(ground: Ground[S], life: Life[S]) -> IslandStatus:
    """Return an island at a glance."""
    members = ground.method.living(life.state)
    living = sorted(i.fitness for i in members if i.ok)
    rivals = {one.prompt for one in (*members, life.best) if one is not None}
    test = ground.task.examples("test")
    widest = max(rivals, key=lambda prompt: sum(ground.task.calls(prompt, test[:1])), default=None)
    return IslandStatus(
        island=ground.island,
        births=life.told,
        failed=life.failed,
        best=life.best.fitness if life.best else None,
        median=living[len(living) // 2] if living else None,
        improved_by=life.best.operator if life.best else "",
        generation=life.best.generation if life.best else 0,
        test_calls=0 if widest is None else sum(ground.task.calls(widest, test)),
    )
