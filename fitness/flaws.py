"""Rows a scorer can never score: known before any call is made for them, and left out with a word."""

from __future__ import annotations

from collections.abc import Mapping

from evo.ports import Scorer
from fitness.answer_sets import AnswerSet
from fitness.json_schema import JsonSchema
from fitness.sari import Sari
from fitness.scorers import Exact, Numeric
from fitness.unit_tests import Code


def row_flaw(scorer: Scorer, inputs: Mapping[str, str], target: str) -> str:
    """Return why the scorer can never score a reply to such a row; empty when it can."""
    if isinstance(scorer, Exact | Numeric | AnswerSet | JsonSchema):
        return scorer.flaw(target)
    if isinstance(scorer, Code):
        return scorer.flaw(inputs, target)
    return scorer.flaw(inputs) if isinstance(scorer, Sari) else ""
