"""CurlSession against servers of our own: what the endpoint's client relies on, and what a network may do."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from fitness.curl import CurlError, CurlSession
from fitness.direct import _proxy

Serve = Callable[[bytes, bytes], bytes | None]
"""From a request's head and body to the bytes sent back; None: nothing is, the connection stays."""


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
                if said is not None:
                    writer.write(said)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls, limit=2**23)
    try:
        yield listening.sockets[0].getsockname()[1], carried
    finally:
        listening.close()
        for writer in writers:
            writer.close()


@asynccontextmanager
async def session(timeout_s: float = 30, proxy: str = "") -> AsyncIterator[CurlSession]:
    made = CurlSession({"Authorization": "Bearer x"}, timeout_s, proxy)
    try:
        yield made
    finally:
        made.close()


async def test_connections_are_kept_for_later_requests() -> None:
    async with server(lambda head, body: answer(body)) as (port, carried), session() as curl:
        for number in range(5):
            found = await curl.post(f"http://127.0.0.1:{port}/a", str(number).encode())
            assert (found.status, found.content) == (200, str(number).encode())
    assert carried == [5]


async def test_each_of_many_requests_gets_its_own_answer() -> None:
    async with server(lambda head, body: answer(body)) as (port, carried), session() as curl:
        bodies = [json.dumps({"n": number}).encode() for number in range(200)]
        found = await asyncio.gather(*(curl.post(f"http://127.0.0.1:{port}/", body) for body in bodies))
        assert [one.content for one in found] == bodies
    assert sum(carried) == 200


async def test_a_megabyte_goes_and_comes_whole_in_one_trip() -> None:
    heads: list[bytes] = []
    body = b"x" * 3_000_000
    async with server(lambda head, sent: (heads.append(head), answer(sent))[1]) as (port, _), session() as curl:
        assert (await curl.post(f"http://127.0.0.1:{port}/", body)).content == body
    assert b"expect:" not in heads[0].lower()
    assert b"authorization: bearer x" in heads[0].lower()


async def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b'{"a": 1}')
    async with (
        server(lambda head, body: answer(packed, "Content-Encoding: gzip")) as (port, _),
        session() as curl,
    ):
        assert (await curl.post(f"http://127.0.0.1:{port}/", b"")).content == b'{"a": 1}'


async def test_a_header_is_found_whatever_its_case() -> None:
    async with server(lambda head, body: answer(b"", "retry-after: 7")) as (port, _), session() as curl:
        found = await curl.post(f"http://127.0.0.1:{port}/", b"")
    assert (found.header("Retry-After"), found.header("absent")) == ("7", "")


async def test_a_request_that_is_given_up_disturbs_no_other() -> None:
    def serve(head: bytes, body: bytes) -> bytes | None:
        return None if body == b"hang" else answer(body)

    async with server(serve) as (port, _), session() as curl:
        url = f"http://127.0.0.1:{port}/"
        hangs = [asyncio.create_task(curl.post(url, b"hang")) for _ in range(20)]
        await asyncio.sleep(0.1)
        for task in hangs[:10]:
            task.cancel()
        found = await asyncio.gather(*(curl.post(url, str(number).encode()) for number in range(30)))
        assert [one.content for one in found] == [str(number).encode() for number in range(30)]
        assert all(task.cancelled() for task in hangs[:10])
        assert not any(task.done() for task in hangs[10:])
        for task in hangs:
            task.cancel()
        await asyncio.gather(*hangs, return_exceptions=True)


async def test_what_is_under_way_fails_when_the_session_is_closed() -> None:
    async with server(lambda head, body: None) as (port, _):
        curl = CurlSession({}, 30)
        waits = asyncio.create_task(curl.post(f"http://127.0.0.1:{port}/", b""))
        await asyncio.sleep(0.1)
        curl.close()
        with pytest.raises(CurlError, match="closed"):
            await waits


async def test_an_answer_that_does_not_come_in_time_is_a_time_out() -> None:
    async with server(lambda head, body: None) as (port, _), session(0.2) as curl:
        with pytest.raises(TimeoutError):
            await curl.post(f"http://127.0.0.1:{port}/", b"")


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    async with session() as curl:
        for _ in range(2):
            async with server(lambda head, body: answer(body)) as (port, _):
                first = port
                assert (await curl.post(f"http://127.0.0.1:{port}/", b"a")).content == b"a"
            with pytest.raises(CurlError) as caught:
                await curl.post(f"http://127.0.0.1:{first}/", b"b")
            assert caught.value.status == 0


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense", "http://127.0.0.1:99999/"])
async def test_only_http_is_spoken(url: str) -> None:
    async with session(2) as curl:
        with pytest.raises(CurlError):
            await curl.post(url, b"")


async def test_a_proxy_is_asked_instead() -> None:
    heads: list[bytes] = []
    serve: Serve = lambda head, body: (heads.append(head), answer(body))[1]  # noqa: E731
    async with server(serve) as (port, _), session(5, f"http://127.0.0.1:{port}") as curl:
        assert (await curl.post("http://example.invalid/v1", b"a")).content == b"a"
    assert heads[0].startswith(b"POST http://example.invalid/v1 ")


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "near.example")
    bases = ("https://far.example/v1", "https://near.example/v1", "http://far.example/v1")
    assert [_proxy(base) for base in bases] == ["http://proxy:1", "", ""]


async def test_the_environments_proxy_is_not_taken_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with server(lambda head, body: answer(body)) as (port, _), session(5) as curl:
        assert (await curl.post(f"http://127.0.0.1:{port}/", b"a")).content == b"a"


async def test_a_certificate_is_trusted_where_python_trusts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    async with server(lambda head, body: answer(body), tls) as (port, _):
        async with session(5) as stranger:
            with pytest.raises(CurlError, match=r"(?i)certificate"):
                await stranger.post(f"https://127.0.0.1:{port}/", b"a")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        async with session(5) as friend:
            assert (await friend.post(f"https://127.0.0.1:{port}/", b"a")).content == b"a"
