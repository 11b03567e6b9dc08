"""BLEU (Papineni et al. 2002) and chrF (Popovic 2015) of one reply, as sacrebleu (Post 2018; extra ``text``) counts.

Both are made for whole corpora; of single sentences they are rough, and a mean over rows is no corpus score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from fitness.reasons import graded, unparsed
from fitness.references import need, references


@dataclass(frozen=True, slots=True)
class Bleu:
    """Sentence BLEU against the target, or all of a JSON list of them, over 100: ``scorer: bleu``.

    Only n-gram orders the reply is long enough for count (effective order); higher ones without a match are smoothed
    (``exp``). ``tokenize`` names one of sacrebleu's tokenizers, such as ``13a``, ``zh`` or ``char``.
    """

    tokenize: str = "13a"
    ignore_case: bool = False
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        need("sacrebleu", "bleu")
        try:
            _bleu(self.tokenize, self.ignore_case)
        except (KeyError, ValueError, ImportError, RuntimeError) as error:
            raise ConfigError(
                f"scorer bleu: expected a tokenizer of sacrebleu's, got {self.tokenize!r} ({error}); try 13a"
            ) from error

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return BLEU in [0, 1]; an empty reply is unparsed."""
        return _scored(_bleu(self.tokenize, self.ignore_case), "BLEU", completion, example)


@dataclass(frozen=True, slots=True)
class Chrf:
    """Sentence chrF against the target, or the best of a JSON list of them, over 100: ``{name: chrf, words: 2}``.

    F2 of character n-grams up to ``characters``, and of word n-grams up to ``words``: 2 makes it chrF++.
    """

    characters: int = 6
    words: int = 0
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        need("sacrebleu", "chrf")
        if self.characters < 1 or self.words < 0:
            raise ConfigError(
                f"scorer chrf: expected characters of 1 or more and words of 0 or more, got {self.characters} and "
                f"{self.words}; try 6 and 0"
            )

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return chrF in [0, 1]; an empty reply is unparsed."""
        return _scored(_chrf(self.characters, self.words), "chrF", completion, example)


def _scored(metric: Any, name: str, completion: Completion, example: Example) -> Score:
    if not completion.text.strip():
        return unparsed("nothing", completion.text, example)
    known = references(example.target)
    value = metric.sentence_score(completion.text.strip(), list(known)).score / 100
    return graded(round(value, 12), name, known[0])


@lru_cache
def _bleu(tokenize: str, ignore_case: bool) -> Any:
    from sacrebleu.metrics.bleu import BLEU  # not before it is used

    return BLEU(tokenize=tokenize, lowercase=ignore_case, effective_order=True)


@lru_cache
def _chrf(characters: int, words: int) -> Any:
    from sacrebleu.metrics.chrf import CHRF  # not before it is used

    return CHRF(char_order=characters, word_order=words)
