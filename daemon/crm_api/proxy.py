"""An HTTP proxy that knows CONNECT alone (RFC 9110, section 9.3.6), for programs that hard-code Salesforce's addresses.

    HTTPS_PROXY=http://127.0.0.1:8756  ->  CONNECT login.salesforce.com:443  ->  the CRM's own HTTPS listener

What is asked for a listed name goes to that listener, which has a certificate for it; everything else is refused with
403. The proxy therefore never opens a connection to anywhere but here, whatever it is asked.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Proxy", "Refusal", "intercepted", "read_target"]

log = logging.getLogger(__name__)

PORT = 443
LONGEST_HEAD = 8 * 1024
HEAD_SECONDS = 10.0
MOST_CONNECTIONS = 200
CHUNK = 64 * 1024
_REQUEST = re.compile(rb"(?P<method>[!#$%&'*+.^_`|~0-9A-Za-z-]+) (?P<target>[!-~]+) HTTP/1\.[01]")
_AUTHORITY = re.compile(rb"(?P<host>[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})")
_REASONS = {400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 408: "Request Timeout",
            431: "Request Header Fields Too Large", 502: "Bad Gateway", 503: "Service Unavailable"}  # fmt: skip


class Refusal(Exception):
    """(status, sentence): what is answered instead of a tunnel."""


def intercepted(host: str, hosts: Sequence[str]) -> bool:
    """Whether a name is listed. A star stands for one label, as in certificates."""
    _, _, parent = host.partition(".")
    return host in hosts or f"*.{parent}" in hosts


def read_target(head: bytes, hosts: Sequence[str]) -> str:
    """The host of a CONNECT that may be answered; raises Refusal."""
    request, *lines = head.split(b"\r\n")
    match = _REQUEST.fullmatch(request)
    if match is None or any(not line or line[:1] in b" \t" or b":" not in line for line in lines):
        raise Refusal(400, "this is no HTTP/1.1 request")
    if match["method"] != b"CONNECT":
        raise Refusal(405, "this proxy knows CONNECT only; plain http goes to the CRM's own address")
    authority = _AUTHORITY.fullmatch(match["target"])
    if authority is None:
        raise Refusal(400, "CONNECT takes host:port")
    host, port = authority["host"].decode("ascii").lower().rstrip("."), int(authority["port"])
    if port != PORT or not intercepted(host, hosts):
        raise Refusal(403, f"{host}:{port} is not answered here, only port {PORT} of {', '.join(hosts)}")
    return host


@dataclass(slots=True)
class Proxy:
    """Tunnels to `upstream`, the (host, port) of the CRM's HTTPS listener."""

    hosts: Sequence[str]
    upstream: tuple[str, int]
    patience: float = HEAD_SECONDS
    most: int = MOST_CONNECTIONS
    _tunnels: set[asyncio.Task[None]] = field(default_factory=set)

    def close(self) -> None:
        """Ends what is open: asyncio's server waits for it."""
        for each in self._tunnels:
            each.cancel()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end. For asyncio.start_server(limit=LONGEST_HEAD)."""
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            await self._tunnel(reader, writer)
        except Refusal as refusal:
            with contextlib.suppress(OSError, TimeoutError):
                await _refuse(writer, *refusal.args)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # one of the two ends went away, or the CRM ends
        finally:
            self._tunnels.discard(task)
            _end(writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tunnels) > self.most:
            raise Refusal(503, f"there are {self.most} connections already; try again")
        head = await self._head(reader)
        if not head:
            return
        host = read_target(head, self.hosts)
        try:
            near_reader, near_writer = await asyncio.open_connection(*self.upstream)
        except OSError as error:
            raise Refusal(502, "the CRM does not answer") from error
        log.debug("%s goes to the CRM", host, extra={"action": "crm.proxy"})
        sending = asyncio.create_task(_copy(reader, near_writer))
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _copy(near_reader, writer)  # until the CRM closes: it bounds how long a connection is idle
        finally:
            sending.cancel()
            _end(near_writer)

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self.patience):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Refusal(400, "the request ends too early") from None
            return b""
        except asyncio.LimitOverrunError:
            raise Refusal(431, f"the request is longer than {LONGEST_HEAD} bytes") from None
        except TimeoutError:
            raise Refusal(408, "the request takes too long") from None
        return head[:-4]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one end closes. Waits for a slow reader, so that nothing piles up here."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _refuse(writer: asyncio.StreamWriter, status: int, sentence: str) -> None:
    log.info("the proxy refused a request: %s", sentence, extra={"action": "crm.proxy_refused"})
    body = f"{sentence}\n".encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + body)
    async with asyncio.timeout(HEAD_SECONDS):
        await writer.drain()


def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
