"""What the tests of calls and money share: a ledger in a folder, whose account is checked at every movement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evo.budget import Account, Usage
from evo.cache import AnswerCache
from evo.journal import Journal, read_table
from evo.ledger import CallLedger
from evo.model import Budget, Completion
from evo.receipts import Admission, Receipt


class WatchedAccount(Account):
    """An account that fails the test as soon as spending and reservations together pass a cap."""

    def reserve(self, wanted: Usage) -> None:
        super().reserve(wanted)
        self._look()

    def settle(self, wanted: Usage, used: Usage) -> None:
        super().settle(wanted, used)
        self._look()

    def _look(self) -> None:
        total, budget = self.spent + self.reserved, self.budget
        assert self.reserved.calls >= 0
        assert self.reserved.tokens >= 0
        assert budget.calls is None or total.calls <= budget.calls
        assert budget.tokens is None or total.tokens <= budget.tokens
        assert budget.usd is None or total.usd <= budget.usd + 1e-9


@dataclass
class Bank:
    """A ledger with its account, cache and journal."""

    path: Path
    account: Account
    cache: AnswerCache
    journal: Journal
    ledger: CallLedger

    def calls(self) -> list[dict]:
        return read_table(self.path, "calls").to_pylist()


@contextmanager
def bank(path: Path, *, run: str = "run", proven: bool = True, **caps: float) -> Iterator[Bank]:
    """Open a ledger in ``path``; answers are shared by everything beside it. ``proven``: the model has answered."""
    path.mkdir(exist_ok=True)
    account = WatchedAccount(Budget(**caps))
    cache, journal = AnswerCache(path.parent / "answers.sqlite", run), Journal(path)
    ledger = CallLedger(account, cache, journal)
    if proven:
        ledger._trial.settle(receipt("proof", answer()))
        ledger.pacing.answered("model", "proof", 4)
    try:
        yield Bank(path, account, cache, journal, ledger)
    finally:
        journal.close()
        cache.close()


def admission(key: str, tokens: int = 10, usd: float | None = 0.0, model: str = "model") -> Admission:
    return Admission(key, tokens, usd, model, output_tokens=1)


def answer(text: str = "yes", tokens: int = 4, usd: float | None = 0.0) -> Completion:
    return Completion(text, tokens - 1, 1, usd)


def receipt(key: str, completion: Completion | None, **more: object) -> Receipt:
    return Receipt(
        key,
        **{
            "model": "model",
            "purpose": "task",
            "individual": None,
            "started_at": 0.0,
            **more,
            "completion": completion,
        },
    )
