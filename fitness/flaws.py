"""What a scorer makes of targets, known before any call: rows it can never score, and targets that are no replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evo.ports import Scorer
from fitness.answer_sets import AnswerSet
from fitness.json_schema import JsonSchema
from fitness.references import listed
from fitness.rouge import Rouge
from fitness.sari import Sari
from fitness.scorers import Exact, Numeric, Regex
from fitness.unit_tests import Code


def row_flaw(scorer: Scorer, inputs: Mapping[str, str], target: str) -> str:
    """Return why the scorer can never score a reply to such a row; empty when it can."""
    if isinstance(scorer, Exact | Numeric | AnswerSet | JsonSchema | Rouge):
        return scorer.flaw(target)
    if isinstance(scorer, Code):
        return scorer.flaw(inputs, target)
    return scorer.flaw(inputs) if isinstance(scorer, Sari) else ""


def are_replies(scorer: Scorer, targets: Iterable[str]) -> bool:
    """Return whether targets are replies that would score, as a worked example shows one.

    Not so: tests of code, whatever a pattern is looked for beside, lists of accepted texts, and no target at all.
    """
    if isinstance(scorer, Code | Regex):
        return False
    return all(target.strip() and not listed(target) for target in targets)
