"""How connections come in: not more than there are places for, and not for longer than a handshake takes.

A listener's own bounds begin when its protocol has a connection, which with TLS is after the handshake. Until then
asyncio waits for a minute, for as many as come: a stranger who only connects would take the descriptors of the sync.
"""

import asyncio
import ipaddress
import socket
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["HANDSHAKE_SECONDS", "Door", "run"]

HANDSHAKE_SECONDS = 10.0
FAREWELL_SECONDS = 5.0  # until the other end has said that it has read everything
T = TypeVar("T")


class Door(socket.socket):
    """A listening socket that hangs up on whoever is too many."""

    def __init__(self, most: int, each: int | None = None, **given: Any) -> None:
        """``each``: of one address (of IPv6: of one /64); a proxy on this machine may have all of them."""
        super().__init__(**given)
        self._most, self._each = most, each
        self._open: weakref.WeakKeyDictionary[socket.socket, str] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, listening: socket.socket, most: int, each: int | None = None) -> "Door":
        return cls(most, each, fileno=listening.detach())

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError, which asyncio takes for somebody who has gone again."""
        connection, peer = super().accept()
        whose = _network(peer)
        here = [network for each, network in self._open.items() if each.fileno() != -1]
        crowded = self._each is not None and whose != "" and here.count(whose) >= self._each
        if len(here) >= self._most or crowded:
            connection.close()
            raise ConnectionAbortedError("there is no place left")
        self._open[connection] = whose
        return connection, peer


def _network(peer: Any) -> str:
    """Empty for this machine, and where there are no addresses."""
    if not isinstance(peer, tuple):
        return ""
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    plain = getattr(address, "ipv4_mapped", None) or address
    if str(plain) in ("127.0.0.1", "::1"):
        return ""
    return str(ipaddress.ip_network((plain, 64 if plain.version == 6 else 32), strict=False))


class _Loop(asyncio.SelectorEventLoop):
    """uvicorn has no setting for it."""

    handshake: float = HANDSHAKE_SECONDS

    async def create_server(self, *given: Any, **more: Any) -> asyncio.Server:
        if more.get("ssl") is not None:
            more = {"ssl_handshake_timeout": self.handshake, "ssl_shutdown_timeout": FAREWELL_SECONDS, **more}
        return await super().create_server(*given, **more)


def run(serving: Coroutine[Any, Any, T], *, handshake: float = HANDSHAKE_SECONDS) -> T:
    """``asyncio.run`` for a listener. ``handshake``: seconds that TLS may take to begin."""

    def loop() -> asyncio.AbstractEventLoop:
        made = _Loop()
        made.handshake = handshake
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(serving)
