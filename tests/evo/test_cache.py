from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys

import pytest
from bank import answer

import evo.cache
from evo.cache import AnswerCache
from evo.errors import EvoError
from evo.model import Completion


@pytest.fixture
def open_cache(tmp_path):
    opened = []

    def open_it(run: str = "run", name: str = "deep/answers.sqlite") -> AnswerCache:
        opened.append(AnswerCache(tmp_path / name, run))
        return opened[-1]

    yield open_it
    for cache in opened:
        cache.close()


def test_answers_survive_closing_whole(open_cache):
    full = Completion("näh\x00 \u2028😀", 3, 2, 0.25, 1.5, (-0.1, -2.5), (1, 3))
    unknown_price = Completion("", 1, 0, None)
    embedded = Completion("", 3, 0, 0.0, embedding=(0.6, -0.8))
    cache = open_cache()
    cache.put([("a", full), ("b", unknown_price), ("c", embedded)])
    cache.close()
    again = open_cache()
    assert again.get("a") == (full, True)
    assert again.get("b") == (unknown_price, True)
    assert again.get("c") == (embedded, True)
    assert again.get("d") is None


def test_answers_from_before_there_were_embeddings_are_read(open_cache, tmp_path):
    cache = open_cache()
    cache.put([("a", Completion("yes", 3, 2, 0.25, 1.5, (-0.1,), (1,)))])
    cache.flush()
    with contextlib.closing(sqlite3.connect(tmp_path / "deep" / "answers.sqlite")) as db, db:
        (old,) = db.execute("SELECT answer FROM answers").fetchone()
        fields = json.loads(old)
        assert fields.pop("embedding") == []
        db.execute("UPDATE answers SET answer = ?", (json.dumps(fields),))
    db.close()
    assert cache.get("a") == (Completion("yes", 3, 2, 0.25, 1.5, (-0.1,), (1,)), True)


def test_each_run_counts_its_own_uses(open_cache):
    one, two = open_cache("one"), open_cache("two")
    one.put([("k", answer())])
    one.flush()
    assert two.get("k") == (answer(), False)
    two.put([("k", answer())])
    assert two.get("k") == (answer(), True)
    two.flush()
    one.forget_uses()
    assert (one.get("k"), two.get("k")) == ((answer(), False), (answer(), True))


def test_the_first_answer_stays(open_cache):
    cache = open_cache()
    cache.put([("k", answer("first"))])
    cache.put([("k", answer("second")), ("other", answer())])
    assert cache.get("k")[0].text == "first"
    cache.flush()
    cache.put([("k", answer("third"))])
    cache.close()
    assert open_cache().get("k")[0].text == "first"
    assert open_cache().get("other") is not None


def test_answers_are_known_at_once_and_written_some_at_a_time(open_cache, monkeypatch):
    monkeypatch.setattr(evo.cache, "HELD", 3)
    monkeypatch.setattr(evo.cache, "HELD_S", 60.0)
    mine, other = open_cache("mine"), open_cache("other")
    mine.put([("a", answer()), ("b", answer())])
    assert mine.get("a") == (answer(), True)
    assert other.get("a") is None
    mine.put([("c", answer())])
    assert [other.get(key) for key in "abc"] == [(answer(), False)] * 3
    assert [mine.get(key) for key in "abc"] == [(answer(), True)] * 3


def test_an_answer_that_comes_a_while_after_the_last_is_written_at_once(open_cache, monkeypatch):
    monkeypatch.setattr(evo.cache, "HELD_S", 0.0)
    mine, other = open_cache("mine"), open_cache("other")
    mine.put([("a", answer())])
    assert other.get("a") == (answer(), False)


def test_what_is_held_back_when_a_run_forgets_its_uses_is_no_use(open_cache):
    cache = open_cache()
    cache.put([("k", answer())])
    cache.forget_uses()
    assert cache.get("k") == (answer(), False)


def test_a_file_that_is_gone_at_the_end_is_no_error(open_cache):
    cache = open_cache()
    cache.put([("k", answer())])
    cache._db.close()
    cache.close()


def test_a_put_that_fails_stores_nothing_of_it(open_cache):
    cache = open_cache()
    with pytest.raises(TypeError):
        cache.put([("a", answer()), ("b", Completion(object(), 1, 1))])
    assert cache.get("a") is None
    cache.put([("a", answer())])
    assert cache.get("a") is not None


@pytest.mark.parametrize("content", [b"no database " * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_file_is_set_aside_and_the_run_goes_on(tmp_path, content):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(content)
    cache = AnswerCache(path, "run")
    cache.put([("k", answer())])
    assert cache.get("k") == (answer(), True)
    cache.close()
    assert (tmp_path / "answers.damaged").read_bytes() == content


def test_a_file_that_is_only_busy_is_not_damaged(tmp_path, monkeypatch):
    path = tmp_path / "answers.sqlite"
    other = AnswerCache(path, "other")
    other.put([("k", answer())])
    other.flush()
    real, tries = AnswerCache._connect, []

    def busy(where):
        tries.append(where)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database is locked")
        return real(where)

    monkeypatch.setattr(AnswerCache, "_connect", staticmethod(busy))
    mine = AnswerCache(path, "mine")
    assert not path.with_suffix(".damaged").exists()
    assert mine.get("k") == (answer(), False)
    mine.close()
    other.close()


def test_a_file_that_cannot_be_used_is_one_message_with_the_mend(tmp_path):
    (tmp_path / "answers.sqlite").mkdir()
    with pytest.raises(EvoError, match=r"answers.sqlite.*; mend that, or set cache: false"):
        AnswerCache(tmp_path / "answers.sqlite", "run")


WRITER = """
import sys
from pathlib import Path
from evo.cache import AnswerCache
from evo.model import Completion
sys.stdin.readline()
cache = AnswerCache(Path(sys.argv[1]), sys.argv[2])
for number in range(150):
    cache.put([(f"{number}", Completion(str(number), 1, 1, 0.0)), (f"{sys.argv[2]}-{number}", Completion("", 1, 1))])
cache.close()
"""


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "answers.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, run], stdin=-1, stderr=-1, text=True) for run in "abc"]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    errors = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], errors
    assert not path.with_suffix(".damaged").exists()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        assert db.execute("SELECT COUNT(*) FROM answers").fetchone() == (150 * 4,)
        assert db.execute("SELECT run, COUNT(*) FROM uses GROUP BY run").fetchall() == [(run, 300) for run in "abc"]
        assert json.loads(db.execute("SELECT answer FROM answers WHERE key = '7'").fetchone()[0])["text"] == "7"
    db.close()
