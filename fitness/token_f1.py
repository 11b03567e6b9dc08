"""Overlap of words between a short answer and the accepted ones (SQuAD's F1; Rajpurkar et al. 2016).

As in their evaluation: case, punctuation and the English articles are ignored, words count as often as they occur, and
of several accepted answers the nearest counts. Where no word remains of either, the two must be equal (SQuAD 2.0).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from evo.model import Completion, Example, Score
from fitness.reasons import graded, unparsed
from fitness.references import references

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class F1:
    """The F1 of the reply's words and the target's; of a target that is a JSON list, the nearest one counts.

    For answers of a few words, such as ``scorer: f1``. The whole reply is compared: a sentence around the answer costs
    precision.
    """

    wants_choices: ClassVar[bool] = False

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the F1; an empty reply is unparsed."""
        if not completion.text.strip():
            return unparsed("nothing", completion.text, example)
        value, expected = max((token_f1(completion.text, text), text) for text in references(example.target))
        return graded(value, "F1", expected)


def token_f1(answer: str, expected: str) -> float:
    """Return the F1 of two texts' words, as SQuAD normalises them."""
    found, wanted = words(answer), words(expected)
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


def words(text: str) -> list[str]:
    """Return a text's words in lower case, without punctuation and articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()
