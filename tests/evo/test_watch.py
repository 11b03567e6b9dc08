"""The page that follows a run: what it is told, what that costs, and who may see it."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from records import born, write
from reported import archipelago, reported

import evo
from evo.errors import ConfigError, EvoError
from evo.journal import Journal
from evo.run import Run
from evo.schema import individual_row, prompt_row
from evo.view import live
from evo.view.live import LiveStory
from evo.view.page import live_html
from evo.view.server import Watching

HOSTILE = "</script><img src=x onerror=alert(1)> \u202eevil\x1b[31m \x00 half \ud800"


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(of: LiveStory, since: str = "") -> Any:
    return json.loads(of.answer(since))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Watching]:
    with evo.watch(reported(tmp_path)) as watching:
        yield watching


def asked(page: Watching, path: str | None = None, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    """Return the answer to a request; a path starts behind the secret unless it starts with a slash."""
    _, _, place, token, _ = page.url.split("/")
    link = http.client.HTTPConnection(place, timeout=20)
    link.request(method, path if path and path.startswith("/") else f"/{token}/{path or ''}", headers=headers)
    reply = link.getresponse()
    reply.text = reply.read()  # type: ignore[attr-defined]
    link.close()
    return reply


def test_a_story_is_told_once_and_again_when_the_log_has_grown(tmp_path: Path) -> None:
    run, clock = reported(tmp_path, archipelago(), ended=False), Clock()
    following = LiveStory(run, clock=clock)
    first = told(following)
    assert (first["born"], len(first["story"]["graph"]["id"]), first["ended"]) == (7, 7, False)
    assert told(following, first["version"])["story"] is None
    write(run.path, [born(9, "Later.", (1.0, 1.0, 1.0, 1.0), (0, "base"))])
    clock.now += 1000
    later = told(following, first["version"])
    assert (later["born"], len(later["story"]["graph"]["id"])) == (8, 8)
    assert later["version"] != first["version"]


def test_a_look_at_a_run_that_stands_still_reads_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    following, clock = LiveStory(reported(tmp_path), clock=Clock()), Clock()
    version = told(following)["version"]
    clock.now += 1000
    monkeypatch.setattr(live, "story", lambda _: pytest.fail("read again"))
    assert [told(following, version)["story"] for _ in range(3)] == [None, None, None]


def test_the_end_waits_for_the_story_under_way_and_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slow(_: Run) -> Any:
        begun.set()
        assert go_on.wait(10)
        made.append(1)
        return {"head": {"births": len(made)}}

    monkeypatch.setattr(live, "story", slow)
    clock = Clock()
    following = LiveStory(reported(tmp_path), clock=clock)
    asking = threading.Thread(target=told, args=(following,))
    asking.start()
    assert begun.wait(10)
    threading.Timer(0.1, go_on.set).start()
    following.close()
    assert made == [1]
    following.close()
    asking.join()
    clock.now += 1000
    assert told(following)["story"] == {"head": {"births": 1}}
    assert made == [1]


def test_however_often_one_asks_stories_take_a_tenth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, clock, busy, made = reported(tmp_path, archipelago(), ended=False), Clock(), Clock(), []

    def slow(_: Run) -> Any:
        busy.now += 3.0
        made.append(clock.now)
        return {"head": {"births": len(made)}}

    monkeypatch.setattr(live, "story", slow)
    monkeypatch.setattr(live.time, "process_time", busy)
    journal, following = Journal(run.path), LiveStory(run, clock=clock)
    for second in range(100):
        one = born(100 + second)
        journal.append({"prompts": [prompt_row(one.prompt)], "individuals": [individual_row(one)]})
        clock.now = float(second)
        told(following)
    journal.close()
    assert made == [0.0, 30.0, 60.0, 90.0]


def test_a_run_without_a_birth_and_one_that_ends_say_so(tmp_path: Path) -> None:
    run = reported(tmp_path / "a", [], ended=False)
    waiting = told(LiveStory(run))
    assert (waiting["born"], waiting["ended"], waiting["error"]) == (0, False, "")
    ended = reported(tmp_path / "b")
    assert told(LiveStory(ended))["ended"] is True
    journal = Journal(ended.path)
    assert told(LiveStory(ended))["ended"] is False, "somebody goes on with it"
    journal.close()


def test_a_damaged_file_is_said_and_the_last_story_stays(tmp_path: Path) -> None:
    run, clock = reported(tmp_path, archipelago(), ended=False), Clock()
    following = LiveStory(run, clock=clock)
    first = told(following)
    (run.path / "individuals" / "part-000009.parquet").write_bytes(b"PAR1")
    clock.now += 1000
    later = told(following)
    assert "damaged" in later["error"]
    assert later["story"] == first["story"]


def test_what_is_told_cannot_steer_a_screen_or_end_its_element(tmp_path: Path) -> None:
    run = reported(tmp_path, [born(0, HOSTILE, operator=HOSTILE)], ended=False)
    answer = LiveStory(run).answer("").decode()
    assert not [sign for sign in "<>&\u202e\x1b\x00\ud800" if sign in answer]
    assert "\\\\ud800" in answer
    html = live_html(HOSTILE)
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img" not in html


def test_the_page_and_its_data_are_there_for_who_has_the_secret(page: Watching) -> None:
    reply: Any = asked(page)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.text.startswith(b"<!doctype html>")
    data: Any = asked(page, "data.json?since=x")
    assert json.loads(data.text)["story"]["head"]["births"] == 7
    version = json.loads(data.text)["version"]
    again: Any = asked(page, f"data.json?since={version}")
    assert json.loads(again.text)["story"] is None
    packed: Any = asked(page, **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.text) == reply.text


@pytest.mark.parametrize(
    "path", ["/", "/data.json", "/x/", "/x/data.json", "//", "/%00/", "/../data.json", "/%E9/data.json"]
)
def test_who_lacks_the_secret_learns_nothing(page: Watching, path: str) -> None:
    reply: Any = asked(page, path)
    assert (reply.status, reply.headers["Server"]) == (403, "evo")
    assert b"Sort" not in reply.text
    token = page.url.split("/")[3]
    assert token.encode() not in reply.text
    assert asked(page, f"/{token[:-1]}/").status == asked(page, f"/{token}x/").status == 403


def test_secrets_differ_from_page_to_page(tmp_path: Path) -> None:
    run = reported(tmp_path)
    with evo.watch(run) as one, evo.watch(run.path) as other:
        tokens = {page.url.split("/")[3] for page in (one, other)}
    assert len(tokens) == 2
    assert min(map(len, tokens)) == 32


@pytest.mark.parametrize("path", ["other", "data.json/x", "../run.json", "run.json", "%2e%2e/run.json", "data"])
def test_nothing_but_the_page_and_its_data_is_served(page: Watching, path: str) -> None:
    assert asked(page, path).status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:80@evil", ""])
def test_a_name_that_was_bound_anew_is_refused(page: Watching, host: str) -> None:
    assert asked(page, Host=host).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "localhost:8080", "[::1]:8080"])
def test_the_other_end_of_a_tunnel_is_answered(page: Watching, host: str) -> None:
    assert asked(page, Host=host).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
def test_nothing_can_be_changed(page: Watching, method: str) -> None:
    reply = asked(page, method=method)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


def test_head_answers_without_a_body(page: Watching) -> None:
    reply: Any = asked(page, method="HEAD")
    assert (reply.status, reply.text) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 10_000


@pytest.mark.parametrize("path", ["", "data.json", "other"])
def test_no_answer_can_be_kept_framed_or_read_by_others(page: Watching, path: str) -> None:
    headers = asked(page, path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_the_page_may_ask_its_own_server_alone() -> None:
    html = live_html("t")
    policy = html.split('Content-Security-Policy" content="')[1].split('"')[0]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'self'")
    assert "unsafe" not in policy


def test_a_port_that_is_taken_is_said(page: Watching) -> None:
    port = int(page.url.split("/")[2].split(":")[1])
    with pytest.raises(ConfigError, match=rf"port {port} cannot be used: .*name another one"):
        evo.watch(page.run, port=port)
    with pytest.raises(ConfigError, match="port 99999 cannot be used"):
        evo.watch(page.run, port=99_999)


def test_a_closed_page_answers_no_more(page: Watching) -> None:
    page.close()
    with pytest.raises(OSError, match="refused"):
        asked(page)


def test_there_must_be_a_run(tmp_path: Path) -> None:
    with pytest.raises(EvoError, match="no run"):
        evo.watch(tmp_path)
