"""An endpoint on this machine that answers the toy task and fails as it is told; and the books of a run against it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import evo as library
from evo.model import Request
from evo.randomness import child_rng
from fitness.fake import FakeLlm
from fitness.toy import toy_rows

Fault = str
"""``429``, ``500``, ``malformed``, ``truncated``, ``hang`` or nothing."""
HANG_S = 3.0


def never(text: str, attempt: int) -> Fault:
    """A script without faults."""
    return ""


def often(text: str, attempt: int) -> Fault:
    """30 % 429, 2 % 500, and replies of which the end, or the sense, is missing; drawn anew for each attempt."""
    draw = child_rng(0, text, attempt).random()
    shares = (("429", 0.30), ("500", 0.02), ("malformed", 0.03), ("truncated", 0.03))
    for fault, share in shares:
        if draw < share:
            return fault
        draw -= share
    return ""


def only_on(words: str, fault: Fault) -> Callable[[str, int], Fault]:
    """Return a script that always fails on requests that hold some words."""
    return lambda text, attempt: fault if words in text else ""


@dataclass
class Endpoint:
    """An OpenAI-compatible server; ``script(text, attempt)`` says how each request fails, if it does."""

    script: Callable[[str, int], Fault] = never
    asked: Counter[str] = field(default_factory=Counter)
    """How often each request came."""
    answered: Counter[str] = field(default_factory=Counter)
    """How often each was answered well: what a provider bills."""
    latency_s: float = 0.0
    _server: ThreadingHTTPServer | None = None
    port: int = 0

    def up(self) -> Endpoint:
        """Start, at the same address as before."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def down(self) -> None:
        """Listen no more: connections are refused, and those there are end."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def __enter__(self) -> Endpoint:
        return self.up()

    def __exit__(self, *error: object) -> None:
        self.down()

    def settings(self, storage: Path, **changes: Any) -> dict[str, Any]:
        """Return arguments for `evo.evolve`: a small run whose course depends on nothing but its seed."""
        rows = toy_rows(24)
        model = {"name": "openai/toy", "api_base": f"http://127.0.0.1:{self.port}/v1", "attempts": 12}
        return {
            "task": {"data": {"train": rows[:4], "dev": rows[4:14], "test": rows[14:]}, "scorer": "choice"},
            "model": {**model, **changes.pop("model", {})},
            "prompts": ["Judge the review.", "Say positive or negative.", "What is the tone?"],
            "method": {"name": "evoprompt-ga", "population": 5, "generations": 2},
            "topology": "isolated",
            "executor": "inline",
            "cache": False,
            "concurrency": 8,
            "storage": str(storage),
            "budget": {"calls": 5000},
            **changes,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], endpoint: Endpoint) -> None:
        self.endpoint, self._sockets = endpoint, set[Any]()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.add(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        for request in self._sockets:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # the other side hangs up, as it may
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: object) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint = self.server.endpoint
        messages = tuple((message["role"], message["content"]) for message in body["messages"])
        request = Request(messages, seed=body.get("seed"))
        text = f"{request.text}#{request.seed}"
        endpoint.asked[text] += 1
        fault = endpoint.script(text, endpoint.asked[text])
        time.sleep(HANG_S if fault == "hang" else endpoint.latency_s)
        if not fault:
            endpoint.answered[text] += 1
        self._send(fault, _body(asyncio.run(FakeLlm().complete(request)).text))

    def _send(self, fault: Fault, whole: bytes) -> None:
        status = int(fault) if fault.isdigit() else 200
        body = b'{"error": {"message": "try later"}}' if status != 200 else whole
        sent = body[: len(body) // 2] if fault in ("malformed", "truncated") else body
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent if fault == "malformed" else body)))
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = fault == "truncated"


def _body(text: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "toy", "choices": [choice], "usage": usage}
    return json.dumps(whole).encode()


def births(run: library.Run) -> list[tuple[object, ...]]:
    """Return a run's lineage without its times."""
    rows = run.individuals().sort_by("id").to_pylist()
    edges = sorted((row["child"], row["place"], row["parent"], row["role"]) for row in run.edges().to_pylist())
    born = [(r["id"], r["operator"], r["prompt"], r["fitness"], r["n_scored"], r["status"]) for r in rows]
    return [*born, *edges]


@dataclass(frozen=True)
class Books:
    """What a fault may have done to a log."""

    doubled: int
    """Calls answered twice in the log, and individuals of which there are two."""
    zeroed: int
    """Rows whose call failed and that have a score all the same."""
    orphans: int
    """Parents that are not in the log."""


def books(run: library.Run) -> Books:
    """Look through a run's log."""
    keys = [row["key"] for row in run.calls().to_pylist() if row["text"] is not None]
    ids = run.individuals()["id"].to_pylist()
    zeroed = [r for r in run.evaluations().to_pylist() if r["error"] and r["score"] is not None]
    orphans = set(run.edges()["parent"].to_pylist()) - set(ids)
    return Books(len(keys) - len(set(keys)) + len(ids) - len(set(ids)), len(zeroed), len(orphans))


CLEAN = Books(0, 0, 0)
