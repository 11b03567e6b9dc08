"""Serves the page that follows a run, on this machine alone and read-only.

Whoever may open the page needs the secret in its address; a page of somebody else's, opened in the same browser, can
neither guess that nor reach this server under another name (DNS rebinding), and may not frame or read it.
"""

from __future__ import annotations

import gzip
import hmac
import re
import secrets
import threading
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from evo.errors import ConfigError
from evo.run import Run
from evo.view.live import LiveStory
from evo.view.page import live_html, title_of

HOST = "127.0.0.1"
_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
"""Hosts a request may be for: with any port, as tunnels have other ones."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page's own policy, which this adds to, stands in it
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LONG = 10_000
"""Bytes from which an answer is compressed: tunnels are slower than this machine."""


class Watching:
    """A page at `url` that shows a run as it goes, until `close`; also a context manager.

    Made by `evo.watch`. Raises ConfigError where the port is taken.
    """

    def __init__(self, run: Run, *, port: int = 0) -> None:
        token = secrets.token_urlsafe(24)
        about = {"description": run.settings.task.description, "run": run.path.resolve().name}
        self._live = LiveStory(run)
        site = partial(_Visit, token=token, page=live_html(title_of(about)).encode(), live=self._live)
        try:
            self._server = ThreadingHTTPServer((HOST, port), site)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {port} cannot be used: {error}; name another one, or 0 for any") from error
        self.run = run
        self.url = f"http://{HOST}:{self._server.server_address[1]}/{token}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; the run goes on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._live.close()

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Watching({self.url})"


class _Visit(BaseHTTPRequestHandler):
    """One request. Answers GET and HEAD, for the page and for its data, and nothing else."""

    timeout = 20

    def __init__(self, *request: Any, token: str, page: bytes, live: LiveStory) -> None:
        self._token, self._shown, self._live = token, page, live
        super().__init__(*request)

    def handle(self) -> None:
        """Answer, unless whoever asks has gone away."""
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_GET(self) -> None:
        """Send the page or its data."""
        path, _, query = self.path.partition("?")
        _, token, *rest = [*path.split("/"), ""]
        if not _NAMES.fullmatch(self.headers.get("Host", "")) or len(self.headers.get_all("Host", [])) != 1:
            self._refuse(HTTPStatus.FORBIDDEN, f"this server answers for {HOST} and localhost alone")
        elif not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "the address needs the secret that `evo watch` has printed")
        elif rest == ["", ""]:
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self._shown)
        elif rest == ["data.json", ""]:
            (since, *_) = parse_qs(query).get("since", [""])
            self._send(HTTPStatus.OK, "application/json", self._live.answer(since))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    do_HEAD = do_GET  # `_send` leaves out the body

    def send_error(self, code: int, *_: object, **__: object) -> None:
        """Refuse what is no request, or one that would change something."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "a run is only looked at here: GET and HEAD")
        return self._refuse(HTTPStatus(code), HTTPStatus(code).phrase)

    def version_string(self) -> str:
        """Return what the server calls itself: no versions, which are nobody's business."""
        return "evo"

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing: the address is a secret."""

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{why}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        packed = len(body) > _LONG and "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body, 1) if packed else body
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
