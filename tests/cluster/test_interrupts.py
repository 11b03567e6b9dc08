"""Ctrl-C during `evolve`: whoever called it goes on when the run has come to rest, and not before."""

from __future__ import annotations

import _thread
import signal

import pytest

from evo import Interrupted, evolve, open_run
from evo.api import _interrupts
from evo.schema import STOPPED
from evo.status import Snapshot
from fitness.toy import toy_rows


def test_an_interrupt_returns_only_when_the_run_has_come_to_rest(tmp_path):
    asked: list[Snapshot] = []

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.in_flight and not asked:
            asked.append(snapshot)
            _thread.interrupt_main()

    rows = toy_rows(24)
    with pytest.raises(Interrupted):
        evolve(
            {"data": {"dev": rows[:12], "test": rows[12:]}, "scorer": "choice"},
            model={"name": "fake/toy", "options": {"latency_ms": 300}},
            prompts=["Judge."],
            executor="inline",
            storage=str(tmp_path),
            budget={"calls": 5000},
            watch=interrupt,
        )
    run = open_run(tmp_path)
    assert run.events()["kind"].to_pylist()[-2:] == [STOPPED, "clock"]
    assert not list(run.path.glob("journal-*")), "the log is sealed"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_an_object_is_finalised_stops_the_run_all_the_same():
    class Interrupting:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)  # as an exception it would end here, unheard

    stopped: list[bool] = []
    with _interrupts(lambda: stopped.append(True)):
        one = Interrupting()
        del one
    assert stopped == [True]
