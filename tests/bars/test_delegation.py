"""Delegates at real servers: Radicale with a rights file, and shared Exchange folders. What is tagged in another
person's collection has one record, the owner's."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.load import load
from crmsync.daemon.app import build
from crmsync.daemon.engine import Engine
from tests.bars.office import CONFIG, client
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import EwsServer, ews
from tests.servers.proxy import Asked, proxy
from tests.servers.radicale import radicale

pytestmark = [pytest.mark.bar, pytest.mark.timeout(120)]

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
        """Whose the records are, by user name."""
        people = {user.id: user.username for user in self.crm.users.values()}
        rows = self.sf.query_all(f"SELECT OwnerId FROM {table}")["records"]
        return sorted(people[row["OwnerId"]] for row in rows)


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


@contextmanager
def calendars(directory: Path, *, owner_login: str = "alice") -> Iterator[tuple[Place, DavServer]]:
    """Alice's calendar and address book, into which Bob looks, too; whatever reads for Alice is ``owner_login``."""
    with radicale(directory / "dav", users=USERS, rights=RIGHTS + SHARE) as dav:
        urls = {"caldav": dav.make_calendar("Calendar"), "carddav": dav.make_book("Contacts")}
        own = dav.make_calendar("Own", user="bob")
        text = ACCOUNT.format(name="alice") + "".join(
            source("alice", type, url, owner_login) for type, url in urls.items()
        )
        text += ACCOUNT.format(name="bob") + "".join(
            source("bob", type, url, "bob") for type, url in urls.items()
        )
        text += source("bob", "caldav", own, "bob")
        with place(directory, text, USERS) as made:
            yield made, dav


@pytest.mark.parametrize("first", ["alice", "bob"])
@pytest.mark.parametrize("owner_login", ["alice", "service"])
def test_a_delegate_tags_in_the_owners_collections(tmp_path: Path, first: str, owner_login: str) -> None:
    with calendars(tmp_path, owner_login=owner_login) as (made, dav):
        event, card = dav.calendar_url("Calendar") + "one.ics", dav.book_url("Contacts") + "one.vcf"
        dav.put(event, EVENT.format(uid="one", tag=""))
        dav.put(card, CARD.format(uid="one", tag=""))
        made.sync()
        dav.put(event, EVENT.format(uid="one", tag=TAG), user="bob")
        dav.put(card, CARD.format(uid="one", tag=TAG), user="bob")
        for _ in range(2):
            made.sync(first)
        made.sync()
        made.ahead = timedelta(hours=2)
        assert made.owners("Event") == made.owners("Contact") == ["alice@example.com"]
        assert made.engine.queue() == []
        report = made.sync()
        assert (report["writes"], made.engine.queue()) == (0, [])


def test_both_at_the_same_moment(tmp_path: Path) -> None:
    with calendars(tmp_path) as (made, dav):
        for n in range(10):
            dav.put(f"{dav.calendar_url('Calendar')}{n}.ics", EVENT.format(uid=n, tag=TAG), user="bob")
        threads = [threading.Thread(target=made.engine.sync, args=([name],)) for name in ("bob", "alice")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        made.sync()
        assert made.owners("Event") == ["alice@example.com"] * 10


def test_what_a_delegate_creates_for_themselves_is_their_own(tmp_path: Path) -> None:
    with calendars(tmp_path) as (made, dav):
        dav.put(
            dav.calendar_url("Own", user="bob") + "mine.ics", EVENT.format(uid="mine", tag=TAG), user="bob"
        )
        made.sync()
        assert made.owners("Event") == ["bob@example.com"]


def test_a_share_that_is_withdrawn_deletes_nothing(tmp_path: Path) -> None:
    with calendars(tmp_path) as (made, dav):
        url = dav.calendar_url("Calendar") + "one.ics"
        dav.put(url, EVENT.format(uid="one", tag=TAG), user="bob")
        made.sync("bob")
        (tmp_path / "dav" / "rights").write_text(RIGHTS)
        report = made.engine.sync(["bob"])
        assert {e["code"] for e in report["errors"]} <= {"forbidden", "not_found"}
        made.sync("alice")
        assert made.owners("Event") == ["alice@example.com"]
        made.engine.sync(["bob"])
        assert made.owners("Event") == ["alice@example.com"]
        assert dav.send("GET", url).status == 200


# ── Exchange ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def mailboxes(directory: Path, owner: str = "") -> Iterator[tuple[Place, EwsServer]]:
    """``owner``: further lines of the source that reads for Alice, and whose login it is."""
    alice, bob, service = (f"{name}@example.com" for name in USERS)
    with ews(alice, bob, service) as server:
        for name in ("contacts", "calendar", "tasks"):
            for delegate in (bob, service):
                server.place.mailboxes[alice].known(name).rights[delegate] = "Editor"
        for_alice = f'mailbox = "{alice}"\naccess = "delegate"'
        text = ACCOUNT.format(name="alice")
        text += source("alice", "ews", server.url, owner or alice, for_alice if owner else "")
        text += ACCOUNT.format(name="bob")
        text += source("bob", "ews", server.url, bob, for_alice) + source("bob", "ews", server.url, bob)
        with place(directory, text, {user: server.login(user)[1] for user in (alice, bob, service)}) as made:
            yield made, server
            assert server.outbox == []


@pytest.mark.parametrize("first", ["alice", "bob"])
@pytest.mark.parametrize("owner", ["", "service@example.com"])
def test_a_delegate_tags_in_the_owners_mailbox(tmp_path: Path, first: str, owner: str) -> None:
    with mailboxes(tmp_path, owner) as (made, server):
        for name in ("contacts", "calendar", "tasks"):
            folder = server.place.mailboxes["alice@example.com"].known(name)
            person = EwsPerson(server.place, folder, "Bob")
            person.tag(person.add(f"One of {name}"), "CRM")
        made.sync(first)
        made.sync()
        for table in ("Contact", "Event", "Task"):
            assert made.owners(table) == ["alice@example.com"]
        (record,) = made.sf.query_all("SELECT Id FROM Task")["records"]
        (entry,) = [e for e in made.engine.item_history(record["Id"]) if e["action"] == "create"]
        seen = "first seen through account bob, a delegate; " if first == "bob" else ""
        by = f"{seen}last changed by Bob"
        assert (entry["account"], entry["reason"]) == ("alice", f"tagged ({by}), and not in the CRM yet")
        assert made.engine.queue() == []
        report = made.sync()
        assert report["writes"] == 0


# ── What several accounts see is fetched once ────────────────────────────────────────────────────────────────


def test_a_collection_in_five_accounts_is_fetched_once_for_each_change(tmp_path: Path) -> None:
    people = ("alice", "bob", "carol", "dan", "eve", "mallory")
    users = {name: f"{name}-secret" for name in (*people, "team")}
    rights = RIGHTS + "[team]\nuser: alice|bob|carol|dan|eve\ncollection: team/.+\npermissions: rw\n"
    with radicale(tmp_path / "dav", users=users, rights=rights) as dav, proxy(dav.url) as line:
        book = dav.make_book("Contacts", user="team")
        shown = book.replace(dav.url, line.url)
        text = "".join(
            ACCOUNT.format(name=name).replace(f'"{name}@', '"alice@') + source(name, "carddav", shown, name)
            for name in people
        )
        with place(tmp_path, text, users) as made:
            dav.put(book + "ada.vcf", CARD.format(uid="ada", tag=TAG), user="team")
            seeing = people[:-1]
            made.sync(*seeing)
            made.sync(*seeing)
            read: list[str] = []

            def watch(asked: Asked) -> None:
                if asked.method == "GET" or b"multiget" in asked.body:
                    read.append(asked.method)

            line.trouble = watch
            for title in ("One", "Two"):
                text = dav.send("GET", book + "ada.vcf", user="team").data.decode()
                read.clear()
                lines = [li for li in text.split("\r\n") if not li.startswith("TITLE")]
                dav.put(
                    book + "ada.vcf", "\r\n".join([*lines[:-2], f"TITLE:{title}", *lines[-2:]]), user="team"
                )
                made.sync(*seeing)
                (row,) = made.sf.query_all("SELECT Title FROM Contact")["records"]
                assert row["Title"] == title
                assert read == ["REPORT"]
            report = made.engine.sync(["mallory"])
            assert [e["code"] for e in report["errors"]] != []
            assert made.engine.queue() == []
