"""One Dovecot for all of these tests; each has people of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crmsync.connectors.contract import Kind, Page, Record, Ref, Selection
from crmsync.connectors.imap.client import Server
from crmsync.connectors.imap.connector import MailConnector, MailSource
from crmsync.connectors.imap.settings import Settings
from tests.servers.dovecot import Dovecot, dovecot


@pytest.fixture(scope="session")
def server() -> Iterator[Dovecot]:
    with dovecot() as running:
        yield running


class Box:
    """A person's mailbox, and us looking at it."""

    def __init__(self, server: Dovecot, **settings: Any) -> None:
        self.server, self.user = server, server.fresh()
        self.source = self.login(**settings)

    def login(self, at: Server | None = None, **settings: Any) -> MailSource:
        return MailSource(at or self.server.server, *self.server.login(self.user), Settings(**settings))

    def login_to(self, owner: "Box", settings: Settings | None = None) -> MailSource:
        """We, who may see what another one shares."""
        login = self.server.login(self.user)
        return MailSource(self.server.server, *login, settings or Settings(), others=[owner.user])

    @property
    def connector(self) -> MailConnector:
        (collection,) = self.source.collections()
        return self.source.open(collection)

    def put(
        self, id: str, folder: str = "INBOX", flags: str = "", text: str = "Subject: x\n\nHello\n"
    ) -> str:
        data = f"Message-ID: <{id}>\n{text}" if id else text
        self.server.arrives(self.user, data.replace("\n", "\r\n").encode(), flags, folder)
        return id

    def store(self, folder: str, uid: str, sign: str, flag: str) -> None:
        with self.server.session(self.user) as mail:
            mail.select(f'"{folder}"')
            assert mail.uid("STORE", uid, f"{sign}FLAGS", f"({flag})")[0] == "OK"

    def changes(self, since: str | None, tag: str = "CRM") -> tuple[dict[str, Any], str]:
        """What is told by id: a version, or that it is gone."""
        pages: list[Page] = list(self.connector.changes(since, Selection(tag=tag)))
        items = [item for page in pages for item in page.items]
        return {i.id: i.version if isinstance(i, Ref | Record) else None for i in items}, pages[-1].cursor

    def record(self, id: str) -> Record:
        (found,) = self.connector.fetch([id])
        assert isinstance(found, Record)
        assert found.kind is Kind.EMAIL
        return found


@pytest.fixture
def box(server: Dovecot) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []

    def make(**settings: Any) -> Box:
        made.append(Box(server, **settings))
        return made[-1]

    yield make
    for one in made:
        one.source.close()
