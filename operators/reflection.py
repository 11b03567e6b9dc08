"""Reflection: a model reads how a prompt did on some rows and writes a better text of one part (Agrawal et al. 2025).

The operator of GEPA, which makes of what a run says besides its scores (the replies, the scorer's words) a lesson. It
also stands alone: given rows an individual got wrong and one it got right, `lessons`, any method can breed by it.
What differs from the paper's code: the text is ours; a right row is marked as such; a reply that only copies the
parent, or mostly repeats the request, is refused. Calls the model once for each part it rewrites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from string import Template
from typing import ClassVar

import numpy as np

from evo.errors import OperatorError
from evo.model import EXAMPLES, Example, Individual, Outcome, Prompt, Request
from evo.ports import Llm
from evo.randomness import draw_seed
from operators.arguments import at_least, between
from operators.parsing import between_tags
from operators.rewrites import refuse_copy, refuse_echo
from operators.rows import cut, drawn_rows, mistakes, outcomes_of, shown_input
from operators.templates import keep_line

TEMPERATURE = 1.0
MAX_TOKENS = 2000

_REQUEST = Template(
    """A language model works by the instruction below. You see how it did in $count. Study them and write a better \
instruction.

Instruction: $base
$others
$cases
First think: what do the wrong cases have in common? A rule the model does not know, a fact it lacks, an input it \
misreads, a form of answer that is not accepted? What did the right ones owe to the present instruction? Keep that.
Then write the whole new instruction. It will be used without these cases, on inputs like theirs: state the rules and \
facts they teach, do not retell the cases. Do not carry it out.
${keep}Put only the new instruction between <prompt> and </prompt>."""
)

_OTHERS = Template(
    """
It is the part "$part" of a longer prompt. The other parts stay as they are:
$texts
"""
)

_CASE = Template(
    """Case $place, $verdict
Input: $input
Reply: $reply
"""
)


@dataclass(frozen=True, slots=True)
class Reflect:
    """Return the only parent with a part rewritten in the light of how the parent did on ``rows``.

    Args:
        rows: What is shown; rows on which the parent has no score are passed over. Their numbers are recorded.
        parts: Parts to rewrite, a call for each; none: the part in focus.
        temperature: Of the operator model.
        max_tokens: Most tokens of one reply, its thoughts included.
    """

    name: ClassVar[str] = "reflect"

    rows: tuple[Example, ...] = field(default=(), repr=False)
    parts: tuple[str, ...] = ()
    temperature: float = TEMPERATURE
    max_tokens: int = MAX_TOKENS
    examples: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        between(self.name, "temperature", self.temperature, 0, 2)
        at_least(self.name, "max_tokens", self.max_tokens, 1)
        object.__setattr__(self, "examples", tuple(row.number for row in self.rows))

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        """Return the child. Raises OperatorError without any scored row, or when a reply is unusable or a copy."""
        (base,) = parents
        child = base.prompt
        for part in self.parts or (base.prompt.focus,):
            focused = replace(base, prompt=base.prompt.focused(part))
            request = Request.user(
                reflection(focused.prompt, self._cases(base)),
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                seed=draw_seed(rng),
            )
            written = between_tags((await llm.complete(request)).text)
            refuse_copy(written, (focused,))
            refuse_echo(written, request.text, (focused,))
            child = child.with_part(part, written)
        return child

    def _cases(self, base: Individual) -> list[tuple[Example, Outcome]]:
        seen = outcomes_of(base)
        cases = [(row, seen[row.number]) for row in self.rows if row.number in seen]
        if not cases:
            raise OperatorError(f"expected rows on which parent {base.number} has a score, got none; show it such rows")
        return cases


def lessons(
    individual: Individual, rows: Sequence[Example], rng: np.random.Generator, failing: int = 3, passing: int = 1
) -> tuple[Example, ...]:
    """Return rows to reflect on: up to ``failing`` that an individual scored below 1 on, and ``passing`` others."""
    wrong = [row for row, _ in mistakes(individual, rows)]
    missed, scored = {row.number for row in wrong}, outcomes_of(individual)
    right = [row for row in rows if row.number in scored and row.number not in missed]
    return (*drawn_rows(wrong, failing, rng), *drawn_rows(right, passing, rng))


def reflection(prompt: Prompt, cases: Sequence[tuple[Example, Outcome]]) -> str:
    """Return the request for a better text of the part in focus."""
    return _REQUEST.substitute(
        count="one case" if len(cases) == 1 else f"{len(cases)} cases",
        base=prompt.text,
        others=_others(prompt),
        cases="\n".join(_case(place, row, outcome) for place, (row, outcome) in enumerate(cases, 1)),
        keep=keep_line((prompt.text,)),
    )


def _others(prompt: Prompt) -> str:
    """Return the parts that stay, worked examples left out; nothing when there are none."""
    others = [(name, text) for name, text in prompt.shown if name not in (prompt.focus, EXAMPLES)]
    if not others:
        return ""
    texts = "\n".join(f"[{name}] {cut(text)}" for name, text in others)
    return _OTHERS.substitute(part=prompt.focus, texts=texts)


def _case(place: int, row: Example, outcome: Outcome) -> str:
    shown = _CASE.substitute(
        place=place,
        verdict=_verdict(outcome.score or 0.0),
        input=shown_input(row),
        reply=cut(outcome.reply or outcome.answer) or "(nothing)",
    )
    feedback = _feedback(row, outcome)
    return f"{shown}Feedback: {feedback}\n" if feedback else shown


def _verdict(score: float) -> str:
    return "right" if score >= 1 else "wrong" if score <= 0 else f"score {score:.2f} of 1"


def _feedback(row: Example, outcome: Outcome) -> str:
    """Return the scorer's words, and the expected answer where a miss was given without it."""
    right = outcome.score is not None and outcome.score >= 1
    told = right or not row.target or repr(row.target) in outcome.reason
    expected = "" if told else f"expected {cut(row.target)!r}"
    return "; ".join(filter(None, [cut(outcome.reason), expected]))
