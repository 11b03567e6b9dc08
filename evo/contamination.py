"""Whether a prompt holds rows of the data word for word: such a prompt has seen what it is judged by.

Eight words in a row of an input or a target are taken for a copy, as for the test sets of language models (PaLM,
Chowdhery et al. 2022); of one with fewer words all of them, if there are four. Words that many rows share are the
task's and not a row's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from evo.model import Prompt
from evo.ports import Task
from evo.prompt import EXAMPLES, demos_of

WORDS, FEWEST = 8, 4
SHARED, SHARE = 3, 0.1
"""What stands in more rows than these, as a number and as a share, is no row's own."""
UNPARTED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
"""Letters of scripts that put no spaces between words."""


def copied_rows(prompt: Prompt, task: Task, split: str) -> tuple[int, ...]:
    """Return the rows of a split that the prompt's visible parts quote."""
    text = [_words(part) for part in _texts(prompt)]
    pieces = {piece for words in text for piece in _pieces(words, WORDS)}
    joined = [f" {' '.join(words)} " for words in text]
    quoted: dict[int, set[tuple[str, ...]]] = {}
    for number in sorted(task.examples(split)):
        example = task.example(number)
        found = {piece for value in (*example.inputs.values(), example.target) for piece in _pieces(_words(value))}
        quoted[number] = {
            piece for piece in found if piece in pieces or (len(piece) < WORDS and _stands_in(piece, joined))
        }
    rows = Counter(piece for found in quoted.values() for piece in found)
    most = max(SHARED, SHARE * len(quoted))
    return tuple(number for number, found in quoted.items() if any(rows[piece] <= most for piece in found))


def _pieces(words: list[str], fewest: int = FEWEST) -> Iterator[tuple[str, ...]]:
    """Yield every eight words in a row; all words of a text that has less, but not less than ``fewest``."""
    if fewest <= len(words) < WORDS:
        yield tuple(words)
    for start in range(len(words) - WORDS + 1):
        yield tuple(words[start : start + WORDS])


def _stands_in(piece: tuple[str, ...], joined: list[str]) -> bool:
    return any(f" {' '.join(piece)} " in one for one in joined)


def _texts(prompt: Prompt) -> Iterator[str]:
    """Yield the visible parts; of worked examples each text, as its line breaks are written out in the part."""
    yield from (part for name, part in prompt.shown if name != EXAMPLES)
    for demo in demos_of(prompt):
        yield from (demo.input, demo.working)


def _words(text: str) -> list[str]:
    """Return the words; where none are parted, as in Chinese, Japanese, Thai, Lao, Khmer and Burmese, the letters."""
    return re.findall(rf"[{UNPARTED}]|(?:(?![{UNPARTED}])\w)+", text.casefold())
