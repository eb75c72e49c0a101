"""HTTP as every adapter needs it: bounded, counted, never redirected to another host, errors told apart.

A thin coat over urllib3 (docs/decisions/0004-http-client.md). It never retries: only the caller knows what a repeated
request would do.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from crmsync.connectors.errors import ProtocolError, Throttled, Unreachable

MAX_BODY = 64 * 1024 * 1024  # bytes of one answer that is held in memory
MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes
    url: str  # after redirects


class Http:
    """Keep-alive connections to one server. Safe to use from several threads."""

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        connections: int = 4,
        timeout: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.base = base
        self._origin = _origin(base)
        self._headers = {"User-Agent": "crmsync", "Accept-Encoding": "gzip", **(headers or {})}
        self._now = now
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=min(timeout, 15.0), read=timeout),
            ca_certs=ca_file,
        )
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
        url = urljoin(self.base, url)
        for _ in range(MAX_REDIRECTS):
            answer = self._exchange(method, url, body, headers)
            with_body = self._read(answer, url, limit)
            target = with_body.headers.get("Location", "")
            if with_body.status not in (301, 302, 307, 308) or not target:
                self._throttling(with_body)
                return with_body
            url = self._same_origin(urljoin(url, target))
        raise ProtocolError(f"{self._origin} keeps redirecting {method} {urlsplit(url).path}")

    def stream(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Stream":
        """Like ``request``, but the body is read piece by piece (a listing can be larger than memory). Redirects are
        not followed. Close it, or use it in a ``with``."""
        return Stream(self._exchange(method, urljoin(self.base, url), body, headers), self._origin)

    def close(self) -> None:
        self._pool.clear()

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> urllib3.BaseHTTPResponse:
        self._same_origin(url)
        with self._lock:
            self.requests += 1
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._headers, **(headers or {})},
                redirect=False,
                preload_content=False,
            )
        except HTTPError as error:
            raise _unreachable(self._origin, error) from error
        self._note_clock(answer.headers.get("Date"))
        return answer

    def _read(self, answer: urllib3.BaseHTTPResponse, url: str, limit: int) -> Response:
        with Stream(answer, self._origin) as stream:
            pieces: list[bytes] = []
            size = 0
            for piece in stream:
                size += len(piece)
                if size > limit:
                    raise ProtocolError(f"{self._origin} sent more than {limit} bytes for one answer")
                pieces.append(piece)
        return Response(answer.status, answer.headers, b"".join(pieces), url)

    def _throttling(self, response: Response) -> None:
        pause = retry_after(response.headers.get("Retry-After"), self._now())
        if response.status == 429 or (response.status == 503 and pause is not None):
            raise Throttled(f"{self._origin} asks us to slow down ({response.status})", retry_after=pause)

    def _same_origin(self, url: str) -> str:
        if _origin(url) != self._origin:
            raise ProtocolError(
                f"{self._origin} points to another host ({_origin(url)}); not followed",
                hint="put the new address into the configuration if it is right",
            )
        return url

    def _note_clock(self, stamp: str | None) -> None:
        """The Date header has whole seconds: differences under two are ours, not the server's."""
        if stamp is None:
            return
        try:
            told = parsedate_to_datetime(stamp)
        except ValueError:
            return
        if told.tzinfo is None:
            told = told.replace(tzinfo=UTC)
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
            raise _unreachable(self._origin, error) from error

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
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
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 3600.0)


def pause(seconds: float) -> None:
    """The one place where an adapter waits on the clock; tests hand in their own."""
    time.sleep(seconds)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _unreachable(origin: str, error: HTTPError) -> Unreachable:
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(cause, SSLError):
        return Unreachable(
            f"{origin}: the TLS certificate or handshake was not accepted: {cause}",
            hint="is the clock right, and the CA known to this machine or named in ca_file?",
        )
    return Unreachable(f"{origin} cannot be reached or broke off: {type(cause).__name__}: {cause}")
