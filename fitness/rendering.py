"""How a prompt's parts and a row make the messages of one call.

Whatever a part, a row or a reply holds is put in once and never looked at again for placeholders.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evo.model import EXAMPLES, INSTRUCTION, STAGES, SYSTEM, Demo, Prompt, demos_of
from fitness.layout import INPUT, PROMPT, cut, fill, placeholders

LAYOUT = "{prompt}\n\n{input}"
"""The layout where a task names none."""
Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where parts and input go. ``own`` are the placeholders that prompts hold themselves instead of the layout."""

    layout: str = LAYOUT
    own: frozenset[str] = frozenset()

    @property
    def body(self) -> str:
        """The template of the first user message."""
        return PROMPT.join("{}") if self.own and INPUT in placeholders(self.layout, {INPUT}) else self.layout

    def unplaced(self, names: Collection[str]) -> list[str]:
        """Return those names of parts that no message would show."""
        placed = {SYSTEM, INSTRUCTION, EXAMPLES, *STAGES, *placeholders(self.body, names)}
        return sorted(name for name in names if name not in placed and not name.startswith("_"))


def stages(prompt: Prompt) -> tuple[str, ...]:
    """Return the parts that are asked after the first reply, in order."""
    names = dict(prompt.parts)
    return tuple(stage for stage in STAGES if stage in names)


def messages(
    frame: Frame, prompt: Prompt, inputs: Mapping[str, str], replies: Sequence[str] = (), row: int | None = None
) -> Messages:
    """Return the messages of the next call on a row, given the replies to the stages before.

    A worked example made from that very ``row`` is left out: it would tell the answer.
    """
    own = {name: inputs[name] for name in sorted(frame.own)}
    without = row if any(demo.row == row for demo in demos_of(prompt)) else None
    parts, pieces = _filled(frame, prompt, own, without) if own else _filled_but_input(frame, prompt, without)
    written = [(SYSTEM, parts[SYSTEM])] if SYSTEM in parts else []
    written.append(("user", inputs[INPUT].join(pieces) if len(pieces) > 1 else pieces[0]))
    if replies:
        for reply, stage in zip(replies, stages(prompt), strict=False):
            written += [("assistant", reply), ("user", parts[stage])]
    return tuple(written)


@lru_cache(maxsize=64)
def _filled_but_input(frame: Frame, prompt: Prompt, without: int | None) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return what all rows under a prompt share, as `_filled` does: it is found once for all of them."""
    return _filled(frame, prompt, {}, without)


def _filled(
    frame: Frame, prompt: Prompt, own: Mapping[str, str], without: int | None
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the parts by name, and the first user message cut where the input goes, which ``own`` has otherwise."""
    parts = {name: fill(text, own) for name, text in prompt.shown if name != EXAMPLES}
    demos = [demo for demo in demos_of(prompt) if without is None or demo.row != without]
    body, row = _with_place_for_examples(frame.body) if demos else (_without_examples(frame.body), "")
    values = {**parts, PROMPT: parts.get(INSTRUCTION, "")}
    if demos:
        values[EXAMPLES] = "\n\n".join(_demo(demo, row) for demo in demos)
    pieces = (fill(body, values),) if own else cut(body, values, INPUT)
    # A row is shown as the worked examples are, up to where its answer goes.
    ends = "\n" if demos and row and _joint(row) == "\n" and body.endswith(row) else ""
    return parts, (*pieces[:-1], pieces[-1] + ends)


def _with_place_for_examples(body: str) -> tuple[str, str]:
    """Return the template with ``{examples}`` in it, and how it shows a row: what follows the prompt, or nothing."""
    before, found, after = body.partition("{input}")
    last = list(re.finditer(r"\{[\w-]+\}", before))
    if not found:
        row = ""
    elif last:
        row = (before[last[-1].end() :] + found + after).lstrip()
    else:
        row = found
    if "{examples}" in body:
        return body, row
    if not found or not last:
        return "{examples}\n\n" + body, row
    end = last[-1].end()
    return f"{body[:end]}\n\n{{examples}}\n\n{body[end:].lstrip()}", row


def _without_examples(body: str) -> str:
    return re.sub(r"\{examples\}\s*", "", body)


def _demo(demo: Demo, row: str) -> str:
    shown = fill(row, {INPUT: demo.input}) if row else demo.input
    answer = f"{demo.working}\n{demo.answer}" if demo.working else demo.answer
    return shown + _joint(row) + answer


def _joint(row: str) -> str:
    return " " if row.rstrip().endswith(":") else "\n"
