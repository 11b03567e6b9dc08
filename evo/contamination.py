"""Whether a prompt holds rows of the data word for word: such a prompt has seen what it is judged by.

Eight words in a row are taken for a copy, as for the test sets of language models (PaLM, Chowdhery et al. 2022); of an
input with fewer words all of them, if there are four.
"""

from __future__ import annotations

import re

from evo.model import Prompt
from evo.ports import Task

WORDS, FEWEST = 8, 4


def copied_rows(prompt: Prompt, task: Task, split: str) -> tuple[int, ...]:
    """Return the rows of a split that the prompt's visible parts quote."""
    text = [_words(part) for _, part in prompt.shown]
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


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
