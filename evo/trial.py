"""A model must answer once before its calls go out side by side.

So a wrong address costs a handful of requests, not a budget. What becomes of one that stops answering: `evo.pacing`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evo.errors import LlmError
from evo.receipts import CANCELLED, Receipt

FIRST_FAILURES = 2
"""Failed calls, each with all its attempts, after which a model that never answered is given up."""


@dataclass(slots=True)
class _Record:
    proven: bool = False
    probe: str | None = None
    failures: int = 0


@dataclass(slots=True)
class Trial:
    """Watches every model of a run."""

    _records: dict[str, _Record] = field(default_factory=dict)

    def admits(self, model: str) -> bool:
        """Whether a call to this model may go out now."""
        record = self._records.setdefault(model, _Record())
        return record.proven or record.probe is None

    def begin(self, model: str, key: str) -> None:
        """A call goes out."""
        record = self._records[model]
        if not record.proven:
            record.probe = key

    def end(self, model: str, key: str) -> None:
        """A call was lost without an answer or an error."""
        record = self._records.setdefault(model, _Record())
        record.probe = None if record.probe == key else record.probe

    def settle(self, receipt: Receipt) -> LlmError | None:
        """Take in a settled call; return the error to end the run with when its model is to be given up."""
        self.end(receipt.model, receipt.key)
        record = self._records[receipt.model]
        if receipt.completion is not None:
            record.proven, record.failures = True, 0
        elif receipt.error != CANCELLED:
            record.failures += receipt.attempts > 0
        if record.proven or record.failures < FIRST_FAILURES:
            return None
        return LlmError(
            f"{record.failures} calls to {receipt.model} failed and none was answered, the last with: "
            f"{receipt.error.rstrip('.')}; nothing was scored 0: see that the model is up and its address is right, "
            "then `evo resume` goes on"
        )
