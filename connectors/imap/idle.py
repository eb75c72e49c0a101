"""IDLE (RFC 2177): the server says when something happens in the inbox. Only a nudge: nothing depends on one arriving.

Some servers accept IDLE and push nothing, and what happens in other folders is never pushed: whoever listens asks at an
interval as well.
"""

import contextlib
import imaplib
import threading
import time
from collections.abc import Callable, Iterator

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from crmsync.connectors.errors import Unreachable
from crmsync.connectors.imap.client import Mail

AGAIN = 28 * 60.0  # seconds; servers may end what is silent for half an hour
ASKED = 1.0  # seconds between two looks at whether to stop
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_TELLING = (b"EXISTS", b"EXPUNGE", b"FETCH", b"RECENT", b"VANISHED")


class Idle:
    """A connection of its own."""

    def __init__(self, mail: Mail, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._mail, self._clock = mail, clock

    def watch(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """The first nudge comes at once, and one after each new connection: what was said between is lost. Without
        IDLE it ends after the first."""
        pause = _FIRST_PAUSE
        while not stopped():
            try:
                connection = self._mail.connect()
            except Unreachable:
                pause = self._rest(pause, stopped)
                continue
            try:
                if not connection.has_capability("IDLE"):
                    yield
                    return
                connection.select_folder("INBOX", readonly=True)
                yield
                pause = _FIRST_PAUSE
                yield from self._nudges(connection, stopped)
            except (OSError, IMAPClientError, imaplib.IMAP4.error):
                pause = self._rest(pause, stopped)
            finally:
                with contextlib.suppress(OSError, IMAPClientError, imaplib.IMAP4.error):
                    connection.shutdown()

    def _nudges(self, connection: IMAPClient, stopped: Callable[[], bool]) -> Iterator[None]:
        while not stopped():
            connection.idle()
            begun = self._clock()
            told = False
            while not told and not stopped() and self._clock() - begun < AGAIN:
                answers = connection.idle_check(timeout=ASKED)
                told = any(part in _TELLING for answer in answers for part in answer)
                if any(answer[0] == b"BYE" for answer in answers):
                    return
            connection.idle_done()
            if told:
                yield

    def _rest(self, pause: float, stopped: Callable[[], bool]) -> float:
        """Wait before the next attempt, twice as long each time; the next pause."""
        until, wait = self._clock() + pause, threading.Event()
        while not stopped() and self._clock() < until:
            wait.wait(min(ASKED, max(0.0, until - self._clock())))
        return min(pause * 2, _LONGEST_PAUSE)
