"""Overlap of n-grams or of the longest common subsequence with a reference summary (ROUGE; Lin 2004).

Counted by Google's ``rouge-score`` (extra ``text``), so that figures compare with published ones: its F-measure, of
several references the best. It sees English letters and digits alone: use chrf for text in another script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import unknown
from fitness.reasons import graded, unparsed
from fitness.references import need, references

SEEN = re.compile("[a-z0-9]", re.IGNORECASE | re.ASCII)
Variant = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]


@dataclass(frozen=True, slots=True)
class Rouge:
    """ROUGE's F-measure against the target in Latin letters, or the best of a JSON list, as ``{name: rouge}``.

    A target without an English letter or a digit would always score 0, and its row is left out.

    Args:
        variant: ``rouge1`` and ``rouge2`` count words and pairs of words, ``rougeL`` the longest common subsequence,
            ``rougeLsum`` that line by line.
        stem: Whether words count as equal by their English stem.
    """

    variant: Variant = "rougeL"
    stem: bool = False
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise ConfigError(f"scorer rouge: {unknown('variant', str(self.variant), set(get_args(Variant)))}")
        need("rouge_score", "rouge")

    def flaw(self, target: str) -> str:
        """Return why no reply can be compared with a target; empty where one can."""
        if any(SEEN.search(text) for text in references(target)):
            return ""
        return f"target {target[:40]!r} has no English letter or digit, all that ROUGE sees; use the scorer chrf"

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the F-measure; an empty reply is unparsed."""
        if not completion.text.strip():
            return unparsed("nothing", completion.text, example)
        counter = _counter(self.variant, self.stem)
        of = {text: counter.score(text, completion.text)[self.variant].fmeasure for text in references(example.target)}
        nearest = max(of, key=lambda text: of[text])
        return graded(of[nearest], self.variant, nearest)


@lru_cache
def _counter(variant: str, stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # not before it is used: it loads nltk

    return RougeScorer([variant], use_stemmer=stem)
