"""prompt-archipelago: distributed evolutionary search for LLM prompts, honestly measured.

``evolve`` runs a search, ``estimate`` says what it would take, ``resume`` goes on with one, ``open_run`` looks at one,
``watch`` shows it while it goes, ``compare`` sets several side by side.
Heavy parts are imported at their first use, so that ``import evo`` is quick and needs neither Ray nor LiteLLM.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from evo._guard import refuse_strangers

if TYPE_CHECKING:
    from evo.api import estimate, evolve, open_run, resume, watch
    from evo.comparison import compare
    from evo.errors import BudgetExhausted, ConfigError, EvoError, Interrupted, LlmError, OperatorError
    from evo.model import Budget, Completion, Evaluation, Example, Individual, Prompt, Request, Score
    from evo.run import Run

refuse_strangers()

_HOMES = {
    "evo.api": ("estimate", "evolve", "open_run", "resume", "watch"),
    "evo.comparison": ("compare",),
    "evo.errors": ("BudgetExhausted", "ConfigError", "EvoError", "Interrupted", "LlmError", "OperatorError"),
    "evo.model": ("Budget", "Completion", "Evaluation", "Example", "Individual", "Prompt", "Request", "Score"),
    "evo.run": ("Run",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Budget",
    "BudgetExhausted",
    "Completion",
    "ConfigError",
    "Evaluation",
    "EvoError",
    "Example",
    "Individual",
    "Interrupted",
    "LlmError",
    "OperatorError",
    "Prompt",
    "Request",
    "Run",
    "Score",
    "compare",
    "estimate",
    "evolve",
    "open_run",
    "resume",
    "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
