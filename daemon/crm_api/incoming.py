"""Reading requests without being filled up by them.

A large body is read from whoever has a session only, which SOAP says at the beginning of the body itself: so much is
read of everybody. All bodies at hand together stay below a bound, whoever sends them.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.requests import Request

from crmsync.daemon.crm_api.bodies import MOST_BYTES, too_large
from crmsync.state.replica.faults import Fault

__all__ = ["Incoming", "token_of"]

STRANGERS_BYTES = 64 * 1024  # of who has no session
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
    async def body(
        self, request: Request, whose: Callable[[bytes], str] = lambda beginning: "anybody"
    ) -> AsyncIterator[bytes]:
        """The whole body, counted until it is done with. ``whose``: of whom it is, by its beginning; empty: of a
        stranger. Raises Fault."""
        chunks: list[bytes] = []
        size = 0
        welcome = False
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._held += len(chunk)
                if size > STRANGERS_BYTES and not welcome:
                    welcome = bool(whose(b"".join([*chunks, chunk])))
                    if not welcome:
                        raise too_large(STRANGERS_BYTES)
                if size > MOST_BYTES:
                    raise too_large()
                if self._held > self._most:
                    what = "the CRM is reading too many large requests at once; try again"
                    raise Fault("SERVER_UNAVAILABLE", what)
                chunks.append(chunk)
            yield b"".join(chunks)
        finally:
            self._held -= size
