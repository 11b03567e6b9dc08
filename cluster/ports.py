"""What islands and workers may ask of the broker, wherever it lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from cluster.jobs import Job
from evo.budget import Usage
from evo.errors import EvoError
from evo.model import Completion, Evaluation, Individual, Prompt, Request
from evo.ports import Rows
from evo.receipts import NO_SETBACK, Admission, Receipt, Setback
from evo.status import IslandStatus

Answer = tuple[Completion | None, EvoError | None, bool]
"""What admission says: the known answer, or why there will be none, or whether to wait. None of these: send it."""


class BrokerPort(Protocol):
    """The broker as islands and workers see it; `cluster.broker.Broker` says what each call does."""

    async def evaluate(
        self, model: int, individual: int, prompt: Prompt, examples: Sequence[int], calls: int = 0
    ) -> Evaluation:
        """Score a prompt, when the budget pays for so many ``calls``. Raises BudgetExhausted or Interrupted."""
        ...

    async def complete(self, model: int, individual: int, request: Request, purpose: str = "operator") -> Completion:
        """Answer a request. Raises LlmError, BudgetExhausted or Interrupted."""
        ...

    async def record(self, rows: Rows, status: IslandStatus, start: int = 0) -> bool:
        """Add to the log; return whether the island may go on."""
        ...

    async def trade(
        self, island: int, offer: Sequence[Individual], sources: Sequence[int], count: int
    ) -> Sequence[Individual]:
        """Offer migrants and take others'."""
        ...

    async def meet(self, told: int, sources: Sequence[int]) -> Sequence[Individual]:
        """Return what others put up after as many births. Raises Interrupted."""
        ...

    async def put_up(self, island: int, offers: Mapping[int, Sequence[Individual]], last: bool = False) -> None:
        """Put up migrants by the number of births."""
        ...

    async def next_job(self, worker: int) -> Job | None:
        """Return work, or None when there will be no more."""
        ...

    async def admit(self, worker: int, admission: Admission) -> Completion | None:
        """Admit a call, waiting until it can be said whether."""
        ...

    async def admit_all(self, worker: int, admissions: Sequence[Admission]) -> Sequence[Answer]:
        """Admit calls, those that can be at once."""
        ...

    async def again(
        self, worker: int, admission: Admission, billed: Usage | None, setback: Setback = NO_SETBACK
    ) -> bool:
        """Reserve one more attempt; return whether it is not the call's own."""
        ...

    async def hedge(self, worker: int, admission: Admission) -> bool:
        """Reserve an attempt beside one under way, if there is room."""
        ...

    async def settle(self, worker: int, receipts: Sequence[Receipt]) -> None:
        """Record calls."""
        ...

    async def finish(self, worker: int, job: int, result: Evaluation | Completion | EvoError) -> None:
        """Hand in a job."""
        ...

    async def log(self, rows: Rows) -> None:
        """Add to the log what is no island's."""
        ...

    async def stop(self, error: EvoError | None = None) -> None:
        """End the search."""
        ...
