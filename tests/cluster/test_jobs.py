from __future__ import annotations

import asyncio

import pytest

from cluster.jobs import Job, JobQueue
from evo.errors import EvoError, LlmError

PATIENCE_S = 2
WORK = {"model": 0, "individual": 0, "purpose": "task"}


def ask(queue: JobQueue, individual: int = 0) -> asyncio.Task:
    return asyncio.create_task(queue.do(**{**WORK, "individual": individual}))


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def test_work_is_taken_in_order_and_answered():
    queue = JobQueue()
    asked = [ask(queue, number) for number in range(3)]
    await asyncio.sleep(0)
    jobs = [await soon(queue.take(0)) for _ in range(3)]
    assert [job.individual for job in jobs] == [0, 1, 2]
    assert len({job.number for job in jobs}) == 3
    for job in reversed(jobs):
        queue.finish(0, job.number, f"done {job.individual}")
    assert await soon(asyncio.gather(*asked)) == ["done 0", "done 1", "done 2"]
    assert queue.desk(0).jobs == {}


async def test_a_worker_that_waits_gets_the_next_job_and_errors_reach_who_asked():
    queue = JobQueue()
    taking = asyncio.create_task(queue.take(7))
    await asyncio.sleep(0)
    asked = ask(queue)
    job = await soon(taking)
    assert list(queue.desk(7).jobs) == [job.number]
    queue.finish(7, job.number, LlmError("busy"))
    with pytest.raises(LlmError, match="busy"):
        await soon(asked)


async def test_a_lost_workers_jobs_go_back_in_front_in_their_order():
    queue = JobQueue()
    asked = [ask(queue, number) for number in range(4)]
    await asyncio.sleep(0)
    for _ in range(3):
        await soon(queue.take(0))
    desk = queue.lose(0)
    assert [job.individual for job in desk.jobs.values()] == [0, 1, 2]
    assert [(await soon(queue.take(1))).individual for _ in range(4)] == [0, 1, 2, 3]
    for number in (1, 2, 3, 4):
        queue.finish(1, number, number)
    assert await soon(asyncio.gather(*asked)) == [1, 2, 3, 4]
    queue.finish(0, 1, "late answer of a worker thought lost")
    assert queue.lose(0).jobs == {}


async def test_a_job_is_not_handed_to_a_worker_that_was_lost_while_it_waited():
    queue = JobQueue()
    lost = asyncio.create_task(queue.take(0))  # the process that asked is gone, its question stays
    await asyncio.sleep(0)
    queue.lose(0)
    asked = ask(queue)
    assert await soon(lost) is None
    assert await soon(queue.take(0)) is None, "what it asked before it was lost may come after"
    job = await soon(queue.take(1))
    assert isinstance(job, Job)
    queue.finish(1, job.number, "scored")
    assert await soon(asked) == "scored"


async def test_a_worker_that_stopped_waiting_gets_nothing():
    queue = JobQueue()
    gone = asyncio.create_task(queue.take(0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    ask(queue)
    assert (await soon(queue.take(1))).number == 1
    assert queue.desk(0).jobs == {}


async def test_closing_sends_home_who_waits_and_who_comes_later():
    queue = JobQueue()
    waiting = [asyncio.create_task(queue.take(number)) for number in range(3)]
    await asyncio.sleep(0)
    queue.close()
    assert await soon(asyncio.gather(*waiting)) == [None, None, None]
    assert await soon(queue.take(9)) is None


async def test_an_answer_nobody_waits_for_any_more_is_no_error():
    queue = JobQueue()
    asked = ask(queue)
    job = await soon(queue.take(0))
    asked.cancel()
    await asyncio.sleep(0)
    queue.finish(0, job.number, EvoError("late"))
