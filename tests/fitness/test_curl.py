"""CurlSession against servers of our own: what the endpoint's client relies on, and what a network may do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
import uvloop

from evo.errors import ConfigError
from fitness.curl import CurlError, CurlSession, ascii_url
from fitness.direct import _proxy

Serve = Callable[[bytes, bytes], bytes | None]
"""From a request's head and body to the bytes sent back; None: nothing is, the connection stays; empty: it ends."""


def answer(body: bytes = b"{}", *more: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[int]]]:
    """Yield the port, and the number of requests each connection carried."""
    carried: list[int] = []
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = len(carried)
        carried.append(0)
        writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-len")),
                    0,
                )
                body = await reader.readexactly(length)
                carried[mine] += 1
                said = serve(head, body)
                if said == b"":
                    break
                if said is not None:
                    writer.write(said)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls, limit=2**23)
    try:
        yield listening.sockets[0].getsockname()[1], carried
    finally:
        listening.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def session(base: str | int, timeout_s: float = 30, proxy: str = "") -> AsyncIterator[CurlSession]:
    base = f"http://127.0.0.1:{base}" if isinstance(base, int) else base
    made = CurlSession(base, {"Authorization": "Bearer x"}, timeout_s, proxy)
    try:
        yield made
    finally:
        made.close()


async def test_connections_are_kept_for_later_requests() -> None:
    async with server(lambda head, body: answer(body)) as (port, carried), session(port) as curl:
        for number in range(5):
            found = await curl.post("/a", str(number).encode())
            assert (found.status, found.content) == (200, str(number).encode())
    assert carried == [5]


async def test_each_of_many_requests_gets_its_own_answer() -> None:
    async with server(lambda head, body: answer(body)) as (port, carried), session(port) as curl:
        bodies = [json.dumps({"n": number}).encode() for number in range(200)]
        found = await asyncio.gather(*(curl.post("/", body) for body in bodies))
        assert [one.content for one in found] == bodies
    assert sum(carried) == 200


async def test_a_megabyte_goes_and_comes_whole_in_one_trip() -> None:
    heads: list[bytes] = []
    body = b"x" * 3_000_000
    async with server(lambda head, sent: (heads.append(head), answer(sent))[1]) as (port, _), session(port) as curl:
        assert (await curl.post("/", body)).content == body
    assert b"expect:" not in heads[0].lower()
    assert b"authorization: bearer x" in heads[0].lower()


async def test_a_packed_answer_is_unpacked() -> None:
    packed = answer(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")
    async with server(lambda head, body: packed) as (port, _), session(port) as curl:
        assert (await curl.post("/", b"")).content == b'{"a": 1}'


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 429 Busy\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Busy\nRetry-After: 7\nContent-Length: 0\n\n",
        b"HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 429 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9\r\n\r\n",
    ],
    ids=["lower case", "bare line ends", "hints before", "trailers after"],
)
async def test_a_header_of_the_answer_is_found(said: bytes) -> None:
    async with server(lambda head, body: said) as (port, _), session(port) as curl:
        found = await curl.post("/", b"")
    assert (found.status, found.header("Retry-After"), found.header("absent")) == (429, "7", "")


async def test_a_request_goes_out_once_even_if_kept_connections_break() -> None:
    came: list[bytes] = []

    def serve(head: bytes, body: bytes) -> bytes:
        came.append(body)
        return answer() if body == b"a" else b""

    async with server(serve) as (port, carried), session(port) as curl:
        await asyncio.gather(*(curl.post("/", b"a") for _ in range(6)))
        assert len(carried) == 6
        with pytest.raises(CurlError, match="closed before an answer came") as caught:
            await curl.post("/", b"b")
    assert caught.value.status == 0
    assert came.count(b"b") == 1


async def test_a_request_that_is_given_up_disturbs_no_other() -> None:
    def serve(head: bytes, body: bytes) -> bytes | None:
        return None if body == b"hang" else answer(body)

    async with server(serve) as (port, _), session(port) as curl:
        hangs = [asyncio.create_task(curl.post("/", b"hang")) for _ in range(20)]
        await asyncio.sleep(0.1)
        for task in hangs[:10]:
            task.cancel()
        found = await asyncio.gather(*(curl.post("/", str(number).encode()) for number in range(30)))
        assert [one.content for one in found] == [str(number).encode() for number in range(30)]
        assert all(task.cancelled() for task in hangs[:10])
        assert not any(task.done() for task in hangs[10:])
        for task in hangs:
            task.cancel()
        await asyncio.gather(*hangs, return_exceptions=True)


async def test_what_is_under_way_fails_when_the_session_is_closed() -> None:
    async with server(lambda head, body: None) as (port, _):
        curl = CurlSession(f"http://127.0.0.1:{port}", {}, 30)
        waits = asyncio.create_task(curl.post("/", b""))
        await asyncio.sleep(0.1)
        curl.close()
        for late in (waits, curl.post("/", b"")):
            with pytest.raises(CurlError, match="closed"):
                await late


async def test_an_answer_that_does_not_come_in_time_is_a_time_out() -> None:
    async with server(lambda head, body: None) as (port, _), session(port, 0.2) as curl:
        with pytest.raises(TimeoutError):
            await curl.post("/", b"")


async def test_what_was_never_sent_is_no_time_out() -> None:
    with socket.socket() as deaf:  # its queue is full: a further connection is never made
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        with contextlib.ExitStack() as kept:
            for _ in range(3):
                caller = kept.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(("127.0.0.1", port))
            async with session(port, 0.5) as curl:
                with pytest.raises(CurlError, match=r"no connection within 0\.5 s"):
                    await curl.post("/", b"")


async def test_a_name_is_looked_up_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    find = asyncio.get_running_loop().getaddrinfo

    async def slowly(host: str, port: int, **more: int) -> object:
        asked.append(host)
        await asyncio.sleep(0.3)
        return await find("127.0.0.1", port, **more)

    async with server(lambda head, body: answer(body)) as (port, _), session(f"http://far.example:{port}", 2) as curl:
        monkeypatch.setattr(curl, "_loop", Lookup(asyncio.get_running_loop(), slowly))
        found = await asyncio.gather(*(curl.post("/", str(number).encode()) for number in range(100)))
    assert [one.content for one in found] == [str(number).encode() for number in range(100)]
    assert asked == ["far.example"]


class Lookup:
    """An event loop with another way to look up names."""

    def __init__(self, loop: asyncio.AbstractEventLoop, getaddrinfo: object) -> None:
        self._loop, self.getaddrinfo = loop, getaddrinfo

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)


async def test_a_name_that_nobody_knows_is_no_answer_and_looked_up_again() -> None:
    async with session("http://no.such.name.invalid", 5) as curl:
        for _ in range(2):
            with pytest.raises(CurlError, match=r"the name no\.such\.name\.invalid") as caught:
                await curl.post("/", b"")
            assert caught.value.status == 0


async def test_a_name_that_cannot_be_looked_up_again_stays_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    async def fails_later(host: str, port: int, **more: int) -> object:
        looked.append(host)
        if len(looked) > 1:
            raise OSError("try again")
        return await asyncio.get_running_loop().getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr("fitness.curl.LOOKED_UP_S", 0.0)
    async with server(lambda head, body: answer(body)) as (port, _), session(f"http://far.example:{port}", 2) as curl:
        monkeypatch.setattr(curl, "_loop", Lookup(asyncio.get_running_loop(), fails_later))
        for number in range(4):
            assert (await curl.post("/", str(number).encode())).content == str(number).encode()
            await asyncio.sleep(0.01)
    assert len(looked) > 1


async def test_whoever_waits_for_a_name_hears_that_the_session_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int, **more: int) -> object:
        return await asyncio.Event().wait()

    curl = CurlSession("http://far.example", {}, 30)
    monkeypatch.setattr(curl, "_loop", Lookup(asyncio.get_running_loop(), never))
    waits = asyncio.create_task(curl.post("/", b""))
    await asyncio.sleep(0.05)
    curl.close()
    with pytest.raises(CurlError, match="closed"):
        await waits


async def test_a_name_of_this_machine_is_found() -> None:
    async with server(lambda head, body: answer(body)) as (port, _), session(f"http://localhost:{port}") as curl:
        assert (await curl.post("/", b"a")).content == b"a"


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    async with server(lambda head, body: answer(body)) as (port, _):
        async with server(lambda head, body: answer(body)) as (other, _):
            curl, gone = CurlSession(f"http://127.0.0.1:{port}", {}, 5), CurlSession(f"http://127.0.0.1:{other}", {}, 5)
            assert (await gone.post("/", b"a")).content == b"a"
        with pytest.raises(CurlError) as caught:
            await gone.post("/", b"b")
        assert caught.value.status == 0
        assert (await curl.post("/", b"c")).content == b"c"
        curl.close()
        gone.close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1"])
async def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises((CurlError, ValueError), match=r"(?i)protocol|cannot be read"):
        async with session(url, 2) as curl:
            await curl.post("", b"")


@pytest.mark.parametrize("url", ["s3cret", "http://", "http://s3cret:99999", "http://[s3cret", "//s3cret"])
def test_a_url_that_cannot_be_read_is_refused_unquoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a URL such as") as caught:
        ascii_url(url)
    assert "s3cret" not in str(caught.value)


def test_a_url_goes_out_in_ascii() -> None:
    assert ascii_url("http://bücher.example:81/v1/é?x=ü&y=%41") == (
        "http://xn--bcher-kva.example:81/v1/%C3%A9?x=%C3%BC&y=%41"
    )
    assert ascii_url("https://[::1]:8000/v1") == "https://[::1]:8000/v1"


async def test_a_key_outside_ascii_is_sent_as_it_is() -> None:
    heads: list[bytes] = []
    async with server(lambda head, sent: (heads.append(head), answer(sent))[1]) as (port, _):
        curl = CurlSession(f"http://127.0.0.1:{port}", {"Authorization": "Bearer k\u2026"}, 5)
        assert (await curl.post("/", b"a")).content == b"a"
        curl.close()
    assert "Bearer k\u2026".encode() in heads[0]


async def test_a_proxy_is_asked_instead_with_its_own_password() -> None:
    heads: list[bytes] = []
    serve: Serve = lambda head, body: (heads.append(head), answer(body))[1]  # noqa: E731
    async with server(serve) as (port, _):
        curl = CurlSession("http://example.invalid/v1", {}, 5, f"http://me:p%40ss@127.0.0.1:{port}")
        assert (await curl.post("/x", b"a")).content == b"a"
        curl.close()
    assert heads[0].startswith(b"POST http://example.invalid/v1/x ")
    assert base64.b64encode(b"me:p@ss") in heads[0]


async def test_a_proxys_password_is_in_no_message() -> None:
    async with session("http://example.invalid", 5, "http://me:s3cret@127.0.0.1:9") as curl:
        with pytest.raises(CurlError) as caught:
            await curl.post("/", b"")
    assert "s3cret" not in str(caught.value)


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "near.example")
    bases = ("https://far.example/v1", "https://near.example/v1", "http://far.example/v1")
    assert [_proxy(base) for base in bases] == ["http://proxy:1", "", ""]
    monkeypatch.setenv("HTTPS_PROXY", "me:s3cret@proxy:3128")
    assert _proxy(bases[0]) == "http://me:s3cret@proxy:3128"
    monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret@proxy:999999")
    with pytest.raises(ConfigError, match=r"^environment variable https_proxy: expected a URL") as caught:
        _proxy(bases[0])
    assert "s3cret" not in str(caught.value)


async def test_the_environments_proxy_is_not_taken_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with server(lambda head, body: answer(body)) as (port, _), session(port, 5) as curl:
        assert (await curl.post("/", b"a")).content == b"a"


async def test_a_certificate_is_trusted_where_python_trusts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls, file = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "authorité.pem"
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(file))
    async with server(lambda head, body: answer(body), tls) as (port, _):
        async with session(f"https://127.0.0.1:{port}", 5) as stranger:
            with pytest.raises(CurlError, match=r"(?i)certificate"):
                await stranger.post("/", b"a")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with session(f"https://127.0.0.1:{port}", 5) as friend:
            assert (await friend.post("/", b"a")).content == b"a"


@pytest.mark.parametrize(
    "check",
    [
        test_connections_are_kept_for_later_requests,
        test_each_of_many_requests_gets_its_own_answer,
        test_a_megabyte_goes_and_comes_whole_in_one_trip,
        test_a_request_goes_out_once_even_if_kept_connections_break,
        test_a_request_that_is_given_up_disturbs_no_other,
        test_what_is_under_way_fails_when_the_session_is_closed,
        test_what_was_never_sent_is_no_time_out,
        test_a_name_of_this_machine_is_found,
        test_a_connection_that_was_closed_meanwhile_is_made_anew,
    ],
    ids=lambda check: check.__name__.removeprefix("test_"),
)
def test_in_the_loop_of_a_run(check: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check())
