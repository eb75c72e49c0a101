"""As much of a WebSocket client (RFC 6455) as hearing JSON takes: text in, pongs out. ``Frames`` is pure."""

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from crmsync.connectors.errors import AuthExpired, NotFound, ProtocolError

LARGEST = 1024 * 1024  # bytes of one message
LARGEST_HEAD = 16 * 1024
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


def handshake(host: str, path: str, authorization: str) -> tuple[bytes, str]:
    """The request, and the key that the answer has to prove to have seen."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ari",
        f"Authorization: {authorization}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n", key


def opened(head: bytes, key: str) -> None:
    """Raises ConnectorError where the answer's head is not that of a WebSocket."""
    lines = head.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")[1:2]
    if status in (["401"], ["403"]):
        raise AuthExpired(
            "Asterisk refuses the login", hint="look at ari.conf: user, password, read_only = no"
        )
    if status == ["404"]:
        raise NotFound(
            "there is no ARI under this address", hint="look at http.conf and ari.conf: enabled = yes"
        )
    headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
    proof = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    if status != ["101"] or headers.get("sec-websocket-accept") != proof:
        raise ProtocolError("what answers there is no WebSocket")


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: int
    payload: bytes


class Frames:
    """Bytes in, messages out: those of several frames are put together."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._parts = bytearray()
        self._opcode = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Raises ProtocolError: after that nothing can be made of the connection."""
        self._held += data
        while (found := self._next()) is not None:
            final, opcode, payload = found
            if opcode >= CLOSE:
                yield Frame(opcode, payload)
                continue
            self._opcode = opcode or self._opcode
            self._parts += payload
            if len(self._parts) > LARGEST:
                raise ProtocolError("Asterisk sent too large a message")
            if final:
                whole, self._parts = bytes(self._parts), bytearray()
                yield Frame(self._opcode, whole)

    def _next(self) -> tuple[bool, int, bytes] | None:
        held = self._held
        if len(held) < 2:
            return None
        if held[0] & 0x70 or held[1] & 0x80:
            raise ProtocolError("Asterisk sent a frame that a server does not send")
        size, start = held[1], 2
        if size in (126, 127):
            start = 4 if size == 126 else 10
            if len(held) < start:
                return None
            size = int.from_bytes(held[2:start])
        if size > LARGEST:
            raise ProtocolError("Asterisk sent too large a message")
        if len(held) < start + size:
            return None
        found = bool(held[0] & 0x80), held[0] & 0x0F, bytes(held[start : start + size])
        del held[: start + size]
        return found


def frame(opcode: int, payload: bytes) -> bytes:
    """A small one, as clients send it: masked (section 5.3)."""
    mask = os.urandom(4)
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload[:125]))
    return bytes((0x80 | opcode, 0x80 | len(masked))) + mask + masked
