"""Whether a prompt holds rows of the data word for word: such a prompt has seen what it is judged by.

Eight words in a row are taken for a copy, as for the test sets of language models (PaLM, Chowdhery et al. 2022); of an
input with fewer words all of them, if there are four.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evo.model import Prompt
from evo.ports import Task
from evo.prompt import EXAMPLES, demos_of

WORDS, FEWEST = 8, 4
UNPARTED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
"""Letters of scripts that put no spaces between words."""


def copied_rows(prompt: Prompt, task: Task, split: str) -> tuple[int, ...]:
    """Return the rows of a split that the prompt's visible parts quote."""
    text = [_words(part) for part in _texts(prompt)]
    pieces = {tuple(words[i : i + WORDS]) for words in text for i in range(len(words) - WORDS + 1)}
    joined = [f" {' '.join(words)} " for words in text]

    def is_quoted(words: list[str]) -> bool:
        if len(words) < WORDS:
            return len(words) >= FEWEST and any(f" {' '.join(words)} " in one for one in joined)
        return any(tuple(words[i : i + WORDS]) in pieces for i in range(len(words) - WORDS + 1))

    return tuple(
        number
        for number in sorted(task.examples(split))
        if any(is_quoted(_words(value)) for value in task.example(number).inputs.values())
    )


def _texts(prompt: Prompt) -> Iterator[str]:
    """Yield the visible parts; of worked examples each text, as its line breaks are written out in the part."""
    yield from (part for name, part in prompt.shown if name != EXAMPLES)
    for demo in demos_of(prompt):
        yield from (demo.input, demo.working)


def _words(text: str) -> list[str]:
    """Return the words; where none are parted, as in Chinese, Japanese, Thai, Lao, Khmer and Burmese, the letters."""
    return re.findall(rf"[{UNPARTED}]|(?:(?![{UNPARTED}])\w)+", text.casefold())
