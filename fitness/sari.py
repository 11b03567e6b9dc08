"""What a simplification kept, added and deleted of its source, against references (SARI; Xu et al. 2016).

The mean, over n-grams of 1 to 4 words, of the F1 of what was kept, the F1 of what was added and the precision of what
was deleted. As later implementations do and the authors' first script does not, recall of what was kept is a share of
all that references keep, and nothing to do counts as done well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from fitness.reasons import quoted, unparsed
from fitness.references import references

ORDERS = 4
TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[\w'-]+|[^\w\s]")
Ngrams = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sari:
    """SARI against the target, or all of a JSON list of them, as ``{name: sari, source: text}``.

    Case is ignored. ``source`` is the column with the sentence that is to be simplified, or ``input``.
    """

    source: str = "input"
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source:
            raise ConfigError(f"scorer sari: expected the name of a column as source, got {self.source!r}; try input")

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return SARI in [0, 1]; an empty reply is unparsed. Raises ValueError for a row without a source."""
        if flaw := self.flaw(example.inputs):
            raise ValueError(flaw)
        if not completion.text.strip():
            return unparsed("nothing", completion.text, example)
        known = references(example.target)
        kept, added, deleted = sari_parts(example.inputs[self.source], completion.text, known)
        value = (kept + added + deleted) / 3
        parts = f"kept {kept:.2f}, added {added:.2f}, deleted {deleted:.2f}"
        return Score(value, reason="" if value == 1 else f"SARI {value:.3f} ({parts}); expected {quoted(known[0])}")

    def flaw(self, inputs: Mapping[str, str]) -> str:
        """Return why a row has no source sentence; empty where it has one."""
        return "" if inputs.get(self.source, "").strip() else f"nothing in the scorer's source column {self.source!r}"


def sari_parts(source: str, reply: str, known: Sequence[str]) -> tuple[float, float, float]:
    """Return how well a reply keeps, adds and deletes, each in [0, 1]; their mean is SARI."""
    texts = [_tokens(text) for text in (source, reply, *known)]
    orders = [_order([_ngrams(tokens, order) for tokens in texts]) for order in range(1, ORDERS + 1)]
    kept, added, deleted = (sum(part) / ORDERS for part in zip(*orders, strict=True))
    return kept, added, deleted


def _order(counts: Sequence[Ngrams]) -> tuple[float, float, float]:
    """Return how well n-grams of one order were kept, added and deleted: those of source, reply and references."""
    source, reply, *known = counts
    wanted: Ngrams = sum(known, Counter())
    # As often as there are references, so that counts compare with those of all references together.
    before, after = (Counter({gram: n * len(known) for gram, n in one.items()}) for one in (source, reply))
    kept, deleted = before & after, before - after
    good, due = kept & wanted, before & wanted
    keeping = _f1(_mean_share(good, kept), good.total() / due.total() if due else 1.0)
    new, asked = set(reply) - set(source), set(wanted) - set(source)
    right = len(new & asked)
    adding = _f1(right / len(new) if new else 1.0, right / len(asked) if asked else 1.0)
    return keeping, adding, _mean_share(deleted - wanted, deleted)


def _mean_share(part: Ngrams, whole: Ngrams) -> float:
    return sum(part[gram] / n for gram, n in whole.items()) / len(whole) if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())


def _ngrams(tokens: Sequence[str], order: int) -> Ngrams:
    return Counter(tuple(tokens[start : start + order]) for start in range(len(tokens) - order + 1))
