"""An OpenAI-compatible provider on this machine that answers from a list, well and badly."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a-key-of-no-known-shape"


@dataclass(frozen=True)
class Reply:
    """What the provider answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0


def answer(content: str | None, finish: str = "stop", usage: dict[str, int] | None = None) -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}
    whole: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(whole | ({"usage": usage} if usage else {})).encode()


def embedding(vector: list[float], usage: dict[str, int] | None = None) -> bytes:
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    return json.dumps({"object": "list", "model": "m", "data": data} | ({"usage": usage} if usage else {})).encode()


def failure(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


USAGE = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
NO_CHOICE = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}).encode()
REPLIES = {
    "good": Reply(body=answer("hello", usage=USAGE)),
    "gpt-4o-mini": Reply(body=answer("hello", usage=USAGE)),
    "uncounted": Reply(body=answer("hello")),
    "half-counted": Reply(body=answer("hello", usage={"prompt_tokens": 1000})),
    "denied": Reply(401, failure(f"Incorrect API key provided: {KEY}")),
    "unknown": Reply(404, failure("The model `unknown` does not exist")),
    "busy": Reply(429, failure("Rate limit reached"), {"Retry-After": "7"}),
    "broken": Reply(500, failure("boom")),
    "gateway": Reply(502, b"<html>bad gateway</html>"),
    "long": Reply(400, failure("This model's maximum context length is 4096 tokens, you sent 9000")),
    "slow": Reply(body=answer("late", usage=USAGE), wait_s=1.5),
    "garbled": Reply(body=b'{"choices": [{"mess'),
    "no-choice": Reply(body=NO_CHOICE),
    "no-object": Reply(body=b"null"),
    "silent": Reply(body=answer(None, usage=USAGE)),
    "blank": Reply(body=answer(" \n", usage=USAGE)),
    "cut": Reply(body=answer("", "length", USAGE)),
    "vectors": Reply(body=embedding([3.0, 0.0, -4.0], {"prompt_tokens": 7, "total_tokens": 7})),
    "uncounted-vectors": Reply(body=embedding([3.0, 0.0, -4.0])),
    "null-vectors": Reply(body=embedding([0.0, 0.0])),
    "text-only": Reply(501, failure("This server does not support embeddings")),
}


class Provider(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers by the model's name and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def calls(self) -> Counter[str]:
        return Counter(body["model"] for body in self.bodies)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers.get("Authorization", ""))
        reply = REPLIES[body["model"]]
        time.sleep(reply.wait_s)
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:
            self.close_connection = True
