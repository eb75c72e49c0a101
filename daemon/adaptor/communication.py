"""The address that a CRM reaches: HTTP, with TLS where it is configured, in a thread of its own.

Nothing here knows what a message means. What is refused on the way is in the audit log: another Host or a page's Origin
(no browser has anything to ask here), too large, too slow, a handshake with a certificate that does not verify.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from crmsync.config.exchange import Exchange
from crmsync.daemon.accepting import Door as Entrance
from crmsync.daemon.adaptor.authentication import SHORTEST, Asked
from crmsync.daemon.adaptor.refusals import Audit, Refusal, Rule
from crmsync.daemon.adaptor.signing import CREDENTIAL
from crmsync.daemon.adaptor.tls import Renewable, context
from crmsync.daemon.calls import Failure
from crmsync.daemon.listening import Listener
from crmsync.state.errors import StateError

log = logging.getLogger(__name__)

LARGEST = 1024 * 1024  # bytes of a body, whatever it is for
PATIENCE = 10.0  # seconds for a request to arrive
CONNECTIONS = 64  # that are answered at a time
MOST_OPEN = 2 * CONNECTIONS
MOST_EACH = CONNECTIONS // 2  # of one address that is not this machine's
_CERTIFICATE = "crmsync.certificate"  # in the scope: DER of the client's, verified
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    type: str = "application/json"

    @classmethod
    def of(cls, document: Mapping[str, Any], status: int = 200) -> "Answer":
        return cls(status, json.dumps(document, ensure_ascii=False).encode() + b"\n")

    @classmethod
    def refusing(cls, refusal: Refusal) -> "Answer":
        return cls.of({"error": refusal.rule.word, "message": refusal.sentence}, refusal.rule.status)


Handle = Callable[[Asked, str], Answer]  # the request and who asks, as an address; raises Refusal


@dataclass(frozen=True, slots=True)
class Door:
    """ASGI: what has to be right before a message is looked at."""

    handle: Handle
    hosts: frozenset[str]
    audit: Audit
    patience: float = PATIENCE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        peer = scope["client"][0] if scope.get("client") else ""
        headers: dict[str, str] = {}
        try:
            headers = _headers(scope["headers"])
            self._addressed(headers)
            body = await self._body(headers, receive)
            asked = Asked(scope["method"], _path(scope), headers, body, scope.get(_CERTIFICATE))
            answer = await asyncio.to_thread(self.handle, asked, peer)
        except Refusal as refusal:
            answer = Answer.refusing(refusal)
            await asyncio.to_thread(
                self._note, refusal, headers, peer, f"{scope['method']} {_shown(scope['raw_path'])}"
            )
        except StateError as error:
            log.error("a message could not be kept: %s", error, extra={"action": "exchange.unavailable"})
            answer = Answer.refusing(
                Refusal(Rule.UNAVAILABLE, "the state cannot be written; try again later")
            )
        await _give(answer, send)

    def _note(self, refusal: Refusal, headers: Mapping[str, str], peer: str, asked: str) -> None:
        name = headers.get(CREDENTIAL, "")
        try:
            noted = self.audit.refused(
                refusal.rule,
                credential=f"{name}?" if name else "",
                peer=peer,
                asked=asked,
                detail=refusal.sentence,
            )
        except StateError as error:
            noted = True
            log.error("it could not be written to the audit log: %s", error, extra={"action": "audit.failed"})
        if noted:  # the log is not theirs to fill either
            log.warning(
                "an exchange was refused (%s): %s%s",
                refusal.rule.word,
                refusal.sentence,
                f": {refusal.cause}" if refusal.cause else "",
                extra={"action": "exchange.refused"},
            )

    def _addressed(self, headers: Mapping[str, str]) -> None:
        if headers.get("host", "").lower() not in self.hosts:
            raise Refusal(Rule.HOST, "its Host is not ours")
        if "origin" in headers or "sec-fetch-site" in headers:
            raise Refusal(Rule.ORIGIN, "it comes from a page in a browser")

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > LARGEST:
            raise _too_large()
        try:
            return await asyncio.wait_for(_read(receive), self.patience)
        except TimeoutError:
            raise Refusal(Rule.SLOW, f"its body did not arrive within {self.patience:g} s") from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(Rule.MALFORMED, "it ended before its body did")
        body += message.get("body", b"")
        if len(body) > LARGEST:
            raise _too_large()
        if not message.get("more_body"):
            return bytes(body)


def _too_large() -> Refusal:
    return Refusal(Rule.TOO_LARGE, f"its body has more than {LARGEST} bytes")


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in raw:
        name = key.decode("latin-1").lower()
        if name in headers and (name.startswith("x-exchange-") or name in ("host", "authorization")):
            raise Refusal(Rule.MALFORMED, f"it has {name} twice")
        headers[name] = value.decode("latin-1")
    return headers


def _path(scope: Scope) -> str:
    """As it was written: that is what is signed. There is nothing to ask behind a question mark."""
    if scope["query_string"]:
        raise Refusal(Rule.MALFORMED, "a message has no query")
    raw: bytes = scope["raw_path"]
    return raw.decode("latin-1")


def _shown(raw: bytes) -> str:
    """Without what may be the token of an outbound message's address, however that was mistyped: what comes after
    ``outbound`` is left out, and a part that is long enough for one. Before it is decoded: a token may have a slash."""
    head, found, rest = raw.decode("latin-1").lower().partition("/outbound/")
    parts = [part if len(part) < SHORTEST and "%" not in part else "…" for part in head.split("/")]
    return "/".join(parts) + (f"{found}…" if rest else found)


async def _give(answer: Answer, send: Send) -> None:
    headers = [
        (b"content-type", answer.type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),  # a message has a connection of its own: nobody can keep one
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


# ── Listening ────────────────────────────────────────────────────────────────────────────────────────────────


class Line:
    """The listener. Raises Failure where the address is taken, or the certificate cannot be used."""

    def __init__(self, config: Exchange, handle: Handle, audit: Audit, *, patience: float = PATIENCE) -> None:
        assert config.address is not None
        host, port = config.address
        socket_ = _bound(host, port)
        self.port: int = socket_.getsockname()[1]
        scheme = "https" if config.certificate is not None else "http"
        own = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{own}:{self.port}"
        door = Door(handle, _hosts(own, self.port, config.url), audit, patience)
        server = uvicorn.Config(
            door,
            interface="asgi3",
            loop="asyncio",
            http=_protocol(patience),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        server.load()
        self._audit = audit
        try:
            certified = context(config, audit)
        except BaseException:
            socket_.close()
            raise
        self._tls = server.ssl = Renewable.of(certified) if certified is not None else None
        self._listener = Listener("data exchange adaptor", server, [socket_], handshake=patience)

    def start(self) -> None:
        """Raises Failure."""
        self._listener.start()

    def renew(self, config: Exchange) -> None:
        """The certificates, as the files are now. Raises Failure, and goes on with those that it has."""
        certified = context(config, self._audit)
        if self._tls is not None and certified is not None:
            self._tls.current = certified

    def stop(self, seconds: float = 2.0) -> None:
        self._listener.stop(seconds)


def _hosts(host: str, port: int, url: str | None) -> frozenset[str]:
    names = {f"{host}:{port}", f"localhost:{port}"}
    if url is not None:
        parts = urlsplit(url)
        names.add(parts.netloc.lower())
        if parts.port is None:
            names.add(f"{parts.netloc.lower()}:{_PORTS[parts.scheme]}")
    return frozenset(names)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        door = socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise Failure(
            "config",
            f"{host} port {port} cannot be listened on ({error.strerror or error}); name another one in the "
            "configuration: [exchange] listen",
        ) from error
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Entrance.of(door, MOST_OPEN, MOST_EACH)


def _protocol(patience: float) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """Hands the client's certificate on, and waits only so long for a request to begin."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            secured = transport.get_extra_info("ssl_object")
            self.app = _with_certificate(self.app, secured.getpeercert(binary_form=True) if secured else None)
            self.loop.call_later(patience, self._give_up)

        def _give_up(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.abort()

    return Protocol


def _with_certificate(app: ASGIApp, certificate: bytes | None) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _CERTIFICATE: certificate}, receive, send)

    return known
