"""The conversation: how it begins, breaks, and tells of news."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from crmsync.connectors.contract import Selection
from crmsync.connectors.errors import AuthExpired, ProtocolError, Unreachable
from crmsync.connectors.imap.client import Mail, Server
from crmsync.connectors.imap.connector import MailSource
from crmsync.connectors.imap.settings import Settings
from tests.connectors.imap.conftest import Box
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.turns import counted

pytestmark = pytest.mark.server
Make = Callable[..., Box]


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_secure_connections(server: Dovecot, tls: str) -> None:
    port = server.tls_port if tls == "tls" else server.port
    mail = Mail(Server("localhost", port, tls, str(server.ca_file)), *server.login())
    with mail.session() as s:
        assert "INBOX" in {f.name for f in s.folders()[0]}
    mail.close()
    with pytest.raises(Unreachable, match="certificate"):
        Mail(Server("localhost", port, tls), *server.login()).connect()
    Mail(Server("localhost", port, tls, verify=False), *server.login()).connect().shutdown()


def test_starttls_is_demanded() -> None:
    """A server that does not offer it, or somebody in between who says so, is sent no password."""
    with dovecot(capability="IMAP4rev1", tls=False) as plain, counted(plain.port) as relay:
        with pytest.raises(Unreachable, match="STARTTLS"):
            Mail(Server("127.0.0.1", relay.port, "starttls"), *plain.login()).connect()
        assert relay.bytes < 500
        assert relay.turns <= 3


def test_a_refused_login_says_whose(server: Dovecot) -> None:
    with pytest.raises(AuthExpired, match="refuses the login"):
        Mail(server.server, "alice@example.com", "wrong").connect()


def test_passwords_with_any_character(server: Dovecot) -> None:
    with pytest.raises(AuthExpired):
        Mail(server.server, "alice@example.com", 'ü"\\ {1}\x7f').connect()


def test_a_broken_connection_is_taken_up_again(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM")
    with counted(mine.server.port) as relay:
        source = MailSource(
            Server("127.0.0.1", relay.port, "plain"), *mine.server.login(mine.user), Settings()
        )
        (collection,) = source.collections()
        relay.hang_up()
        with pytest.raises(Unreachable):
            list(source.open(collection).fetch([id]))
        assert [r.id for r in source.open(collection).fetch([id])] == [id]
        source.close()


def test_news_nudge_and_the_end_of_a_connection_is_no_news(box: Make) -> None:
    mine = box()
    over = threading.Event()
    with counted(mine.server.port) as relay:
        source = mine.login(at=Server("127.0.0.1", relay.port, tls="plain"))
        nudges = source.watch(source.collections(), over.is_set)
        next(nudges)  # at once
        timer = threading.Timer(0.2, lambda: mine.put("a@example.com"))
        timer.start()
        next(nudges)
        timer.join()
        timer = threading.Timer(0.2, relay.hang_up)
        timer.start()
        with pytest.raises(Unreachable):
            list(nudges)
        timer.join()
        source.close()


def test_news_of_other_folders_nudge_too_where_the_server_tells_of_them(box: Make) -> None:
    mine = box()
    mine.put("old@example.com", "Archive")
    over = threading.Event()
    nudges = mine.source.watch(mine.source.collections(), over.is_set)
    next(nudges)
    for act in (
        lambda: mine.put("a@example.com", "CRM/Deal"),
        lambda: mine.store("Archive", "1", "+", "$CRM"),
    ):
        timer = threading.Timer(0.2, act)
        timer.start()
        next(nudges)
        timer.join()
    over.set()
    list(nudges)


def test_without_notify_the_inbox_nudges_as_ever() -> None:
    with dovecot(capability="IMAP4rev1 IDLE") as plain:
        mine = Box(plain)
        over = threading.Event()
        nudges = mine.source.watch(mine.source.collections(), over.is_set)
        next(nudges)
        timer = threading.Timer(0.2, lambda: mine.put("a@example.com"))
        timer.start()
        next(nudges)
        timer.join()
        over.set()
        list(nudges)
        mine.source.close()


def test_a_watch_ends_when_it_is_told_to(box: Make) -> None:
    mine = box()
    over = threading.Event()
    nudges = mine.source.watch(mine.source.collections(), over.is_set)
    next(nudges)
    over.set()
    assert list(nudges) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n",
        b"* OK " + b"x" * 2_000_000 + b"\r\n",
        b"* BYE go away\r\n",
        b"garbage\r\n",
        b"* LIST (((((\r\n{tag} OK done\r\n",
        b"* STATUS x (UIDNEXT nothing)\r\n{tag} OK done\r\n",
        b"",
    ],
)
def test_a_server_that_answers_anything_is_survived(answer: bytes) -> None:
    """Whatever it says, it is a failed conversation, and nothing is concluded of any message."""
    with babbling(answer) as port:
        source = MailSource(Server("127.0.0.1", port, "plain"), "a", "b", Settings(), timeout=5)
        (collection,) = source.collections()
        with pytest.raises((Unreachable, ProtocolError)):
            list(source.open(collection).changes(None, Selection(tag="CRM")))
        source.close()


@contextmanager
def babbling(answer: bytes) -> Iterator[int]:
    """It lets everybody in, and says ``answer`` to every other question."""

    def serve(near: socket.socket) -> None:
        with near, near.makefile("rwb") as lines:
            lines.write(b"* OK [CAPABILITY IMAP4rev1 LIST-STATUS CONDSTORE] hello\r\n")
            lines.flush()
            for line in lines:
                tag, command = line.split()[:2]
                if command.upper() in (b"LOGIN", b"CAPABILITY", b"LOGOUT"):
                    lines.write(b"* CAPABILITY IMAP4rev1 LIST-STATUS CONDSTORE\r\n" + tag + b" OK done\r\n")
                    lines.flush()
                    continue
                lines.write(answer.replace(b"{tag}", tag))
                lines.flush()
                return

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                with suppress(OSError, ValueError):
                    serve(near)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
