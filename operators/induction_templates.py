"""The texts by which a model is asked for an instruction nobody has written yet, after APE (Zhou et al., ICLR 2023).

In our own words. Put together by one pass of ``string.Template``: nothing that rows contain is substituted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from evo.model import Example
from operators.rows import cut, shown_input

OPENING = "I gave a friend an instruction. The friend followed it and wrote an output for each of these inputs."
GAP = "[missing instruction]"
"""Stands where the instruction belongs."""
MOST_LABELS = 20
"""More labels are not listed."""

_FORWARD = Template(
    """$opening

$demos

${facts}What was the instruction? It must work for every input of this kind, so do not mention these. Put only its \
wording between <prompt> and </prompt>."""
)

_REVERSE = Template(
    """The text between the lines has a gap: $gap.
---
$opening
The instruction: $gap

$demos
---
${facts}Write only what is missing in the place of $gap, in at most three sentences, without anything that the text \
says already. Put it between <prompt> and </prompt>."""
)

_ZERO_ORDER = Template(
    """A language model is to do this task: $description

${facts}Write the instruction it will be given together with each input. Put only the instruction between <prompt> and \
</prompt>."""
)


def forward(opening: str, demos: Sequence[Example], labels: Sequence[str], begin: str) -> str:
    """Return the request that shows rows and then asks for the instruction behind them."""
    return _FORWARD.substitute(opening=opening, demos=_shown(demos), facts=_facts(labels, begin))


def reverse(opening: str, demos: Sequence[Example], labels: Sequence[str], begin: str) -> str:
    """Return the request to fill a gap before the rows: where the instruction belongs."""
    return _REVERSE.substitute(opening=opening, demos=_shown(demos), facts=_facts(labels, begin), gap=GAP)


def zero_order(description: str, labels: Sequence[str], begin: str) -> str:
    """Return the request for an instruction from the task's description alone."""
    return _ZERO_ORDER.substitute(description=description, facts=_facts(labels, begin))


def _shown(demos: Sequence[Example]) -> str:
    return "\n\n".join(f"Input: {shown_input(demo)}\nOutput: {cut(demo.target)}" for demo in demos)


def _facts(labels: Sequence[str], begin: str) -> str:
    """Return what else is known of the outputs and of the instruction, a line each; nothing where nothing is."""
    facts = [f"Every output is one of: {', '.join(labels)}.\n"] if 0 < len(labels) <= MOST_LABELS else []
    return "".join([*facts, f"The instruction begins with the words: {begin}\n"] if begin else facts)
