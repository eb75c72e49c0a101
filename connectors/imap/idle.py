"""IDLE (RFC 2177): the server says when something happens in the inbox, and with NOTIFY (RFC 5465) in any folder of the
login's own. Only a nudge: nothing depends on one arriving.

Some servers accept IDLE and push nothing. Without NOTIFY what happens in other folders is never pushed, and of folders
that somebody else shares Dovecot 2.3 pushes nothing either: whoever listens asks at an interval as well.
"""

import contextlib
import imaplib
import time
from collections.abc import Callable, Iterator

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from crmsync.connectors.errors import Forbidden, Unreachable
from crmsync.connectors.imap.client import Mail
from crmsync.connectors.imap.session import cut, reason

AGAIN = 28 * 60.0  # seconds; servers may end what is silent for half an hour
ASKED = 1.0  # seconds between two looks at whether to stop
_TELLING = (b"EXISTS", b"EXPUNGE", b"FETCH", b"RECENT", b"VANISHED", b"STATUS")
_EVENTS = b"(MessageNew MessageExpunge FlagChange)"  # one without another is refused (RFC 5465 5)


def watch(
    mail: Mail, stopped: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """On a connection of its own, until that ends or ``stopped`` is true. The first nudge comes at once. Raises
    Unreachable, and Forbidden where the server knows no IDLE."""
    connection = mail.connect()
    try:
        if not connection.has_capability("IDLE"):
            raise Forbidden(f"{mail.server.address} does not offer IDLE")
        connection.select_folder("INBOX", readonly=True)
        _ask_for_all_folders(connection)
        yield
        yield from _nudges(connection, stopped, clock)
    except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
        raise Unreachable(f"{mail.server.address}: the connection broke ({reason(error)})") from error
    finally:
        cut(connection)


def _ask_for_all_folders(connection: IMAPClient) -> None:
    if not connection.has_capability("NOTIFY"):
        return
    wanted = b"(selected %s) (personal %s)" % (_EVENTS, _EVENTS)
    with contextlib.suppress(
        imaplib.IMAP4.error
    ):  # a server may offer it, and refuse what costs it too much: then it is the inbox alone
        connection._raw_command(b"NOTIFY", [b"SET", wanted], uid=False)


def _nudges(
    connection: IMAPClient, stopped: Callable[[], bool], clock: Callable[[], float]
) -> Iterator[None]:
    while not stopped():
        connection._imap.read_so_far = 0  # see client.MOST
        connection.idle()
        begun, told, hollow = clock(), False, False
        while not (told or hollow or stopped()) and clock() - begun < AGAIN:
            asked = clock()
            answers = connection.idle_check(timeout=ASKED)
            if any(answer[0] == b"BYE" for answer in answers):
                return
            told = any(part in _TELLING for answer in answers for part in answer)
            # the library takes the end of a connection for silence, which comes at once
            hollow = not answers and clock() - asked < ASKED / 2
        connection.idle_done()  # raises, if the connection has ended
        if told:
            yield
