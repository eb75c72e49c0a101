"""Alice's collections on real servers, into which Bob, her delegate, looks with a login of his own; a class a protocol.

What people do in them is the same everywhere: an item is put there, tagged by somebody, and the share is withdrawn.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crmsync.config.load import load
from crmsync.daemon.app import build
from crmsync.daemon.engine import Engine
from tests.bars.office import CONFIG, client
from tests.servers.dav import DavServer
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import EwsServer, ews
from tests.servers.radicale import radicale

USERS = {name: f"{name}-secret" for name in ("alice", "bob", "service")}
RIGHTS = """
[own]
user: .+
collection: {user}(/.*)?
permissions: RWrw

[homes]
user: .+
collection: [^/]*
permissions: R
"""
SHARE = """
[share]
user: bob|service
collection: alice/.+
permissions: rw
"""
EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//x//EN\r
BEGIN:VEVENT\r
UID:{uid}\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260302T090000Z\r
DTEND:20260302T100000Z\r
SUMMARY:{uid}\r
ORGANIZER:mailto:bob@example.com\r
{tag}END:VEVENT\r
END:VCALENDAR\r
"""
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:Ada {uid}\r\nN:{uid};Ada;;;\r\n{tag}END:VCARD\r\n"
TAG = "CATEGORIES:CRM\r\n"
MAIL = """Message-ID: <{uid}@example.com>\r
From: Ada Lovelace <ada@example.net>\r
To: alice@example.com\r
Date: Mon, 2 Mar 2026 10:15:01 +0100\r
Subject: {uid}\r
\r
Dear Alice.\r
"""
ACCOUNT = """
[account.{name}]
crm = "main"
crm_user = "{name}@example.com"
"""
SOURCE = """
[[account.{name}.source]]
type = "{type}"
url = "{url}"
username = "{user}"
password_file = "{user}-password"
{more}
"""


@dataclass
class Place:
    crm: EmbeddedCrm
    engine: Engine
    sf: Any
    ahead: timedelta = field(default=timedelta(0))

    def sync(self, *names: str) -> dict[str, Any]:
        report = self.engine.sync(names)
        assert report["errors"] == []
        return report

    def owners(self, table: str) -> list[str]:
        """Whose the records are, by user name; of a mail, which has no owner, who of the users is on it."""
        people = {user.id: user.username for user in self.crm.users.values()}
        if table == "EmailMessage":
            table, of = "EmailMessageRelation WHERE RelationObjectType = 'User'", "RelationId"
        else:
            of = "OwnerId"
        rows = self.sf.query_all(f"SELECT {of} FROM {table}")["records"]
        return sorted(people[row[of]] for row in rows)

    def ids(self, table: str) -> list[str]:
        return [row["Id"] for row in self.sf.query_all(f"SELECT Id FROM {table}")["records"]]

    def births(self, table: str) -> list[tuple[str, str]]:
        """Through which account each record came into the CRM, and why."""
        told = (e for id in self.ids(table) for e in self.engine.item_history(id) if e["action"] == "create")
        return [(e["account"], e["reason"]) for e in told]

    def quiet(self) -> None:
        """Nothing is left to do, however long one waits."""
        self.ahead += timedelta(hours=2)
        assert self.sync()["writes"] == 0
        assert self.engine.queue() == []


@contextmanager
def place(directory: Path, accounts: str, passwords: Mapping[str, str]) -> Iterator[Place]:
    with ExitStack() as stack:
        crm = stack.enter_context(embedded_crm())
        texts = {"client-secret": crm.client_secret, "crm-password": crm.sync.password}
        for name, text in {**texts, **{f"{u}-password": p for u, p in passwords.items()}}.items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        file = directory / "config.toml"
        file.write_text(CONFIG.format(directory=directory, crm=crm, crm_url=crm.url, accounts=accounts))
        made: list[Place] = []
        now = lambda: datetime.now(UTC) + (made[0].ahead if made else timedelta(0))  # noqa: E731
        engine = build(load(file, {}), now=now)
        stack.callback(engine.close)
        sf = client(crm, crm.sync)
        stack.callback(sf.session.close)
        made.append(Place(crm, engine, sf))
        yield made[0]


def source(name: str, type: str, url: str, user: str, more: str = "") -> str:
    return SOURCE.format(name=name, type=type, url=url, user=user, more=more)


# ── What is shared ───────────────────────────────────────────────────────────────────────────────────────────


class Shared(ABC):
    """Alice's collections, each of which holds items of one CRM table."""

    type: str
    tables: Sequence[str]

    @abstractmethod
    def sources(self, account: str, login: str) -> str:
        """The configuration of what an account sees of Alice's through the login of this person."""

    def bobs_own(self) -> str:
        """What he has beside."""
        return ""

    @abstractmethod
    def passwords(self) -> Mapping[str, str]: ...

    @abstractmethod
    def put(self, name: str) -> None:
        """One in each collection, not tagged."""

    @abstractmethod
    def tag(self, name: str, by: str) -> None: ...

    @abstractmethod
    def withdraw(self) -> None:
        """Nobody but Alice sees it any more."""

    @abstractmethod
    def there(self, name: str) -> bool:
        """For Alice, everywhere."""


class DavShare(Shared):
    type = "dav"
    tables = ("Event", "Contact")

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory, self._stack = directory, stack.enter_context(ExitStack())
        self._dav = self._started(RIGHTS + SHARE)
        dav = self._dav
        self._urls = {"caldav": dav.make_calendar("Calendar"), "carddav": dav.make_book("Contacts")}
        self._own = dav.make_calendar("Own", user="bob")

    def sources(self, account: str, login: str) -> str:
        return "".join(source(account, type, url, login) for type, url in self._urls.items())

    def bobs_own(self) -> str:
        return source("bob", "caldav", self._own, "bob")

    def passwords(self) -> Mapping[str, str]:
        return USERS

    def put(self, name: str, user: str = "alice", tag: str = "") -> None:
        for url, text in self._items(name).items():
            self._dav.put(url, text.format(uid=name, tag=tag), user=user)

    def put_in_bobs_own(self, name: str) -> None:
        """Tagged."""
        self._dav.put(f"{self._own}{name}.ics", EVENT.format(uid=name, tag=TAG), user="bob")

    def tag(self, name: str, by: str) -> None:
        self.put(name, by, TAG)

    def withdraw(self) -> None:
        port = urlsplit(self._dav.url).port or 0
        self._stack.close()
        self._dav = self._started(RIGHTS, port)

    def there(self, name: str) -> bool:
        return all(self._dav.send("GET", url).status == 200 for url in self._items(name))

    def _started(self, rights: str, port: int = 0) -> DavServer:
        return self._stack.enter_context(radicale(self._directory, users=USERS, rights=rights, port=port))

    def _items(self, name: str) -> Mapping[str, str]:
        return {self._urls["caldav"] + f"{name}.ics": EVENT, self._urls["carddav"] + f"{name}.vcf": CARD}


class EwsShare(Shared):
    type = "ews"
    tables = ("Contact", "Event", "Task")
    _folders = ("contacts", "calendar", "tasks")

    def __init__(self, server: EwsServer) -> None:
        self._server = server
        self._ids: dict[tuple[str, str], str] = {}
        for folder in self._known():
            for delegate in ("bob", "service"):
                folder.rights[_address(delegate)] = "Editor"

    def sources(self, account: str, login: str) -> str:
        hers = f'mailbox = "{_address("alice")}"\naccess = "delegate"' if login != "alice" else ""
        return source(account, "ews", self._server.url, _address(login), hers)

    def bobs_own(self) -> str:
        return source("bob", "ews", self._server.url, _address("bob"))

    def passwords(self) -> Mapping[str, str]:
        return {_address(user): self._server.login(_address(user))[1] for user in USERS}

    def put(self, name: str) -> None:
        for folder in self._known():
            self._ids[folder.id, name] = EwsPerson(self._server.place, folder, "Alice").add(name)

    def tag(self, name: str, by: str) -> None:
        for folder in self._known():
            EwsPerson(self._server.place, folder, by.title()).tag(self._ids[folder.id, name], "CRM")

    def withdraw(self) -> None:
        for folder in self._known():
            folder.rights.clear()

    def there(self, name: str) -> bool:
        return all(self._ids[folder.id, name] in folder.items for folder in self._known())

    def _known(self) -> list[Any]:
        return [self._server.place.mailboxes[_address("alice")].known(name) for name in self._folders]


class MailShare(Shared):
    type = "imap"
    tables = ("EmailMessage",)

    def __init__(self, server: Dovecot) -> None:
        self._server = server
        for delegate in ("bob", "service"):
            server.share("INBOX", owner=_address("alice"), to=_address(delegate))

    def sources(self, account: str, login: str) -> str:
        hers = f'collections = ["{_address("alice")}"]' if login != "alice" else ""
        return source(account, "imap", self._server.url, _address(login), hers)

    def passwords(self) -> Mapping[str, str]:
        return {_address(user): self._server.users[_address(user)] for user in USERS}

    def put(self, name: str) -> None:
        self._server.arrives(_address("alice"), MAIL.format(uid=name).encode())

    def tag(self, name: str, by: str) -> None:
        with self._server.session(_address(by)) as mailbox:
            folder = "INBOX" if by == "alice" else f"shared/{_address('alice')}"
            assert mailbox.select(folder)[0] == "OK"
            _, (found,) = mailbox.search(None, f'HEADER Message-ID "<{name}@example.com>"')
            assert mailbox.store(found.decode(), "+FLAGS", "($CRM)")[0] == "OK"

    def withdraw(self) -> None:
        for delegate in ("bob", "service"):
            self._server.share("INBOX", owner=_address("alice"), to=_address(delegate), rights="")

    def there(self, name: str) -> bool:
        with self._server.session(_address("alice")) as mailbox:
            mailbox.select("INBOX", readonly=True)
            return mailbox.search(None, f'HEADER Message-ID "<{name}@example.com>"')[1] != [b""]


def _address(user: str) -> str:
    return f"{user}@example.com"


@contextmanager
def shared(directory: Path, type: str) -> Iterator[Shared]:
    with ExitStack() as stack:
        match type:
            case "dav":
                yield DavShare(directory / "dav", stack)
            case "ews":
                server = stack.enter_context(ews(*map(_address, USERS)))
                yield EwsShare(server)
                assert server.outbox == []
            case _:
                yield MailShare(stack.enter_context(dovecot()))
