"""An OpenAI-compatible endpoint on loopback with heavy-tailed latency, cheap enough not to be what is measured.

    python benchmarks/endpoint.py --median-ms 200 --sigma 0.8

Prints its port, answers every POST with the same reply after a log-normal time, and ends with its standard input: then
it prints one line of JSON, begin and end of every request in seconds. With ``--limit`` more requests at once than that
are refused with 429.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time

import numpy as np

_REPLY = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "positive"}}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 1, "total_tokens": 41},
    }
).encode()


def _http(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_GOOD = _http("200 OK", _REPLY)
_BUSY = _http("429 Too Many Requests", b'{"error": {"message": "too many at once"}}', "Retry-After: 1\r\n")


class Books:
    """What the endpoint has seen. ``spans`` are begin and end of each request it answered."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.limit: int | None = options.limit
        rng = np.random.default_rng(options.seed)
        self._latencies_s = iter(np.exp(rng.normal(np.log(options.median_ms / 1000), options.sigma, 2_000_000)))
        self.spans: list[tuple[float, float]] = []
        self.refused = self.under_way = 0

    def latency_s(self) -> float:
        """Return how long the next request takes."""
        return float(next(self._latencies_s))


class Connection(asyncio.Protocol):
    """One client's connection; it sends a request only after the last one's answer."""

    def __init__(self, books: Books) -> None:
        self._books, self._held = books, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._held, books = b"", self._books
        if books.limit is not None and books.under_way >= books.limit:
            books.refused += 1
            self._transport.write(_BUSY)
            return
        books.under_way += 1
        began = time.monotonic()
        asyncio.get_running_loop().call_later(books.latency_s(), self._answer, began)

    def _answer(self, began: float) -> None:
        self._books.under_way -= 1
        self._books.spans.append((began, time.monotonic()))
        if not self._transport.is_closing():
            self._transport.write(_GOOD)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


async def _serve(options: argparse.Namespace) -> None:
    books = Books(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(books), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps({"spans": books.spans, "refused": books.refused}), flush=True)


class Endpoint:
    """The endpoint in a process of its own."""

    def __init__(self, **options: object) -> None:
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, __file__, *words], text=True, **pipes)  # type: ignore[call-overload]
        self.api_base = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    def close(self) -> tuple[list[tuple[float, float]], int]:
        """End it; return begin and end of every request, and how many were refused."""
        books = json.loads(self.process.communicate()[0])
        return [(begin, end) for begin, end in books["spans"]], books["refused"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--median-ms", type=float, default=200.0)
    parser.add_argument("--sigma", type=float, default=0.8, help="of the logarithm: 0.8 gives a mean of 275 ms")
    parser.add_argument("--limit", type=int, help="most requests at once")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))
