"""What every test lives under: no network beyond this machine, and a model that answers from a script."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest

from evo.model import Completion, Request
from evo.ports import Price

hypothesis.settings.register_profile("house", deadline=None)  # on a busy machine slow is not wrong
hypothesis.settings.load_profile("house")
_CONNECT, _CONNECT_EX = socket.socket.connect, socket.socket.connect_ex


def _is_here(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines, except in tests of the real parts."""
    if request.node.get_closest_marker("real"):
        return

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if not _is_here(self.family, address):
                raise RuntimeError(f"a test tried to reach {address!r}; tests use no network")
            return connect(self, address)

        return call

    monkeypatch.setattr(socket.socket, "connect", guarded(_CONNECT))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(_CONNECT_EX))


@dataclass
class Script:
    """A model that gives ``reply(request)``: a text, a completion, or an error to raise; remembers its requests."""

    reply: Callable[[Request], str | Completion | Exception] = lambda request: "yes"
    price: Price | None = None
    identity: str = "script"
    can_choose: bool = False
    can_embed: bool = False
    requests: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        said = self.reply(request)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Completion) else Completion(said, len(request.text), len(said), 0.0)

    async def aclose(self) -> None: ...


@pytest.fixture
def script() -> type[Script]:
    """Return the scripted model's class."""
    return Script
