"""Sessions: HTTP to one server, counted and bounded, without retries, and what goes wrong in our words."""

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import urllib3
from exchangelib.protocol import BaseProtocol, FailFast
from exchangelib.transport import NOAUTH
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from crmsync.connectors.awaited import LONGEST, bounded
from crmsync.connectors.dates import http_date
from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Throttled, Unreachable
from crmsync.connectors.ews.faults import conversation
from crmsync.connectors.http import TooLarge, retry_after, unreachable

MAX_ANSWER = 64 * 1024 * 1024  # bytes of one answer
_AGENT = "crmsync"


@dataclass(frozen=True, slots=True)
class Options:
    ca_file: str | None = None
    verify: bool = True
    timeout: float = 60.0  # seconds without a byte
    connections: int = 4
    max_answer: int = MAX_ANSWER
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    endless: bool = False  # an answer may go on for as long as it likes


class Meter:
    """What a login has sent, and how the server's clock differs from ours."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.requests = 0
        self.clock_offset = timedelta(0)

    def count(self) -> None:
        with self._lock:
            self.requests += 1

    def note_clock(self, stamp: str | None) -> None:
        """The Date header has whole seconds: differences under two are ours, not the server's."""
        if (told := http_date(stamp)) is None:
            return
        difference = told - self._now()
        self.clock_offset = difference if abs(difference) > timedelta(seconds=2) else timedelta(0)


class _Adapter(HTTPAdapter):
    """Counts, bounds the time that an answer takes, and says in our words what went wrong."""

    def __init__(self, meter: Meter, where: str, options: Options) -> None:
        self._meter = meter
        self._where = where
        self._options = options
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        if not self._options.endless:
            kinds: dict[str, Any] = self.poolmanager.pool_classes_by_scheme
            self.poolmanager.pool_classes_by_scheme = {
                scheme: type("Bounded", (kind,), {"ConnectionCls": self._bounded(kind.ConnectionCls)})
                for scheme, kind in kinds.items()
            }

    def _bounded(self, kind: Any) -> Any:
        return bounded(kind, LONGEST * self._options.timeout, self._options.clock)

    def send(self, request: Any, *args: Any, **more: Any) -> requests.Response:
        self._meter.count()
        try:
            response = super().send(request, *args, **more)
        except requests.RequestException as error:
            raise in_our_words(self._where, error) from error
        self._meter.note_clock(response.headers.get("Date"))
        return response


class _Session(requests.Session):
    """Bounds the size of an answer. It is read after the hooks: that of NTLM looks at the
    connection's certificate, which is out of reach once an answer has been read."""

    session_id = 0  # these two are exchangelib's, for its log
    usage_count = 0

    def __init__(self, where: str, options: Options) -> None:
        super().__init__()
        self._where = where
        self._largest = options.max_answer

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        stream = more.pop("stream", False)
        response = super().send(request, stream=True, **more)
        if not stream and not response._content_consumed:
            try:
                response._content = b"".join(self._pieces(response))
            except HTTPError as error:
                raise unreachable(self._where, error) from error
            response._content_consumed = True
        return response

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        size = 0
        for piece in response.raw.stream(65536, decode_content=True):
            size += len(piece)
            if size > self._largest:
                response.close()
                raise TooLarge(f"an answer of {self._where} is larger than {self._largest} bytes")
            yield piece


def in_our_words(where: str, error: requests.RequestException) -> ConnectorError:
    cause = error.args[0] if error.args else None
    if isinstance(cause, HTTPError):
        return unreachable(where, cause)
    if isinstance(error, requests.Timeout):
        return Unreachable(f"{where} does not answer in time")
    return Unreachable(f"{where} cannot be asked ({type(error).__name__})")


class Sessions(BaseProtocol):  # type: ignore[misc]
    """Sessions of one login. Not exchangelib's Protocol, which is shared by all that name the same server and user."""

    def __init__(
        self, config: Any, options: Options, meter: Meter, auth: Callable[[], Any], where: str
    ) -> None:
        self._options = options
        self._meter = meter
        self._auth = auth
        self._where = where
        self.TIMEOUT = options.timeout
        super().__init__(config)

    def get_auth_type(self) -> str:
        return str(NOAUTH)

    def create_session(self) -> Any:
        session = _Session(self._where, self._options)
        session.trust_env = False  # neither proxies nor passwords of the environment
        session.headers.update(
            {"Content-Type": "text/xml; charset=utf-8", "Accept-Encoding": "gzip", "User-Agent": _AGENT}
        )
        session.mount(self.service_endpoint, _Adapter(self._meter, self._where, self._options))
        session.verify = _trusted(self._options)
        session.auth = self._auth()
        session.session_id = random.randint(10000, 99999)
        return session


def _trusted(options: Options) -> str | bool:
    """The authorities of this machine, as for all other servers; requests would take a list of its own."""
    if not options.verify:
        # said once by the configuration, not at every request
        urllib3.disable_warnings(InsecureRequestWarning)
        return False
    paths = ssl.get_default_verify_paths()
    return options.ca_file or paths.cafile or paths.capath or True


class Once(FailFast):  # type: ignore[misc]
    """No retries; and what HTTP says itself, in our words."""

    def __init__(self, where: str, now: Callable[[], datetime]) -> None:
        self._where = where
        self._now = now

    def raise_response_errors(self, response: Any) -> None:
        status = response.status_code
        pause = retry_after(response.headers.get("Retry-After"), self._now())
        if status == 401:
            raise AuthExpired(
                f"{self._where} refuses the login (401)",
                hint="check username, password and `auth` of the source",
            )
        if status == 429 or (status == 503 and pause is not None):
            raise Throttled(f"{self._where} asks us to slow down ({status})", retry_after=pause)
        if status in (301, 302, 307, 308):
            raise ProtocolError(
                f"{self._where} points to another address; not followed",
                hint="put the new address into the configuration if it is right",
            )
        if status == 403:
            raise conversation("ErrorAccessDenied", "HTTP 403", self._where)
        if status == 404:
            raise conversation(
                "ErrorFolderNotFound", "HTTP 404: there is no EWS at this address", self._where
            )
        if status >= 500 and not _is_soap(response):
            raise Unreachable(f"{self._where} failed ({status})")
        if status not in (200, 500):
            raise ProtocolError(f"{self._where} answers with {status}")


def _is_soap(response: Any) -> bool:
    return response.status_code == 500 and b"Envelope" in response.content[:500]
