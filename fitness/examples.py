"""From a raw row to an example: its input, its target and its choices, or why it has none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evo.errors import ConfigError
from evo.model import INSTRUCTION
from evo.plugins import unknown
from evo.ports import Scorer
from evo.settings import TaskSettings
from fitness.datasets import Rows, as_text, summary
from fitness.flaws import row_flaw
from fitness.layout import INPUT, PROMPT, agreed_placeholders, fill, input_template, placeholders
from fitness.scorers import Choice
from fitness.splits import normalised
from fitness.target_likelihood import Likelihood

MAX_LABELS = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """An example that has no number yet. ``inputs`` holds every column but the target's, and ``input``."""

    inputs: Mapping[str, str]
    shown: str
    """What the model will see of it, as one text."""
    target: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Which columns make an example."""

    columns: tuple[str, ...]
    """Every column but the target's."""
    template: str
    """Template of the input; empty where the prompts' own placeholders show everything."""
    placeholders: frozenset[str]
    target: str
    choices: tuple[str, ...] | str | None


def make_plan(settings: TaskSettings, prompts: Sequence[str], columns: Sequence[str]) -> Plan:
    """Return the plan for rows of these columns.

    Raises ConfigError for a column that is not there, a target that would be shown to the model, seed prompts
    that disagree on their placeholders, or a layout that leaves out prompt or input.
    """
    known = set(columns)
    _require("task.target", settings.target, known)
    if isinstance(settings.choices, str):
        _require("task.choices (a list of labels, or a column)", settings.choices, known)
    elif settings.choices is not None:
        _check_labels(settings.choices)
    visible = tuple(column for column in columns if column != settings.target)
    own = agreed_placeholders(prompts, {*visible, INPUT})
    template = "" if own and INPUT not in own else input_template(settings.input, columns)
    _check_hidden("task.input", template, {settings.target})
    for prompt in prompts:
        _check_hidden("a seed prompt", prompt, {settings.target} - {INPUT})
    if not own:
        _check_layout(settings.layout)
    return Plan(visible, template, own, settings.target, settings.choices)


def draft_rows(table: Rows, plan: Plan, scorer: Scorer) -> tuple[list[Draft], str]:
    """Return the usable rows, in order, and a sentence on the others (empty when there are none)."""
    drafts: list[Draft] = []
    flaws = list(table.flaws)
    for place, row in zip(table.places, table.rows, strict=True):
        draft = _draft(row, plan)
        flaw = draft if isinstance(draft, str) else row_flaw(scorer, draft.inputs, draft.target)
        if isinstance(draft, Draft) and not flaw:
            drafts.append(draft)
        else:
            flaws.append(f"row {place}: {flaw}")
    return drafts, summary(tuple(flaws), len(table.rows) + len(table.flaws), table.name)


def with_labels(drafts: Sequence[Draft], plan: Plan, scorer: Scorer) -> tuple[list[Draft], tuple[str, ...], str]:
    """Return drafts with their choices, all the labels, and a sentence where spellings were merged.

    Where the scorer needs labels and none are given, they are the targets; those that differ only by case or
    spacing are one label, spelled as most often. Raises ConfigError when they are not 2 to 20.
    """
    if plan.choices is not None:
        labels = tuple(dict.fromkeys(choice for draft in drafts for choice in draft.choices))
        return list(drafts), labels if len(labels) <= MAX_LABELS or isinstance(plan.choices, tuple) else (), ""
    alone = isinstance(scorer, Likelihood) and scorer.unit == "token"
    if alone or not (scorer.wants_choices or isinstance(scorer, Choice)):
        return list(drafts), (), ""
    spelling: dict[str, str] = {}
    written = Counter(sorted(draft.target for draft in drafts))
    for target, _ in written.most_common():
        spelling.setdefault(normalised(target), target)
    labels = tuple(sorted(spelling.values()))
    _check_derived(labels)
    other = sorted(set(written) - set(labels))
    note = f"read the targets {', '.join(map(repr, other))} as other spellings of a label" if other else ""
    return [replace(draft, target=spelling[normalised(draft.target)], choices=labels) for draft in drafts], labels, note


def _draft(row: Mapping[str, Any], plan: Plan) -> Draft | str:
    inputs = {column: as_text(row.get(column)) for column in plan.columns}
    if plan.template:
        inputs[INPUT] = fill(plan.template, inputs)
    shown = "\n".join(inputs[name] for name in sorted(plan.placeholders or {INPUT}))
    target = as_text(row.get(plan.target)).strip()
    if not shown.strip():
        return "nothing in its input"
    if not target:
        return f"nothing in {plan.target!r}"
    choices = _choices(row, plan)
    if isinstance(choices, str):
        return choices
    return _matched(Draft(inputs, shown, target, choices))


def _choices(row: Mapping[str, Any], plan: Plan) -> tuple[str, ...] | str:
    if not isinstance(plan.choices, str):
        return plan.choices or ()
    value = row.get(plan.choices)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value.split("|")
        except (ValueError, RecursionError):
            return f"broken JSON list in {plan.choices!r}"
    found = map(as_text, value) if isinstance(value, Iterable) else ()
    choices = tuple(dict.fromkeys(choice.strip() for choice in found if choice.strip()))
    return choices if len(choices) > 1 else f"fewer than 2 choices in {plan.choices!r}"


def _matched(draft: Draft) -> Draft | str:
    """Return the draft with its target spelled as the choice it means."""
    if not draft.choices or draft.target in draft.choices:
        return draft
    same = [choice for choice in draft.choices if normalised(choice) == normalised(draft.target)]
    if len(same) == 1:
        return replace(draft, target=same[0])
    return f"target {draft.target[:40]!r} is none of its choices"


def _require(setting: str, column: str, known: set[str]) -> None:
    if column not in known:
        raise ConfigError(f"{setting}: {unknown('column', column, known)}")


def _check_labels(labels: tuple[str, ...]) -> None:
    if len(set(labels)) != len(labels) or len(labels) < 2 or not all(label.strip() for label in labels):
        raise ConfigError(f"task.choices: expected at least 2 distinct labels with text, got {list(labels)}; mend them")


def _check_derived(labels: tuple[str, ...]) -> None:
    if not 2 <= len(labels) <= MAX_LABELS:
        raise ConfigError(
            f"expected 2 to {MAX_LABELS} distinct targets to use as labels, got {len(labels)}, such as "
            f"{labels[0][:40]!r}; list the labels in task.choices, or use another scorer such as exact or numeric"
        )


def _check_hidden(place: str, text: str, target: set[str]) -> None:
    for column in placeholders(text, target):
        raise ConfigError(f"{place} shows the target column {column!r} to the model; take {{{column}}} out")


def _check_layout(layout: str) -> None:
    if INPUT not in placeholders(layout, {INPUT}) or not placeholders(layout, {PROMPT, INSTRUCTION}):
        raise ConfigError(f"task.layout: expected both {{prompt}} and {{input}} in it, got {layout!r}; add what lacks")
