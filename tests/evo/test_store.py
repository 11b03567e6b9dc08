"""A run opened for writing again: its answers are known, and nothing is written that is there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bank import answer, receipt

import evo.journal
import evo.schema
from evo.cache import AnswerCache
from evo.config import parse
from evo.folder import RunFolder
from evo.journal import CLOCK_S, Journal
from evo.model import Completion
from evo.schema import call_row, event_row
from evo.store import RunStore, elapsed_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    settings = parse({"task": {"data": "x"}, "model": "m", "storage": str(tmp_path / "runs")})
    return RunFolder.create(settings, base=tmp_path, title="t", fingerprint="f").path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys that were put into a cache."""
    keys: list[str] = []
    real = AnswerCache.put

    def put(self, answers):
        answers = list(answers)
        keys.extend(key for key, _ in answers)
        real(self, answers)

    monkeypatch.setattr(AnswerCache, "put", put)
    return keys


@pytest.fixture
def open_store(path: Path) -> Iterator[Callable[[], RunStore]]:
    stores: list[RunStore] = []

    def open_it() -> RunStore:
        stores.append(RunStore(path))
        return stores[-1]

    yield open_it
    for store in stores:
        if not store.journal._stop_sync.is_set():
            store.close()


def pay(store: RunStore, *keys: str, remember: bool = True) -> None:
    """Log calls as the ledger does; without ``remember`` as if killed before the cache had them."""
    store.journal.append({"calls": [call_row(receipt(key, answer(key))) for key in keys]})
    if remember:
        store.cache.put((key, answer(key)) for key in keys)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of journals, to be set."""
    now = [100.0]
    monkeypatch.setattr(evo.journal.time, "monotonic", lambda: now[0])
    return now


def attempt(path: Path, clock: list[float], number: int, seconds: float, rows: int) -> None:
    """Log rows over a time, and end as if killed: nothing says that it has ended."""
    journal = Journal(path, attempt=number, seal_s=1e6)
    journal.append({"events": [event_row(-1, "started")]})
    for _ in range(rows):
        clock[0] += seconds / rows
        journal.append({"edges": [{"child": 1, "parent": 0, "role": "base", "place": 0}]})
    journal.close()


def test_a_killed_attempt_took_the_time_that_was_logged_last(path, clock):
    attempt(path, clock, 0, 100.0, rows=50)
    attempt(path, clock, 1, 63.0, rows=21)
    elapsed_s, attempts = elapsed_of(path)
    assert attempts == 2
    assert 163.0 - 2 * CLOCK_S <= elapsed_s <= 163.0


@pytest.mark.parametrize("jump_s", [-86_400, 86_400], ids=["back", "ahead"])
def test_a_wall_clock_that_jumps_takes_no_time_from_the_budget(path, clock, jump_s, monkeypatch):
    attempt(path, clock, 0, 20.0, rows=10)
    now_ns = time.time_ns()
    monkeypatch.setattr(evo.schema.time, "time_ns", lambda: now_ns + jump_s * 10**9)
    attempt(path, clock, 1, 20.0, rows=10)
    assert elapsed_of(path) == (pytest.approx(40.0, abs=2 * CLOCK_S), 2)


def test_a_run_closed_well_finds_its_answers_without_writing_them_again(open_store, written):
    first = open_store()
    pay(first, "a", "b", "a")
    first.journal.append({"calls": [call_row(receipt("c", None, error="busy"))]})
    first.close()
    written.clear()
    again = open_store()
    assert written == []
    assert [again.cache.get(key) for key in "abc"] == [(answer("a"), True), (answer("b"), True), None]
    assert again.spent.calls == 4


def test_a_killed_run_writes_only_the_answers_that_are_missing(open_store, written):
    first = open_store()
    pay(first, "a", "b")
    pay(first, "c", "d", remember=False)
    first.close()
    written.clear()
    again = open_store()
    assert written == ["c", "d"]
    assert all(again.cache.get(key) == (answer(key), True) for key in "abcd")


@pytest.mark.parametrize("lost", [["x"], ["x", "y", "z"]], ids=len)
def test_what_the_log_has_lost_is_no_use_of_this_run(open_store, lost):
    first = open_store()
    pay(first, "a")
    pay(first, "b", remember=False)
    first.cache.put((key, answer(key)) for key in lost)
    first.close()
    again = open_store()
    assert all(again.cache.get(key) == (answer(key), True) for key in "ab")
    assert all(again.cache.get(key) == (answer(key), False) for key in lost)


def test_a_deleted_cache_is_filled_from_the_log(open_store, path, written):
    first = open_store()
    pay(first, "a", "b")
    first.close()
    for file in path.parent.glob("answers.sqlite*"):
        file.unlink()
    written.clear()
    assert open_store().cache.get("a") == (answer("a"), True)
    assert written == ["a", "b"]


def test_an_embedding_is_known_from_the_log_to_the_last_digit(open_store, path):
    first, embedded = open_store(), Completion("", 3, 0, 0.0, 0.5, embedding=(0.1, -0.994987, 1e-06))
    first.journal.append({"calls": [call_row(receipt("a", embedded))]})
    first.close()
    for file in path.parent.glob("answers.sqlite*"):
        file.unlink()
    assert open_store().cache.get("a") == (embedded, True)
