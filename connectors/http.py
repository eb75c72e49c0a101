"""HTTP as every adapter needs it: bounded, counted, never redirected to another host, errors told apart.

A thin coat over urllib3 (docs/decisions/0004-http-client.md). It never retries: only the caller knows what a repeated
request would do.
"""

import math
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    HTTPError,
    InsecureRequestWarning,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from crmsync.connectors.awaited import LONGEST, bounded
from crmsync.connectors.dates import http_date
from crmsync.connectors.errors import ProtocolError, Throttled, Unreachable

MAX_BODY = 64 * 1024 * 1024  # bytes of one answer that is held in memory
MAX_REDIRECTS = 5
_PLAIN_PATH = re.compile(
    r"(?:/[A-Za-z0-9_~%@:=+-]+(?:\.[A-Za-z0-9_~%@:=+-]+)*)+/?"
)  # nothing to resolve in it


class TooLarge(ProtocolError):
    """One answer is larger than the caller is ready to hold."""

    code = "too_large"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes
    url: str  # after redirects


class Transport(Protocol):
    """What carries requests to one server."""

    requests: int  # how many so far
    clock_offset: timedelta

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_BODY,
    ) -> Response: ...

    def close(self) -> None: ...


class Http:
    """Keep-alive connections to one server. Safe to use from several threads."""

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        verify: bool = True,
        connections: int = 4,
        timeout: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``verify`` False takes any certificate of this one server; the configuration asks for its host by name.
        ``timeout``: seconds without a byte; ``clock`` measures what all the waiting for one answer comes to."""
        self.base = base
        self._origin = _origin(base)
        self._prefix = urljoin(base, "/")  # as the base spells its origin
        self._dated = ""
        self._headers = {"User-Agent": "crmsync", "Accept-Encoding": "gzip", **(headers or {})}
        self._now = now
        self._timeout = timeout
        self._pool = urllib3.connection_from_url(  # one origin: a PoolManager would parse each URL once more
            self._origin,
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=min(timeout, 15.0), read=timeout),
            **(_tls(ca_file, verify) if self._origin.startswith("https:") else {}),
        )
        self._pool.ConnectionCls = bounded(self._pool.ConnectionCls, LONGEST * timeout, clock)
        self._lock = threading.Lock()
        self.requests = 0
        self.clock_offset = timedelta(0)

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_BODY,
    ) -> Response:
        """One exchange; redirects within the same origin are followed. Raises Unreachable, Throttled (429, and 503
        with Retry-After) and ProtocolError; every other status is the caller's to judge."""
        answer, url = self._followed(method, self._absolute(url), body, headers)
        content = self._read(answer, url, limit)
        self._throttling(answer)
        return Response(answer.status, answer.headers, content, url)

    def stream(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Stream":
        """Like ``request``, but the body is read piece by piece (a listing can be larger than memory). Close it, or
        use it in a ``with``."""
        answer, _ = self._followed(method, self._absolute(url), body, headers)
        stream = Stream(answer, self._origin)
        try:
            self._throttling(answer)
        except Throttled:
            stream.close()
            raise
        return stream

    def close(self) -> None:
        self._pool.close()

    def _followed(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The first answer that is no redirect, its body unread, and where it came from."""
        for _ in range(MAX_REDIRECTS):
            answer = self._exchange(method, url, body, headers)
            target = answer.headers.get("Location", "")
            if answer.status not in (301, 302, 307, 308) or not target:
                return answer, url
            Stream(answer, self._origin).close()
            url = self._same_origin(resolved(url, target))
        raise ProtocolError(f"{self._origin} keeps redirecting {method} {urlsplit(url).path}")

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> urllib3.BaseHTTPResponse:
        target = self._target(url)
        with self._lock:
            self.requests += 1
        try:
            answer = self._pool.urlopen(
                method,
                target,
                body=body,
                headers={**self._headers, **(headers or {})},
                redirect=False,
                preload_content=False,
                pool_timeout=max(
                    1, round(self._timeout)
                ),  # streams left open must not make the next request wait for ever
            )
        except HTTPError as error:
            raise unreachable(self._origin, error) from error
        self._note_clock(answer.headers.get("Date"))
        return answer

    def _read(self, answer: urllib3.BaseHTTPResponse, url: str, limit: int) -> bytes:
        with Stream(answer, self._origin) as stream:
            pieces: list[bytes] = []
            size = 0
            for piece in stream:
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"{url.partition('?')[0]} is larger than {limit} bytes")
                pieces.append(piece)
        return b"".join(pieces)

    def _throttling(self, answer: urllib3.BaseHTTPResponse) -> None:
        pause = retry_after(answer.headers.get("Retry-After"), self._now())
        if answer.status == 429 or (answer.status == 503 and pause is not None):
            raise Throttled(f"{self._origin} asks us to slow down ({answer.status})", retry_after=pause)

    def _absolute(self, url: str) -> str:
        """``url`` may be a path; nearly every one is."""
        if _PLAIN_PATH.fullmatch(url):
            return self._prefix + url[1:]
        return resolved(self.base, url)

    def _target(self, url: str) -> str:
        """What stands in the request line."""
        self._same_origin(url)
        if url.startswith(self._prefix) and "#" not in url:
            return url[len(self._prefix) - 1 :]
        parts = urlsplit(url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _same_origin(self, url: str) -> str:
        if not url.startswith(self._prefix) and (origin := _origin(url)) != self._origin:
            raise ProtocolError(
                f"{self._origin} points to another host ({origin}); not followed",
                hint="put the new address into the configuration if it is right",
            )
        return url

    def _note_clock(self, stamp: str | None) -> None:
        """The Date header has whole seconds: differences under two are ours, not the server's."""
        if stamp is None or stamp == self._dated:
            return
        self._dated = stamp
        if (told := http_date(stamp)) is None:
            return
        difference = told - self._now()
        self.clock_offset = difference if abs(difference) > timedelta(seconds=2) else timedelta(0)


class Stream:
    """The body of an answer as it arrives; bytes, decompressed."""

    def __init__(self, answer: urllib3.BaseHTTPResponse, origin: str) -> None:
        self._answer = answer
        self._origin = origin
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.stream(65536, decode_content=True)
        except HTTPError as error:
            raise unreachable(self._origin, error) from error

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """A body that was read to its end leaves the connection reusable; any other is dropped with it."""
        if not self._answer.closed:
            self._answer.close()
        self._answer.release_conn()


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 10.2.3: seconds or a date), at most an hour."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        if (until := http_date(value)) is None:
            return None
        seconds = (until - now).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 3600.0)


def pause(seconds: float) -> None:
    """The one place where an adapter waits on the clock; tests hand in their own."""
    time.sleep(seconds)


def resolved(base: str, url: str) -> str:
    """Where ``url`` leads from ``base``. Raises ProtocolError for what is no address: some server has said it."""
    try:
        return urljoin(base, url)
    except ValueError as error:
        raise ProtocolError(f"{_origin(base)} points to an address that is none; not followed") from error


def _origin(url: str) -> str:
    """Raises ProtocolError, as ``resolved``."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ProtocolError("a server points to an address that is none; not followed") from error
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _tls(ca_file: str | None, verify: bool) -> dict[str, Any]:
    if verify:
        return {"ca_certs": ca_file} if ca_file else {}
    urllib3.disable_warnings(InsecureRequestWarning)  # said once by the configuration, not at every request
    context = urllib3.util.create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context.check_hostname = False
    return {"ssl_context": context, "assert_hostname": False}


def verified(verify: bool, accepted: str, url: str) -> bool:
    """Whether the certificate at ``url`` is checked: ``verify`` False was said of the host of ``accepted``, and of no
    other to which that one leads."""
    return verify or urlsplit(url).hostname != urlsplit(accepted).hostname


def unreachable(origin: str, error: HTTPError) -> Unreachable:
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(cause, SSLError):
        return Unreachable(
            f"{origin}: the TLS certificate or handshake was not accepted: {cause}",
            hint="is the clock right, and the CA known to this machine or named in ca_file?",
        )
    return Unreachable(f"{origin} {_in_words(cause)}")


def _in_words(cause: BaseException) -> str:
    """What the library found, without its inner workings."""
    if isinstance(cause, NameResolutionError):
        return "cannot be found: its name does not resolve"
    if isinstance(cause, ConnectTimeoutError | NewConnectionError):
        refused = isinstance(cause.__cause__, ConnectionRefusedError)
        return "refuses the connection: is it running?" if refused else "cannot be reached"
    if isinstance(cause, TimeoutError | ReadTimeoutError | EmptyPoolError):
        return "does not answer in time"
    return f"broke off in the middle of an exchange ({type(cause).__name__})"
