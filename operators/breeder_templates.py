"""The texts by which Promptbreeder's operators (Fernando et al., 2023) ask a model for a prompt, in our own words.

The paper lets a plain language model continue a text; ours ask a chat model for the continuation between tags. Put
together by one pass of ``string.Template``: nothing that prompts, rows or replies contain is substituted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from operators.templates import keep_line

_ANSWER = "Do not carry it out. Put only the new instruction between <prompt> and </prompt>."

_FIRST = Template(
    f"""$mutation
$style

Instruction: $description

Write the changed instruction. {_ANSWER}
$keep
New instruction:"""
)

_FIRST_ORDER = Template(
    f"""$mutation

Instruction: $base

Write the changed instruction. {_ANSWER}
$keep
New instruction:"""
)

_ZERO_ORDER = Template(
    """Instruction: $description

Think of a list of a hundred hints on how to do this well. Write the first hint of that list, as an instruction to \
whoever does it. Put only the hint between <prompt> and </prompt>.
$keep
1."""
)

_LIST = Template(
    f"""Below is a list of instructions for one and the same task. Continue it by one: write the next, which differs \
from all of them. {_ANSWER}
$keep
$listed
Prompt $next:"""
)

_RANKED = Template(
    f"""$mutation

Below is a list of instructions for one and the same task, in descending order of score. Prompt $next is the best of \
all; it is more like Prompt $last than like Prompt 1. Write Prompt $next. {_ANSWER}
$keep
$listed
Prompt $next:"""
)

_LINEAGE = Template(
    f"""Below are the versions of one instruction, in the order in which they were found. Each is better than the one \
before it. Write the next version. {_ANSWER}
$keep
$listed
Prompt $next:"""
)

_WORKINGS = Template(
    """I gave a friend an instruction and some advice on how to follow it. Here is what the friend then wrote, all of \
it correct:

$workings

What was the instruction, with the advice? Put only its wording between <prompt> and </prompt>.
$keep
The instruction:"""
)

_NEW_MUTATION = Template(
    """Some people improve instructions. They need advice on how to change an instruction so that it works better.
The instructions they change are for this task: $description
A thought to start from: $style

Write one piece of advice, as a command that begins with a verb, such as "Rewrite the instruction ...". It must be \
about changing an instruction. Put only the advice between <prompt> and </prompt>."""
)

_BETTER_MUTATION = Template(
    """Summarise and improve the following instruction. It tells how to change another instruction, and the new one \
must do so too. Put only the improved instruction between <prompt> and </prompt>.

Instruction: $mutation

New instruction:"""
)


def first_prompt(mutation: str, style: str, description: str, held: str) -> str:
    """Return the request for a first task-prompt, made of a mutation-prompt, a thinking style and the task itself."""
    return _FIRST.substitute(mutation=mutation, style=style, description=description, keep=keep_line((held,)))


def first_order(mutation: str, base: str) -> str:
    """Return the request to apply a mutation-prompt to a task-prompt."""
    return _FIRST_ORDER.substitute(mutation=mutation, base=base, keep=keep_line((base,)))


def zero_order(description: str, held: str) -> str:
    """Return the request for a hint from the task's description alone; placeholders of ``held`` must be kept."""
    return _ZERO_ORDER.substitute(description=description, keep=keep_line((held,)))


def next_of_list(prompts: Sequence[str]) -> str:
    """Return the request to continue a list in which no order is claimed."""
    return _LIST.substitute(_listed(prompts))


def next_of_ranking(prompts: Sequence[str], mutation: str) -> str:
    """Return the request to continue a list that ascends in fitness and is said to descend.

    The paper's false claim is meant: it keeps the model from copying the last entry.
    """
    return _RANKED.substitute(_listed(prompts), mutation=mutation, last=len(prompts))


def next_of_lineage(prompts: Sequence[str]) -> str:
    """Return the request to continue a history, oldest first."""
    return _LINEAGE.substitute(_listed(prompts))


def guessed_from(workings: Sequence[tuple[str, str]], held: str) -> str:
    """Return the request to guess the instruction behind (input, reply) pairs; placeholders of ``held`` are kept."""
    shown = (f"Task {place}: {given}\nWritten {place}: {reply}" for place, (given, reply) in enumerate(workings, 1))
    return _WORKINGS.substitute(workings="\n\n".join(shown), keep=keep_line((held,)))


def new_mutation(description: str, style: str) -> str:
    """Return the request for a mutation-prompt from the task's description and a thinking style."""
    return _NEW_MUTATION.substitute(description=description, style=style)


def better_mutation(mutation: str) -> str:
    """Return the request to summarise and improve a mutation-prompt."""
    return _BETTER_MUTATION.substitute(mutation=mutation)


def _listed(prompts: Sequence[str]) -> dict[str, str | int]:
    listed = "\n".join(f"Prompt {place}: {text}" for place, text in enumerate(prompts, 1))
    return {"listed": listed, "next": len(prompts) + 1, "keep": keep_line(prompts)}
