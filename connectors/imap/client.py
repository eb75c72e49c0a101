"""The conversation with one IMAP server: one connection, taken up again when it was lost. Safe to use from several
threads: a ``session`` has the connection to itself.

Every command counts as a request. What a server refuses (NO) raises ``Refusal``, for the caller to make sense of.
"""

import contextlib
import imaplib
import logging
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError

from crmsync.connectors.errors import AuthExpired, ProtocolError, Unreachable
from crmsync.connectors.imap.session import Session, cut, reason

logging.getLogger("imapclient").setLevel(
    logging.WARNING
)  # it writes what it sends and gets, and that is mail

MOST = 256_000_000  # bytes of the answer to one command
STALE = 60.0  # seconds after which a connection is tried before it is used


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    tls: str = "tls"  # from the first byte; "starttls": demanded; "plain"
    ca_file: str | None = None
    verify: bool = True

    @property
    def address(self) -> str:
        return f"{'imaps' if self.tls == 'tls' else 'imap'}://{self.host}:{self.port}"


class Mail:
    def __init__(self, server: Server, username: str, password: str, *, timeout: float = 60.0) -> None:
        self.server = server
        self.username = username
        self.requests = 0
        self._password, self._timeout = password, timeout
        self._lock = threading.RLock()
        self._connection: IMAPClient | None = None
        self._used = 0.0

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        with self._lock:
            connection = self._ready()
            try:
                yield Session(connection, self._begin)
            except (OSError, IMAPClientAbortError, imaplib.IMAP4.abort) as error:
                self._drop()
                raise Unreachable(f"{self.server.address}: the connection broke ({reason(error)})") from error
            except (IMAPClientError, imaplib.IMAP4.error, ValueError) as error:
                self._drop()
                raise ProtocolError(
                    f"{self.server.address} answers what cannot be understood ({reason(error)})"
                ) from error
            finally:
                self._used = time.monotonic()

    def connect(self) -> IMAPClient:
        """A connection of one's own, logged in."""
        self._count()
        try:
            connection = self._open()
        except ssl.SSLError as error:
            raise Unreachable(
                f"{self.server.address}: no secure connection ({reason(error)})",
                hint="is it the right port? give `ca_file` for an authority of your own",
            ) from error
        except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
            raise Unreachable(f"{self.server.address} cannot be reached ({reason(error)})") from error
        try:
            self._log_in(connection)
        except (OSError, IMAPClientAbortError, imaplib.IMAP4.abort) as error:
            cut(connection)
            raise Unreachable(f"{self.server.address}: the connection broke ({reason(error)})") from error
        return connection

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(OSError, IMAPClientError, imaplib.IMAP4.error):
                    connection.logout()
                cut(connection)

    def _count(self) -> None:
        self.requests += 1

    def _begin(self) -> None:
        """Of each command."""
        self._count()
        if self._connection is not None:
            self._connection._imap.read_so_far = 0

    def _ready(self) -> IMAPClient:
        if self._connection is not None and time.monotonic() - self._used > STALE:
            self._count()
            try:
                self._connection.noop()
            except (OSError, IMAPClientError, imaplib.IMAP4.error):
                self._drop()
        if self._connection is None:
            self._connection = self.connect()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            cut(connection)

    def _open(self) -> IMAPClient:
        server = self.server
        context = self._context() if server.tls != "plain" else None
        connection = IMAPClient(
            server.host,
            server.port,
            ssl=server.tls == "tls",
            ssl_context=context if server.tls == "tls" else None,
            timeout=self._timeout,
        )
        _bound(connection._imap)
        if server.tls == "starttls":
            try:
                connection.starttls(context)
            except CapabilityError as error:
                cut(connection)
                raise OSError("it does not offer STARTTLS, and passwords are not sent in clear") from error
        return connection

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.server.ca_file)
        if not self.server.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _log_in(self, connection: IMAPClient) -> None:
        self._count()
        try:
            if all(word.isascii() for word in (self.username, self._password)):
                connection.login(self.username, self._password)
            else:
                # LOGIN knows ASCII alone (RFC 9051 6.2.3)
                connection.plain_login(self.username, self._password)
        except (LoginError, IMAPClientError) as error:
            cut(connection)
            if re.search(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]", str(error)):
                raise Unreachable(f"{self.server.address} does not let anybody in now") from error
            raise AuthExpired(
                f"{self.server.address} refuses the login",
                hint="check `username` and the password, and whether the server wants one for applications",
            ) from error
        if connection.has_capability("ENABLE") and connection.has_capability("CONDSTORE"):
            self._count()
            connection.enable("CONDSTORE")  # else Dovecot keeps no modification number of a new folder


def _bound(imap: Any) -> None:
    """The library reads whatever is announced, and as many lines as come."""
    read, readline = imap.read, imap.readline
    imap.read_so_far = 0

    def counted(size: int) -> None:
        imap.read_so_far += size
        if imap.read_so_far > MOST:
            raise imaplib.IMAP4.abort(f"the answer to one command has more than {MOST} bytes")

    def bounded_read(size: int) -> bytes:
        counted(size)
        data: bytes = read(size)
        return data

    def bounded_readline() -> bytes:
        line: bytes = readline()
        counted(len(line))
        return line

    imap.read, imap.readline = bounded_read, bounded_readline
