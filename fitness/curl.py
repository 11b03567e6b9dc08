"""HTTP by libcurl in an asyncio event loop: its multi interface says which sockets to watch, and for how long.

All of it but the look-up of names happens in the loop's own thread: no other waits for Python's lock.
"""

from __future__ import annotations

import asyncio
import email.parser
import ipaddress
import math
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import quote, unquote, urlsplit

import pycurl

MOST_IDLE = 2000
"""Connections kept open for later requests."""
LOOKED_UP_S = 60.0
"""How long an address found for a name is taken for right, as libcurl does."""
_IN, _OUT = 1, 2
_WATCHED = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}
_PORTS = {"http": 80, "https": 443}
_PLAIN = "/%:@!$&'()*+,;=~"


class CurlError(OSError):
    """A request that did not end well; ``status`` is the answer's if one had begun, else 0."""

    def __init__(self, message: str, status: int = 0) -> None:
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
        heads = self.head.replace(b"\r\n", b"\n").split(b"\n\n")
        last = [head for head in heads if head.startswith(b"HTTP/")][-1:]  # after those of a proxy, before trailers
        lines = b"".join(last).partition(b"\n")[2]
        return str(email.parser.BytesHeaderParser().parsebytes(lines).get(name, ""))


@dataclass(slots=True)
class _Transfer:
    """A request on its way, with what came so far."""

    done: asyncio.Future[None]
    head: BytesIO = field(default_factory=BytesIO)
    content: BytesIO = field(default_factory=BytesIO)


class CurlSession:
    """Posts to one host over connections that are kept. Must be made, used and closed in one event loop.

    Args:
        base: The URL that every request's begins with.
        headers: Sent with every request.
        timeout_s: How long a request may take from its beginning to the end of the answer.
        proxy: The proxy's URL; empty for none.

    Raises ValueError, which does not quote it, for a URL that cannot be read.
    """

    def __init__(self, base: str, headers: Mapping[str, str], timeout_s: float, proxy: str = "") -> None:
        self._base, self._proxy = ascii_url(base), ascii_url(proxy) if proxy else ""
        self._headers = [f"{name}: {value}".encode("utf-8", "replace") for name, value in headers.items()]
        self._timeout_s, self._peer = timeout_s, _peer(self._proxy or self._base)
        self._loop = asyncio.get_running_loop()
        self._addresses: list[str] = []
        self._looked_up_at = -math.inf
        self._looking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watched: dict[int, int] = {}
        self._idle: list[pycurl.Curl] = []
        self._transfers: dict[pycurl.Curl, _Transfer] = {}
        self._closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wake_in)
        self._multi.setopt(pycurl.M_MAXCONNECTS, MOST_IDLE)

    async def post(self, path: str, body: bytes) -> Response:
        """Send a request once, whatever becomes of it, and return its answer. Follows no redirect.

        Raises TimeoutError, of a request that was sent, or CurlError.
        """
        known = await self._known_addresses()
        curl = self._idle.pop() if self._idle else self._made()
        try:
            transfer = self._begun(curl, self._base + path, body, known)
            await transfer.done
            return Response(curl.getinfo(pycurl.RESPONSE_CODE), transfer.head.getvalue(), transfer.content.getvalue())
        except pycurl.error as error:
            raise CurlError(str(error)) from error
        finally:
            if self._transfers.pop(curl, None) is not None:  # cancelled
                self._multi.remove_handle(curl)
            if self._closed:
                curl.close()
            else:
                self._idle.append(curl)

    def close(self) -> None:
        """Drop every connection; requests under way fail."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        for curl in [*self._transfers]:
            self._end(curl, CurlError("the session was closed"))
        for curl in self._idle:
            curl.close()
        self._idle.clear()
        self._multi.close()
        self._wake_in(-1)

    def _begun(self, curl: pycurl.Curl, url: str, body: bytes, known: list[str]) -> _Transfer:
        if self._closed:
            raise CurlError("the session was closed")
        transfer = _Transfer(self._loop.create_future())
        curl.setopt(pycurl.URL, url)
        if known:
            curl.setopt(pycurl.RESOLVE, known)
        # Read, not POSTFIELDS: what cannot be read again libcurl cannot send again on another connection.
        curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        curl.setopt(pycurl.READFUNCTION, BytesIO(body).read)
        curl.setopt(pycurl.WRITEDATA, transfer.content)
        curl.setopt(pycurl.WRITEHEADER, transfer.head)
        self._multi.add_handle(curl)
        self._transfers[curl] = transfer
        return transfer

    def _made(self) -> pycurl.Curl:
        curl, trusted, proxy = pycurl.Curl(), ssl.get_default_verify_paths(), urlsplit(self._proxy)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.SEEKFUNCTION, _no_second_time)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.HTTPHEADER, [*self._headers, b"Expect:"])  # no second trip for what is long
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(1000 * self._timeout_s)))
        curl.setopt(pycurl.ACCEPT_ENCODING, "")  # whatever it can unpack
        # Name and password apart: libcurl's messages quote the URL.
        curl.setopt(pycurl.PROXY, proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl())
        curl.setopt(pycurl.NOPROXY, "")
        if proxy.username is not None:
            curl.setopt(pycurl.PROXYUSERNAME, unquote(proxy.username).encode())
            curl.setopt(pycurl.PROXYPASSWORD, unquote(proxy.password or "").encode())
        if trusted.cafile is not None:
            curl.setopt(pycurl.CAINFO, os.fsencode(trusted.cafile))
        if trusted.capath is not None:
            curl.setopt(pycurl.CAPATH, os.fsencode(trusted.capath))
        return curl

    # --- names ---

    async def _known_addresses(self) -> list[str]:
        """Return where the host is, as libcurl is told. Looked up once for all requests: libcurl would for each.

        Old addresses do while new ones are looked up, and where that fails.
        """
        host, port = self._peer
        if not host:
            return []
        if self._looking is None and self._looked_up_at + LOOKED_UP_S < time.monotonic():
            self._looking = self._loop.create_task(self._look_up(host, port))
            self._looking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if not self._addresses and self._looking is not None:
            await self._heard(host, self._looking)
        return self._addresses

    async def _heard(self, host: str, looking: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(looking), self._timeout_s)
        except TimeoutError:
            raise CurlError(f"the name {host} could not be looked up within {self._timeout_s:g} s") from None
        except OSError as error:
            raise CurlError(f"cannot look up the name {host}: {error.strerror or error}") from None
        except asyncio.CancelledError:
            if self._closed:
                raise CurlError("the session was closed") from None
            raise

    async def _look_up(self, host: str, port: int) -> None:
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._looked_up_at = time.monotonic()
        finally:
            self._looking = None
        addresses = dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)
        listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        self._addresses = [f"{host}:{port}:{listed}"]

    # --- what libcurl calls ---

    def _watch(self, what: int, fd: int, *_: object) -> None:
        """Watch a socket for what libcurl waits for on it, and no longer for what it does not."""
        now, before = _WATCHED.get(what, 0), self._watched.pop(fd, 0)
        if now:
            self._watched[fd] = now
        if now & _IN and not before & _IN:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        if before & _IN and not now & _IN:
            self._loop.remove_reader(fd)
        if now & _OUT and not before & _OUT:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        if before & _OUT and not now & _OUT:
            self._loop.remove_writer(fd)

    def _wake_in(self, wait_ms: int) -> None:
        """Act after so many milliseconds even if no socket is ready; a negative number: not at all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if wait_ms >= 0:
            self._timer = self._loop.call_later(wait_ms / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, ready: int) -> None:
        self._multi.socket_action(fd, ready)
        more = 1
        while more:
            more, ended, failed = self._multi.info_read()
            for curl in ended:
                self._end(curl, None)
            for curl, number, message in failed:
                self._end(curl, self._error(curl, number, message))

    def _error(self, curl: pycurl.Curl, number: int, message: str) -> Exception:
        if number == pycurl.E_SEND_FAIL_REWIND:
            message = "the connection was closed before an answer came"
        if number != pycurl.E_OPERATION_TIMEDOUT:
            return CurlError(message, curl.getinfo(pycurl.RESPONSE_CODE))
        sent = curl.getinfo(pycurl.REQUEST_SIZE) > 0
        return TimeoutError() if sent else CurlError(f"no connection within {self._timeout_s:g} s")

    def _end(self, curl: pycurl.Curl, error: Exception | None) -> None:
        self._multi.remove_handle(curl)
        done = self._transfers.pop(curl).done
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def ascii_url(url: str) -> str:
    """Return a URL as it goes over the wire. Raises ValueError, which does not quote it, where it is none."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        host = port = ""
    if not host or not parts.scheme:
        raise ValueError("expected a URL such as http://host:8000/v1, got one that cannot be read")
    user, at, _ = parts.netloc.rpartition("@")
    place = f"{quote(user, _PLAIN)}{at}{f'[{host}]' if ':' in host else host}{port}"
    path, query = quote(parts.path, _PLAIN), quote(parts.query, _PLAIN + "?")
    return parts._replace(netloc=place, path=path, query=query).geturl()


def _peer(url: str) -> tuple[str, int]:
    """Return name and port of whom a connection is made to; no name where it is an address already."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:  # a proxy of another kind may look up names itself
        return "", 0
    try:
        ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]
    return "", 0


def _no_second_time(*_: int) -> int:
    return pycurl.SEEKFUNC_FAIL
