"""Errors a user may meet. Each message says what was expected, what came, and the mend."""

from __future__ import annotations

from functools import partial


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
        busy: Whether the provider asks for fewer calls; it may be sent again later.
        retry_after_s: How long the provider asked to wait, if it did.
        tokens: What the provider billed all the same; None: it may have, and did not say.
        usd: The price of these tokens; None where it is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = False,
        fatal: bool = False,
        busy: bool = False,
        retry_after_s: float | None = None,
        tokens: int | None = 0,
        usd: float | None = 0.0,
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.fatal = fatal
        self.busy = busy
        self.retry_after_s = retry_after_s
        self.tokens = tokens
        self.usd = usd

    def __reduce__(self) -> tuple[object, ...]:
        whole = partial(
            LlmError,
            transient=self.transient,
            fatal=self.fatal,
            busy=self.busy,
            retry_after_s=self.retry_after_s,
            tokens=self.tokens,
            usd=self.usd,
        )
        return (whole, (str(self),))
