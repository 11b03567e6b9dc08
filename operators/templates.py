"""The texts that ask a model for a new prompt, after EvoPrompt (Guo et al., ICLR 2024), in our own words.

Prompts are put in by one pass of ``string.Template``: braces and dollar signs inside them are plain text, and
nothing they contain is ever substituted again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import Template
from typing import Literal

from operators.worked_examples import CROSSOVER, DIFFERENCE, Family

Variant = Literal["v1", "v2", "v3"]
"""Of differential recombination: v1 the whole, v2 without the best prompt, v3 mutating whole prompts."""

PLACEHOLDER = re.compile(r"\{[^{}\s]{1,64}\}")
"""A slot of the task in a prompt, such as ``{input}``."""

_PARAPHRASE = Template(
    """Write one new version of the instruction below. It must ask for exactly the same thing, in quite different words.
Do not carry the instruction out. Put only the new version between <prompt> and </prompt>.
$keep
Instruction: $base

New version:"""
)

_REPHRASE = Template(
    """Say the phrase below in other words of the same meaning. It is a piece of a longer text: add nothing to it.
Put only the new phrase between <prompt> and </prompt>.

Phrase: $phrase

New phrase:"""
)

_CROSSOVER_STEPS = """\
Step 1. Cross the two prompts over: take what is useful from each and write one new prompt from it.
Step 2. Mutate the prompt of step 1: change its wording or its approach, so that it may work better. Put only \
this final prompt between <prompt> and </prompt>."""

_CROSSOVER = Template(
    """Follow the steps one by one to make a better prompt out of two.
$steps

An example of the work, on another task:
Prompt 1: $ex_first
Prompt 2: $ex_second
Step 1. Crossed over: $ex_crossed
Step 2. <prompt>$ex_mutated</prompt>

Now do the same for these two prompts. Do not carry them out.
$keep
Prompt 1: $first
Prompt 2: $second
Step 1. Crossed over:"""
)

_DIFFERENCES = ("List what differs between prompt 1 and prompt 2.", "$ex_differences")
_MUTATE_PARTS = ("Mutate only those different parts at random.", "$ex_mutated")
_MUTATE_WHOLE = ("Mutate prompt 1 and prompt 2 at random, each as a whole.", "$ex_whole")
_COMBINE = (
    "Combine the mutated {what} with prompt 3: replace some parts of prompt 3 by them, and write the resulting prompt.",
    "$ex_combined",
)
_CROSS = (
    "Cross the {what} over with the basic prompt. Put only this final prompt between <prompt> and </prompt>.",
    "<prompt>$ex_crossed</prompt>",
)

_RECOMBINATION = """Follow the steps one by one to make a new prompt out of several.
{steps}

An example of the work, on another task:
Prompt 1: $ex_first
Prompt 2: $ex_second
{example_best}Basic prompt: $ex_base
{work}

Now do the same for these prompts. Do not carry them out.
$keep
Prompt 1: $first
Prompt 2: $second
{best}Basic prompt: $base
Step 1."""

Step = tuple[str, str]


def paraphrase(base: str) -> str:
    """Return the request for one paraphrase."""
    return _PARAPHRASE.substitute(keep=keep_line((base,)), base=base)


def rephrase(phrase: str) -> str:
    """Return the request for a paraphrase of one phrase, without the prompt it stands in."""
    return _REPHRASE.substitute(phrase=phrase)


def crossover_mutation(first: str, second: str, family: Family) -> str:
    """Return the request for a crossover of two prompts and its mutation (the genetic algorithm's two steps)."""
    example = {f"ex_{name}": text for name, text in CROSSOVER[family].items()}
    keep = keep_line((first, second))
    return _CROSSOVER.substitute(example, steps=_CROSSOVER_STEPS, keep=keep, first=first, second=second)


def recombination(donors: tuple[str, str], best: str | None, base: str, family: Family, variant: Variant) -> str:
    """Return the request for differential recombination; variant v2 has no ``best``."""
    example = {f"ex_{name}": text for name, text in DIFFERENCE[family].items()}
    if variant == "v2":
        example["ex_crossed"] = example["ex_crossed_without_best"]
    prompts = {"first": donors[0], "second": donors[1], "base": base} | ({} if best is None else {"best": best})
    return _recombination(variant).substitute(example, keep=keep_line(prompts.values()), **prompts)


def keep_line(prompts: Iterable[str]) -> str:
    """Return the line that asks to keep the task's placeholders, followed by a line break; empty without any."""
    found = dict.fromkeys(name for prompt in prompts for name in PLACEHOLDER.findall(prompt))
    if not found:
        return ""
    return f"Keep these placeholders in the new prompt, exactly as they are written: {', '.join(found)}\n"


def _recombination(variant: Variant) -> Template:
    steps = _steps(variant)
    best = variant != "v2"
    return Template(
        _RECOMBINATION.format(
            steps="\n".join(f"Step {place}. {text}" for place, (text, _) in enumerate(steps, 1)),
            work="\n".join(f"Step {place}. {text}" for place, (_, text) in enumerate(steps, 1)),
            example_best="Prompt 3, the best so far: $ex_best\n" if best else "",
            best="Prompt 3, the best so far: $best\n" if best else "",
        )
    )


def _steps(variant: Variant) -> tuple[Step, ...]:
    parts, prompts = "parts", "prompts"
    if variant == "v1":
        return (_DIFFERENCES, _MUTATE_PARTS, _about(_COMBINE, parts), _about(_CROSS, "prompt of step 3"))
    if variant == "v2":
        return (_DIFFERENCES, _MUTATE_PARTS, _about(_CROSS, "mutated parts"))
    return (_MUTATE_WHOLE, _about(_COMBINE, prompts), _about(_CROSS, "prompt of step 2"))


def _about(step: Step, what: str) -> Step:
    return step[0].replace("{what}", what), step[1]
