"""What the tests of operators and methods share: individuals by hand, a scripted model, and a small driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from evo.errors import OperatorError
from evo.model import FAILED, INSTRUCTION, Brief, Completion, Evaluation, Example, Individual, Outcome, Prompt, Request
from evo.ports import Evidence, Price, Proposal
from evo.randomness import child_rng

T = TypeVar("T")
GOOD_WORDS = ("exactly", "label", "careful", "tone", "writer", "meaning", "decide", "single")
SEEDS = (
    "Classify the text and give one label.",
    "What is the tone of this text?",
    "Please be careful and read the text.",
    "Say what the writer thinks.",
    "Find the meaning of the text below.",
    "Is the text good or bad? You decide.",
    "Answer the question about the text.",
    "Reply with a single word.",
    "Do the task exactly as asked.",
    "Look at the following passage.",
    "Tell me about the sentence.",
    "Give an answer.",
)


LABELS = ("good", "bad")
DEV = tuple(Example(n, {"input": f"dev text {n}"}, LABELS[n % 2], LABELS) for n in range(12))
TRAIN = tuple(Example(n, {"input": f"train text {n}"}, LABELS[n % 2], LABELS) for n in range(12, 20))


def brief(count: int = 12, **more: Any) -> Brief:
    """Return a classification's brief with ``count`` seeds, 12 dev rows and 8 train rows."""
    seeds = tuple(Prompt.of(seed) for seed in SEEDS[:count])
    return Brief("Sort texts.", seeds, **{"train": TRAIN, "dev": DEV, "labels": LABELS, **more})


def individual(number: int, text: str, score: float = 0.5, **more: Any) -> Individual:
    """Return a living individual with one score."""
    evaluation = Evaluation.of([Outcome(0, score)])
    return Individual(number, Prompt.of(text), **{"operator": "seed", "evaluation": evaluation, **more})


def failed(number: int) -> Individual:
    """Return a failed birth as the loop makes it: without any prompt."""
    return Individual(number, Prompt(()), "seed", status=FAILED, note="no tag")


def fitness(prompt: Prompt) -> float:
    """Return the share of good words in the prompt."""
    words = set(re.findall(r"\w+", prompt.text.casefold()))
    return sum(word in words for word in GOOD_WORDS) / len(GOOD_WORDS)


@dataclass
class ScriptedLlm:
    """A model that replies by a function of the request and remembers what it was asked."""

    reply: Callable[[Request], str]
    requests: list[Request] = field(default_factory=list)
    embed: Callable[[str], tuple[float, ...]] = lambda text: ()
    identity: str = "scripted"
    can_choose: bool = False
    can_embed: bool = False
    price: Price | None = None

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        if request.embedding:
            return Completion("", 1, 0, embedding=self.embed(request.text))
        return Completion(self.reply(request), 1, 1)

    async def aclose(self) -> None:
        return None


def recombined(request: Request) -> str:
    """Return a reply whose prompt is made of words of the prompts in the request, and sometimes a new one."""
    if "<reason>" in request.text:
        return "<reason>It does not say what to look at.</reason>"
    rng = np.random.default_rng(request.seed)
    if "\nOutput: " in request.text:  # there is no prompt to vary: one is to be guessed from rows
        return f"<prompt>Do the {' '.join(word for word in GOOD_WORDS if rng.random() < 0.3)} task.</prompt>"
    asked = re.split(r"Now do the same|New version", request.text)
    shown = asked[1] if request.text.rstrip().endswith(("Step 1.", "over:")) else asked[0]
    prompts = re.findall(r"^(?:Prompt \d[^:]*|Basic prompt|Instruction(?: \d+)?|Phrase): (.*)$", shown, re.MULTILINE)
    words = sorted({word for prompt in prompts for word in prompt.rstrip(".?").split()})
    chosen = [word for word in words if rng.random() < 0.7] or words[:1]
    extra = [GOOD_WORDS[rng.integers(len(GOOD_WORDS))]] if rng.random() < 0.3 else []
    return f"Step 1. I mix.\nStep 2. <prompt>{' '.join([*chosen, *extra])}.</prompt>"


@dataclass
class Driven:
    """A finished drive: final state, every individual, and the steps taken."""

    state: Any
    individuals: list[Individual]
    steps: list[tuple[str, int]]
    best_by_birth: list[float]
    evidence: dict[int, Individual] = field(default_factory=dict)
    """What each request for evidence ended with, by its number."""
    pending: dict[int, Proposal | Evidence] = field(default_factory=dict)
    """Steps asked for and not told."""

    def told_of(self, number: int) -> Individual:
        """Return what a step ended with."""
        known = {one.number: one for one in self.individuals}
        return self.evidence[number] if number in self.evidence else known[number]


def drive(
    method: Any,
    task: Brief,
    births: int,
    *,
    reply: Callable[[Request], str] = recombined,
    shuffle: int | None = None,
    fails: Callable[[int], bool] = lambda number: False,
    slots: int = 6,
    seed: int = 1,
    intensify: bool = False,
) -> Driven:
    """Run a method as the loop would: fill the slots, tell results, in order of asking or shuffled.

    With ``intensify`` somebody living is told again after each step, with more evidence nobody has asked for.
    """
    driven = Driven(method.start(task), [], [], [])
    llm = ScriptedLlm(reply)
    order = np.random.default_rng(shuffle)
    pending = driven.pending
    number = 0
    room = min(slots, method.in_flight or slots)
    while len(driven.individuals) < births:
        while len(pending) < room:
            proposal, state = method.ask(driven.state, number, child_rng(seed, "ask", number))
            if proposal is None:
                break
            driven.state, pending[number] = state, proposal
            driven.steps.append(("asked", number))
            number += 1
        if not pending:
            break
        living = sorted(method.living(driven.state), key=lambda one: one.number)
        if intensify and living:
            turn = -len(driven.steps) - 1
            member = living[turn % len(living)]
            driven.evidence[turn] = extended(member, float(order.integers(2)), len(driven.steps))
            driven.state = method.tell(driven.state, driven.evidence[turn])
            driven.steps.append(("told", turn))
        place = 0 if shuffle is None else int(order.integers(len(pending)))
        turn = list(pending)[place]
        step = pending.pop(turn)
        if isinstance(step, Evidence):
            found = gathered(step)
            driven.state = method.tell(driven.state, found)
            driven.steps.append(("told", turn))
            driven.evidence[turn] = found
            continue
        born = failed(turn) if fails(turn) else give_birth(turn, step, llm, seed)
        driven.state = method.tell(driven.state, born)
        driven.steps.append(("told", turn))
        driven.individuals.append(born)
        known = (*driven.individuals, *driven.evidence.values())  # a child may be born on train rows alone
        driven.best_by_birth.append(max((one.fitness for one in known if one.ok), default=0.0))
    return driven


def give_birth(number: int, proposal: Proposal, llm: ScriptedLlm, seed: int) -> Individual:
    """Return the individual a proposal leads to, after at most three tries."""
    note = ""
    for attempt in range(3):
        try:
            prompt = at_once(call(proposal, llm, child_rng(seed, "operator", number, attempt)))
        except OperatorError as error:
            note = str(error)
            continue
        born = Individual(number, prompt, proposal.operator.name, proposal.edges, proposal.generation)
        examples = [row.number for row in DEV] if proposal.examples is None else proposal.examples
        return measured(born, examples)
    return replace(failed(number), note=note)


def measured(one: Individual, examples: Sequence[int], score: float | None = None) -> Individual:
    """Return the individual with what its prompt scores on these examples alone, or with this score on each."""
    score = fitness(one.prompt) if score is None else score
    rows = {row.number: row for row in (*DEV, *TRAIN)}
    outcomes = [Outcome(n, score, answer=rows[n].target if score >= 0.5 else "good") for n in examples]
    dev, train = (Evaluation.of(o for o in outcomes if rows[o.example] in split) for split in (DEV, TRAIN))
    return replace(one, evaluation=dev, practice=train)


def extended(one: Individual, score: float, row: int = 0, rows: int = 2) -> Individual:
    """Return the individual with this score on some rows beyond those of the brief."""
    found = Evaluation.of(Outcome(100 + row + n, score) for n in range(rows))
    return one.with_evidence(found, Evaluation())


def gathered(step: Evidence) -> Individual:
    """Return the individual evidence was asked for, with it."""
    return step.individual.with_evidence_of(measured(step.individual, step.examples))


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits, without the cost of an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("the coroutine waits for something")


async def call(proposal: Proposal, llm: ScriptedLlm, rng: np.random.Generator) -> Prompt:
    """Return what the proposal's operator writes, with the focus where the loop puts it."""
    part = proposal.part or INSTRUCTION
    parents = [replace(parent, prompt=parent.prompt.focused(part)) for parent in proposal.parents]
    return (await proposal.operator(parents, llm, rng)).focused(INSTRUCTION)


def ask_all(method: Any, state: Any, first: int, limit: int = 100) -> tuple[list[Proposal], Any]:
    """Return every birth the method asks for before it waits, numbered from ``first``."""
    proposals: list[Proposal] = []
    while len(proposals) < limit:
        number = first + len(proposals)
        proposal, state = method.ask(state, number, child_rng(7, "ask", number))
        if proposal is None:
            break
        proposals.append(proposal)
    return proposals, state


def tell_all(method: Any, state: Any, individuals: Sequence[Individual]) -> Any:
    """Return the state after telling everyone."""
    for one in individuals:
        state = method.tell(state, one)
    return state
