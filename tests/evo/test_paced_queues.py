from __future__ import annotations

from evo.paced_queues import PacedQueues
from evo.pacing import Pacing


async def test_who_waits_for_a_models_pace_is_counted_until_woken():
    queues = PacedQueues(Pacing(), lambda: 60.0)
    turns = [queues.turn("one"), queues.turn("one"), queues.turn("other")]
    assert queues.waiting == 3
    queues.wake("one")
    assert (queues.waiting, turns[0].done()) == (1, True)
    queues.wake_all()
    assert queues.waiting == 0
