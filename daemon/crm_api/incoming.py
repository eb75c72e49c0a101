"""Reading requests without being filled up by them.

A large body is read from whoever has a session only; and all bodies at hand together stay below a bound, whoever sends
them: SOAP says inside the body who asks.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.requests import Request

from crmsync.daemon.crm_api.bodies import MOST_BYTES, too_large
from crmsync.state.replica.faults import Fault

__all__ = ["Incoming", "token_of"]

STRANGERS_BYTES = 64 * 1024  # of who has no session, where that is known before the body
MOST_AT_ONCE = 512 * 1024 * 1024


def token_of(headers: Mapping[str, str]) -> str:
    """The session id of a request; names of headers in lower case."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "oauth"):
        token = headers.get("x-sfdc-session", "")
    return token.strip()


class Incoming:
    """Of one event loop: all listeners of a CRM share one."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most, self._held = most, 0

    @asynccontextmanager
    async def body(self, request: Request, limit: int = MOST_BYTES) -> AsyncIterator[bytes]:
        """The whole body, counted until it is done with. Raises Fault."""
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._held += len(chunk)
                if size > limit:
                    raise too_large()
                if self._held > self._most:
                    what = "the CRM is reading too many large requests at once; try again"
                    raise Fault("SERVER_UNAVAILABLE", what)
                chunks.append(chunk)
            yield b"".join(chunks)
        finally:
            self._held -= size
