"""The final test: both finalists on the same unseen rows, block by block, so that whatever is affordable is paired."""

from __future__ import annotations

import bisect
import contextlib
import time
from collections.abc import Mapping, Sequence

from cluster.final_race import race
from cluster.remote import AnyBroker
from cluster.sides import Side, calls_of, score, side
from evo.commission import Commission
from evo.contamination import copied_rows
from evo.crossfit import crossed_scores
from evo.errors import BudgetExhausted
from evo.failures import commonest_reason
from evo.folder import RunFolder, write_json
from evo.schema import evaluation_rows
from evo.status import Snapshot
from evo.verdict import Finalists, finalists, looks_at_test, ranking, test_scores, verdict

BLOCK = 64
"""Most rows each finalist is given at a time, where time is no matter: back to back they share a prefix cache."""
BLOCK_SHARE = 0.25
"""Most of the time left that a block may be expected to take: it may well take thrice that before rows go unpaired."""


async def finish(order: Commission, broker: AnyBroker) -> None:
    """Race the best, test the finalists once, side by side, and write the result.

    Raises BudgetExhausted where nobody was scored.
    """
    if not ranking(order.path, 1):
        raise BudgetExhausted(_unscored(order))
    await race(order, broker)
    chosen = finalists(order.path, order.kin_of)
    await broker.enter_final()
    sides = _sides(order, chosen)
    rows = [row for row in order.task.examples("test") if any(row in one.untried for one in sides)]
    calls = calls_of(order.task, sides, rows)
    count = bisect.bisect_right(calls, await broker.affordable(calls[-1])) - 1
    whole = await _test_in_blocks(order, broker, sides, rows[:count], calls[count] / max(1, count))
    snapshot = await broker.snapshot()
    folds = order.settings.task.split.folds
    result = verdict(
        order.path,
        chosen,
        status="done" if whole and count == len(rows) else "budget",
        spent=snapshot.spent,
        elapsed_s=snapshot.elapsed_s,
        seed=order.settings.seed,
        looks=looks_at_test(RunFolder(order.path).result, chosen),
        crossed=None if folds is None else _crossed(order, folds),
        copied={split: copied_rows(chosen.winner.prompt, order.task, split) for split in ("dev", "test")},
    )
    write_json(order.path / "result.json", result)


def _crossed(order: Commission, folds: int) -> Mapping[int, float]:
    return crossed_scores(order.path, ranking(order.path), order.task.examples("dev"), folds)


def _sides(order: Commission, chosen: Finalists) -> list[Side]:
    island, rows = chosen.winner.island, set(order.task.examples("test"))
    return [
        side(order, one, rows.difference(test_scores(order.path, one.number)), island=island) for one in chosen.distinct
    ]


def _unscored(order: Commission) -> str:
    """Return why nobody was scored, and what to do."""
    if reason := commonest_reason(order.path):
        return (
            f"expected a score for some row of some prompt, but none has one, most of them because of: {reason}; "
            "mend that, not the budget"
        )
    ground = order.ground(0)
    dev = order.task.examples("dev")
    rows = dev[: ground.racing.size(len(dev))]
    calls = sum(order.task.calls(order.task.brief.seeds[0], rows)) if order.task.brief.seeds else len(rows)
    return (
        f"the run ended before any prompt was scored: one prompt takes {len(rows)} dev rows, {calls} calls; "
        "raise the budget, or score on fewer rows with `racing: {name: subset, n: 50}`"
    )


async def _test_in_blocks(
    order: Commission, broker: AnyBroker, sides: Sequence[Side], rows: Sequence[int], row_calls: float
) -> bool:
    """Test until the rows or the budget end; return whether the rows did. A row takes ``row_calls`` on all sides."""
    at_once = max(1, order.settings.concurrency // len(sides))
    done, row_s = 0, 0.0
    while done < len(rows):
        snapshot, began = await broker.snapshot(), time.monotonic()
        # What the last block took says more than the whole run, unless its answers were known before.
        row_s = max(row_s, row_calls * snapshot.elapsed_s / max(1, snapshot.spent.calls))
        block = rows[done : done + block_size(snapshot, row_s, at_once)]
        try:
            await _test(broker, sides, block)
        except BudgetExhausted:
            await _test_what_is_paid(broker, sides, block)
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


async def _test_what_is_paid(broker: AnyBroker, sides: Sequence[Side], rows: Sequence[int]) -> None:
    """Test row by row, both sides each: answered calls cost nothing again, a row that does not fit is left out."""
    for row in rows:
        with contextlib.suppress(BudgetExhausted):
            await _test(broker, sides, [row])


async def _test(broker: AnyBroker, sides: Sequence[Side], rows: Sequence[int]) -> None:
    found = await score(broker, sides, rows)
    tested = (
        evaluation_rows(one.individual.number, scored.outcomes, "test")
        for one, scored in zip(sides, found, strict=True)
    )
    await broker.log({"evaluations": [row for rows in tested for row in rows]})
