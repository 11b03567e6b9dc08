"""Errors a user may meet. Each message says what was expected, what came, and the mend."""

from __future__ import annotations


class EvoError(Exception):
    """Root of every error raised on purpose; shown to the user as one message without a traceback."""


class ConfigError(EvoError):
    """A configuration, file or argument that cannot be used (exit code 2)."""


class OperatorError(EvoError):
    """An operator gave no usable prompt: its reply had no tag, was empty, too long, or lost a placeholder."""


class BudgetExhausted(EvoError):
    """No further model call fits the budget."""


class Interrupted(EvoError):
    """The run was asked to stop; it can be resumed."""


class LlmError(EvoError):
    """A model call failed.

    Args:
        message: What the provider said, with secrets removed.
        transient: Whether the same call may succeed later (time-out, rate limit, server error).
        fatal: Whether every further call would fail too (wrong key, unknown model): the run stops.
        retry_after_s: How long the provider asked to wait, if it did.
    """

    def __init__(
        self, message: str, *, transient: bool = False, fatal: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.fatal = fatal
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (str(self), self.transient, self.fatal, self.retry_after_s))


def _rebuild(message: str, transient: bool, fatal: bool, retry_after_s: float | None) -> LlmError:
    return LlmError(message, transient=transient, fatal=fatal, retry_after_s=retry_after_s)
