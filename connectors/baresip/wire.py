"""baresip's ``ctrl_tcp``: netstrings (https://cr.yp.to/proto/netstrings.txt) of JSON. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from crmsync.connectors.errors import ProtocolError

LARGEST = 64 * 1024  # bytes of one message; baresip's own buffer for a command has 1024
_DIGITS = 6


class Frames:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        """The messages that are complete now. Raises ProtocolError: after that nothing can be made of the
        connection."""
        self._held += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Mapping[str, Any] | None:
        colon = self._held.find(b":", 0, _DIGITS + 1)
        if colon < 0:
            if len(self._held) > _DIGITS or not all(48 <= b < 58 for b in self._held):
                raise ProtocolError("baresip sent what is no netstring")
            return None
        length = self._held[:colon]
        if not length.isdigit() or int(length) > LARGEST:
            raise ProtocolError("baresip sent what is no netstring, or too long a one")
        end = colon + 1 + int(length)
        if len(self._held) <= end:
            return None
        if self._held[end] != ord(","):
            raise ProtocolError("baresip sent a netstring without an end")
        body = bytes(self._held[colon + 1 : end])
        del self._held[: end + 1]
        return _message(body)


def _message(body: bytes) -> Mapping[str, Any]:
    """A caller chooses its own display name, which baresip passes on as it came: bytes that are no UTF-8 included."""
    try:
        found = json.loads(body.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}  # one event that cannot be read is no reason to lose the connection
    return found if isinstance(found, dict) else {}


def command(name: str, params: str, token: str) -> bytes:
    body = json.dumps({"command": name, "params": params, "token": token}).encode()
    return b"%d:%s," % (len(body), body)
