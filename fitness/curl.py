"""HTTP by libcurl in an asyncio event loop: its multi interface says which sockets to watch, and for how long.

All of it happens in the loop's own thread: no other waits for Python's lock, none is left when the process ends.
"""

from __future__ import annotations

import asyncio
import email.parser
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import pycurl

MOST_IDLE = 2000
"""Connections kept open for later requests."""
_IN, _OUT = 1, 2
_WATCHED = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


class CurlError(OSError):
    """A request that did not end well; ``status`` is the answer's if one had begun, else 0."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status."""

    status: int
    head: bytes
    content: bytes

    def header(self, name: str) -> str:
        """Return a header's value; empty where it is not there."""
        last = self.head.strip().rpartition(b"\r\n\r\n")[2]  # a proxy's own comes before
        _, _, lines = last.partition(b"\r\n")
        return str(email.parser.BytesHeaderParser().parsebytes(lines).get(name, ""))


@dataclass(slots=True)
class _Transfer:
    """A request on its way, with what came so far."""

    done: asyncio.Future[None]
    head: BytesIO = field(default_factory=BytesIO)
    content: BytesIO = field(default_factory=BytesIO)


class CurlSession:
    """Posts to one URL's host over connections that are kept. Must be made, used and closed in one event loop.

    Args:
        headers: Sent with every request.
        timeout_s: How long a request may take from its beginning to the end of the answer.
        proxy: The proxy's URL; empty for none.
    """

    def __init__(self, headers: Mapping[str, str], timeout_s: float, proxy: str = "") -> None:
        self._headers = [f"{name}: {value}" for name, value in headers.items()]
        self._timeout_ms, self._proxy = max(1, round(1000 * timeout_s)), proxy
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watched: dict[int, int] = {}
        self._idle: list[pycurl.Curl] = []
        self._transfers: dict[pycurl.Curl, _Transfer] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wake_in)
        self._multi.setopt(pycurl.M_MAXCONNECTS, MOST_IDLE)

    async def post(self, url: str, body: bytes) -> Response:
        """Send a request once and return its answer. Follows no redirect. Raises TimeoutError or CurlError."""
        curl = self._idle.pop() if self._idle else self._made()
        transfer = _Transfer(self._loop.create_future())
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.WRITEDATA, transfer.content)
        curl.setopt(pycurl.WRITEHEADER, transfer.head)
        self._transfers[curl] = transfer
        self._multi.add_handle(curl)
        try:
            await transfer.done
            status = curl.getinfo(pycurl.RESPONSE_CODE)
        finally:
            if self._transfers.pop(curl, None) is not None:  # cancelled, or the session is closed
                self._multi.remove_handle(curl)
            self._idle.append(curl)
        return Response(status, transfer.head.getvalue(), transfer.content.getvalue())

    def close(self) -> None:
        """Drop every connection; requests under way fail."""
        for curl in [*self._transfers]:
            self._end(curl, CurlError("the session was closed", 0))
        for curl in self._idle:
            curl.close()
        self._idle.clear()
        self._multi.close()
        self._wake_in(-1)

    def _made(self) -> pycurl.Curl:
        curl, trusted = pycurl.Curl(), ssl.get_default_verify_paths()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.HTTPHEADER, [*self._headers, "Expect:"])  # no second trip for what is long
        curl.setopt(pycurl.TIMEOUT_MS, self._timeout_ms)
        curl.setopt(pycurl.PROXY, self._proxy)
        curl.setopt(pycurl.NOPROXY, "")
        curl.setopt(pycurl.ACCEPT_ENCODING, "")  # whatever it can unpack
        if trusted.cafile is not None:
            curl.setopt(pycurl.CAINFO, trusted.cafile)
        if trusted.capath is not None:
            curl.setopt(pycurl.CAPATH, trusted.capath)
        return curl

    # --- what libcurl calls ---

    def _watch(self, what: int, socket: int, *_: object) -> None:
        """Watch a socket for what libcurl waits for on it, and no longer for what it does not."""
        now, before = _WATCHED.get(what, 0), self._watched.pop(socket, 0)
        if now:
            self._watched[socket] = now
        if now & _IN and not before & _IN:
            self._loop.add_reader(socket, self._act, socket, pycurl.CSELECT_IN)
        if before & _IN and not now & _IN:
            self._loop.remove_reader(socket)
        if now & _OUT and not before & _OUT:
            self._loop.add_writer(socket, self._act, socket, pycurl.CSELECT_OUT)
        if before & _OUT and not now & _OUT:
            self._loop.remove_writer(socket)

    def _wake_in(self, wait_ms: int) -> None:
        """Act after so many milliseconds even if no socket is ready; a negative number: not at all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if wait_ms >= 0:
            self._timer = self._loop.call_later(wait_ms / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, socket: int, ready: int) -> None:
        self._multi.socket_action(socket, ready)
        more = 1
        while more:
            more, ended, failed = self._multi.info_read()
            for curl in ended:
                self._end(curl, None)
            for curl, number, message in failed:
                late = number == pycurl.E_OPERATION_TIMEDOUT
                status = curl.getinfo(pycurl.RESPONSE_CODE)
                self._end(curl, TimeoutError() if late else CurlError(message, status))

    def _end(self, curl: pycurl.Curl, error: Exception | None) -> None:
        self._multi.remove_handle(curl)
        done = self._transfers.pop(curl).done
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
