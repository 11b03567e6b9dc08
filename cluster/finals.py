"""The final test: both finalists on the same unseen rows, block by block, so that whatever is affordable is paired."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from cluster.remote import AnyBroker
from evo.commission import Commission
from evo.errors import BudgetExhausted
from evo.folder import write_json
from evo.model import Evaluation, Individual, island_of
from evo.schema import evaluation_rows
from evo.status import Snapshot
from evo.verdict import finalists, ranking, test_scores, verdict

BLOCK = 64
"""Most rows each finalist is given at a time, where time is no matter: back to back they share a prefix cache."""
BLOCK_SHARE = 0.25
"""Most of the time left that a block may be expected to take: it may well take thrice that before rows go unpaired."""


async def finish(order: Commission, broker: AnyBroker) -> None:
    """Test the finalists once, side by side, and write the result. Raises BudgetExhausted where nobody was scored."""
    if not ranking(order.path, 1):
        raise BudgetExhausted(_too_small(order))
    chosen = finalists(order.path, order.kin_of)
    await broker.enter_final()
    sides = chosen.distinct
    tested = [set(test_scores(order.path, side.number)) for side in sides]
    rows = [row for row in order.task.examples("test") if not all(row in seen for seen in tested)]
    count = await broker.affordable(len(sides) * len(rows)) // len(sides)
    whole = await _test_in_blocks(order, broker, sides, rows[:count])
    snapshot = await broker.snapshot()
    result = verdict(
        order.path,
        chosen,
        status="done" if whole and count == len(rows) else "budget",
        spent=snapshot.spent,
        elapsed_s=snapshot.elapsed_s,
        seed=order.settings.seed,
    )
    write_json(order.path / "result.json", result)


def _too_small(order: Commission) -> str:
    ground = order.ground(0)
    rows = ground.racing.size(len(order.task.examples("dev")))
    return (
        f"the run ended before any prompt was scored: one prompt takes {rows} dev rows, a call each; "
        "raise the budget, or score on fewer rows with `racing: {name: subset, n: 50}`"
    )


async def _test_in_blocks(
    order: Commission, broker: AnyBroker, sides: Sequence[Individual], rows: Sequence[int]
) -> bool:
    """Test until the rows or the budget end; return whether the rows did."""
    at_once = max(1, order.settings.concurrency // len(sides))
    done, row_s = 0, 0.0
    while done < len(rows):
        snapshot, began = await broker.snapshot(), time.monotonic()
        # What the last block took says more than the whole run, unless its answers were known before.
        row_s = max(row_s, len(sides) * snapshot.elapsed_s / max(1, snapshot.spent.calls))
        block = rows[done : done + block_size(snapshot, row_s, at_once)]
        try:
            await _test(order, broker, sides, block)
        except BudgetExhausted:
            await _test_what_is_paid(order, broker, sides, block)
            return False
        done, row_s = done + len(block), (time.monotonic() - began) / len(block)
    return True


def block_size(snapshot: Snapshot, row_s: float, at_once: int) -> int:
    """Return how many rows each side is given next.

    Args:
        snapshot: The run now.
        row_s: Seconds a row takes, all sides together, where many are under way.
        at_once: Rows whose calls go out together on all sides: fewer would leave slots idle.
    """
    if snapshot.left_s is None:
        return max(at_once, BLOCK)
    return max(at_once, min(BLOCK, int(BLOCK_SHARE * snapshot.left_s / row_s)))


async def _test_what_is_paid(
    order: Commission, broker: AnyBroker, sides: Sequence[Individual], rows: Sequence[int]
) -> None:
    """Test row by row, both sides each: answered calls cost nothing again, a row that does not fit is left out."""
    for row in rows:
        with contextlib.suppress(BudgetExhausted):
            await _test(order, broker, sides, [row])


async def _test(order: Commission, broker: AnyBroker, sides: Sequence[Individual], rows: Sequence[int]) -> None:
    async def one(side: Individual) -> Evaluation:
        model, _ = order.models_of(island_of(side.number))
        return await broker.evaluate(model, side.number, side.prompt, rows)

    # All of them, whatever one raises: what is under way is paid for.
    found = await asyncio.gather(*map(one, sides), return_exceptions=True)
    for scored in found:
        if isinstance(scored, BaseException):
            raise scored
    for side, scored in zip(sides, found, strict=True):
        assert isinstance(scored, Evaluation)
        await broker.log({"evaluations": evaluation_rows(side.number, scored.outcomes, "test")})
