"""A run at a glance, as its broker sees it."""

from __future__ import annotations

from evo.ledger import CallLedger
from evo.status import IslandStatus, Snapshot


def glance(phase: str, ledger: CallLedger, slots: int, islands: tuple[IslandStatus, ...]) -> Snapshot:
    """Return a snapshot; ``slots`` is how many calls may be under way."""
    tally, account = ledger.tally, ledger.account
    return Snapshot(
        phase=phase,
        elapsed_s=account.elapsed_s,
        left_s=account.left_s,
        spent=account.spent,
        # Calls are admitted a little ahead; no more than the slots are on their way at once.
        in_flight=min(ledger.in_flight, slots),
        recalled=tally.recalled,
        shared=tally.shared,
        failed=tally.failed,
        islands=islands,
        pauses=ledger.pacing.pauses(),
        waiting=ledger.waiting,
        traffic=tally.traffic,
    )
