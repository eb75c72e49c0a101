"""A person's mailbox on the test server, and us looking at it."""

from typing import Any

from crmsync.connectors.contract import Delete, Kind, Outcome, Page, Record, Ref, Selection, Update, Value
from crmsync.connectors.ews.connector import EwsSource
from crmsync.connectors.ews.mail.connector import MailConnector
from crmsync.connectors.mail.settings import Settings
from tests.connectors.ews.conftest import ALICE, Opened
from tests.servers.ews.person import EwsReader
from tests.servers.ews.server import EwsServer

TEXT = "From: Ada <ada@example.com>\nX-Odd:  kept \nSubject: x\n\nHello\n"


class Post:
    def __init__(self, server: EwsServer, login: Opened, owner: str = ALICE, **settings: Any) -> None:
        self.server = server
        self.mailbox = server.place.mailboxes[owner]
        self.person = EwsReader(server.place, self.mailbox)
        options = {} if owner == ALICE else {"mailbox": owner}
        self.source: EwsSource = login(mail=Settings(**settings), **options)

    @property
    def connector(self) -> MailConnector:
        (found,) = (c for c in self.source.collections() if Kind.EMAIL in c.kinds)
        opened = self.source.open(found)
        assert isinstance(opened, MailConnector)
        return opened

    def put(self, id: str, folder: str = "Inbox", *words: str, text: str = TEXT, **more: Any) -> str:
        data = f"Message-ID: <{id}>\n{text}" if id else text
        self.person.arrives(data.encode(), folder, *words, **more)
        return id

    def changes(self, since: str | None, tag: str = "CRM", **selection: Any) -> tuple[dict[str, Any], str]:
        """What is told by id: a version, or that it is gone."""
        pages: list[Page] = list(self.connector.changes(since, Selection(tag=tag, **selection)))
        items = [item for page in pages for item in page.items]
        return {i.id: i.version if isinstance(i, Ref | Record) else None for i in items}, pages[-1].cursor

    def record(self, id: str) -> Record:
        found = self.answer(id)
        assert isinstance(found, Record), found
        return found

    def answer(self, id: str) -> object:
        (found,) = self.connector.fetch([id])
        return found

    def update(self, id: str, *, tag: str = "", **columns: Value) -> Outcome:
        record = self.record(id)
        (outcome,) = self.connector.apply([Update(id, record.version, Kind.EMAIL, columns, tag=tag)])
        return outcome

    def delete(self, id: str) -> Outcome:
        (outcome,) = self.connector.apply([Delete(id, self.record(id).version)])
        return outcome

    def places(self, id: str) -> dict[str, tuple[str, ...]]:
        """Folder -> categories of each copy."""
        found = {}
        for item in self.person.items(id):
            words = item.fields.get("Categories")
            found[item.folder.name] = tuple(e.text or "" for e in words) if words is not None else ()
        return found
