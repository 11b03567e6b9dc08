"""A scorer must give one score before a run spends its budget on replies that nobody can score.

Like a model that never answers (`evo.trial`), one that fails on every row of as many prompts as there are seeds is
given up: no other prompt would mend it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evo.errors import EvoError
from evo.failures import KIND_CHARS, SCORER
from evo.model import Evaluation, Prompt
from evo.untrusted import one_line

FEWEST_ROWS = 10
"""Rows that must have failed at least: so few may be odd ones."""
INFRASTRUCTURE = f"{SCORER}LlmError: "
"""How the error of a row begins whose judge could not be reached: that passes, or `evo.pacing` ends the run."""


@dataclass(slots=True)
class ScorerTrial:
    """Watches the scores of a run, or of one of its workers.

    Args:
        prompts: How many prompts must have failed before the scorer is given up.
    """

    prompts: int
    _proven: bool = False
    _failed: set[Prompt] = field(default_factory=set)
    _rows: int = 0

    def settle(self, prompt: Prompt, found: Evaluation) -> EvoError | None:
        """Take in what was found of a prompt; return the error to end the run with when its scorer is given up."""
        self._proven = self._proven or found.count > 0
        errors = [one.error for one in found.missing if _is_the_scorers(one.error)]
        if self._proven or not errors:
            return None
        self._failed.add(prompt)
        self._rows += len(errors)
        if len(self._failed) < self.prompts or self._rows < FEWEST_ROWS:
            return None
        last = one_line(errors[-1].removeprefix(SCORER), KIND_CHARS)
        return EvoError(
            f"expected a score for some row, but the scorer failed on all of the first {self._rows} rows, under "
            f"{len(self._failed)} prompts, the last time with {last!r}; mend the scorer, then start the run again: "
            "replies that came are remembered"
        )


def _is_the_scorers(error: str) -> bool:
    return error.startswith(SCORER) and not error.startswith(INFRASTRUCTURE)
