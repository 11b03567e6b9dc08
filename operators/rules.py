"""The rules by which GPS (Xu et al., EMNLP 2022) drops what its operators write, before anything is scored.

At least two words, balanced braces, no placeholder the parent does not have, none more often than there, no word of a
blacklist. That none may be lost is the task's own check. The paper's limit of two placeholders is of its tasks alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from evo.errors import OperatorError
from operators.arguments import at_least
from operators.templates import PLACEHOLDER

BLACKLIST = ("http:", "https:", "www.", "\ufffd", "as an ai", "i cannot", "i can't", "i'm sorry", "[gap")
"""What shows that a reply is no prompt: addresses, broken characters, refusals, gaps not filled."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a written prompt must be like. ``blacklist`` holds symbols and words, case aside, it must not contain."""

    least_words: int = 2
    blacklist: tuple[str, ...] = BLACKLIST

    def __post_init__(self) -> None:
        at_least("rules", "least_words", self.least_words, 1)
        object.__setattr__(self, "blacklist", tuple(self.blacklist))

    def check(self, text: str, base: str) -> None:
        """Return nothing. Raises OperatorError when a text written from ``base`` breaks a rule.

        What is in ``base`` already is allowed.
        """
        if len(text.split()) < self.least_words:
            raise OperatorError(f"expected at least {self.least_words} words, got {text!r}; try again")
        if _balanced(base) and not _balanced(text):
            raise OperatorError(f"expected balanced braces, got {text[:60]!r}; try again")
        known = Counter(PLACEHOLDER.findall(base))
        for name, count in sorted(Counter(PLACEHOLDER.findall(text)).items()):
            if count > known[name]:
                raise OperatorError(f"expected {name} {known[name]} times as in the parent, got {count}; try again")
        for word in self.blacklist:
            if word.casefold() in text.casefold() and word.casefold() not in base.casefold():
                raise OperatorError(f"expected a prompt without {word!r}, which is on the blacklist; try again")


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return False
    return depth == 0
