"""Mail in the embedded CRM: one message with everybody who is named in it, its files, and what it is about."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from crmsync.connectors.abilities import Probe
from crmsync.connectors.contract import (
    Attachment,
    Columns,
    Create,
    Done,
    Gone,
    Kind,
    Outcome,
    Record,
    Refused,
    Selection,
    Update,
)
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.salesforce import mail_fields
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.reading import SalesforceConnector
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS, TABLES
from tests.connectors.salesforce.stub import Reply, Request, described, refused, serving, source
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

MAIL: Columns = {
    "subject": "Offer",
    "body_text": "Dear Ada,\nhere it is.",
    "body_html": "<p>Dear Ada,<br>here it is.</p>",
    "from": "alice@example.com",
    "to": ("ada@example.com", "nobody@example.com"),
    "cc": ("grace@example.com",),
    "sent_at": datetime(2026, 3, 2, 9, 15, 1, tzinfo=UTC),
    "message_id": "one@mail.example.com",
    "thread": "first@mail.example.com",
    "direction": "outgoing",
    "status": "completed",
    "regarding": None,
}


class Office:
    """The embedded CRM with Ada, a contact, and Grace, a lead."""

    def __init__(self, crm: EmbeddedCrm) -> None:
        self.crm, self.store = crm, crm.crm.store
        self.sync = self.store.caller(crm.sync.id)
        auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
        self.source = SalesforceSource(crm.url, auth=auth, fields=DEFAULT_FIELDS, external_id="Crmsync_Id__c")
        self.ada = self.add("Contact", LastName="Lovelace", Email="Ada@example.com")
        self.grace = self.add("Lead", LastName="Hopper", Company="Navy", Email="grace@example.com")

    def add(self, table: str, **fields: Any) -> str:
        (saved,) = self.store.create(self.sync, [(table, fields)])
        return str(saved.id)  # type: ignore[union-attr]

    @property
    def connector(self) -> SalesforceConnector:
        (collection,) = (c for c in self.source.collections() if Kind.EMAIL in c.kinds)
        return self.source.open(collection)

    def apply(self, *writes: Create | Update) -> list[Outcome]:
        return list(self.connector.apply(writes))

    def made(self, create: Create) -> Record:
        (done,) = self.apply(create)
        assert isinstance(done, Done), done
        (record,) = self.connector.fetch([done.id])
        assert isinstance(record, Record)
        return record

    def rows(self, soql: str) -> list[dict[str, Any]]:
        client = self.source._client
        return [{k: v for k, v in row.items() if k != "attributes"} for row in client.rows(soql, "x")]

    def people(self, message: str) -> set[tuple[str, str]]:
        where = f"EmailMessageId = '{message}'"
        rows = self.rows(f"SELECT RelationId, RelationType FROM EmailMessageRelation WHERE {where}")
        assert len(rows) == len({r["RelationId"] for r in rows})
        return {(r["RelationId"], r["RelationType"]) for r in rows}

    def create(self, key: str = "key-1", files: tuple[Attachment, ...] = (), **changed: Any) -> Create:
        columns = {**MAIL, **changed}
        original = Record("<x>", "1", Kind.EMAIL, columns, attachments=files)
        return Create(key, Kind.EMAIL, columns, owner=self.crm.alice.id, original=original)


@pytest.fixture
def office() -> Iterator[Office]:
    with embedded_crm() as crm:
        office = Office(crm)
        yield office
        office.source.close()


def file(name: str, content: bytes) -> Attachment:
    return Attachment(name, "text/plain", len(content), lambda: content)


@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_a_message_comes_back_as_it_was_written(office: Office, direction: str) -> None:
    assert office.made(office.create(direction=direction)).columns == {**MAIL, "direction": direction}


def test_everyone_whose_address_occurs_is_related(office: Office) -> None:
    double = office.add("Contact", LastName="Lovelace-King", Email="ada@example.com")
    message = office.made(office.create())
    assert office.people(message.id) == {
        (office.crm.alice.id, "FromAddress"),
        (office.ada, "ToAddress"),
        (double, "ToAddress"),
        (office.grace, "CcAddress"),
    }


def test_whoever_has_a_copy_without_being_named_is_related_too(office: Office) -> None:
    message = office.made(office.create())
    for _ in range(2):
        office.connector.join(message.id, office.crm.bob.id)
        office.connector.join(message.id, office.crm.alice.id)
    assert (office.crm.bob.id, "BccAddress") in office.people(message.id)
    assert len(office.people(message.id)) == 4


def test_whoever_is_known_later_is_related_once(office: Office) -> None:
    message = office.made(office.create())
    before = office.people(message.id)
    double = office.add("Contact", LastName="Lovelace-King", Email="ADA@example.com")
    for _ in range(2):
        office.connector.relate([message])
        assert office.people(message.id) == before | {(double, "ToAddress")}


def test_a_repeated_create_completes_what_an_interrupted_one_has_left_out(office: Office) -> None:
    def broken() -> bytes:
        raise Unreachable("the mail server is gone")

    files = (file("one.txt", b"one"), Attachment("two.txt", "text/plain", 3, broken))
    outcomes = office.connector.apply([office.create(files=files)])
    with pytest.raises(Unreachable):
        next(outcomes)
    files = (file("one.txt", b"one"), file("two.txt", b"two"))
    (again,) = office.apply(office.create(files=files))
    assert isinstance(again, Done)
    assert again.found
    rows = office.rows("SELECT ParentId, Name, BodyLength, ContentType FROM Attachment")
    assert sorted((r["ParentId"], r["Name"], r["BodyLength"]) for r in rows) == [
        (again.id, "one.txt", 3),
        (again.id, "two.txt", 3),
    ]
    assert len(office.people(again.id)) == 3


def test_a_file_that_the_crm_does_not_take_is_said(office: Office) -> None:
    (outcome,) = office.apply(
        office.create(files=(file("large.iso", bytes(40_000_000)), file("empty.txt", b"")))
    )
    assert isinstance(outcome, Refused)
    assert "attachment" in outcome.reason


def test_what_it_is_about_is_found_by_its_name(office: Office) -> None:
    deal = office.add("Opportunity", Name="Acme deal", StageName="Prospecting", CloseDate="2026-12-01")
    office.add("Account", Name="Acme deal")
    message = office.made(office.create(regarding="acme DEAL"))
    assert office.rows("SELECT RelatedToId FROM EmailMessage") == [{"RelatedToId": deal}]
    assert message.columns["regarding"] == "Acme deal"
    office.apply(Update(message.id, message.version, Kind.EMAIL, {"regarding": None}))
    (after,) = office.connector.fetch([message.id])
    assert isinstance(after, Record)
    assert after.columns["regarding"] is None


@pytest.mark.parametrize("names", [(), ("Acme", "Acme")], ids=["unknown", "ambiguous"])
def test_a_name_that_says_nothing_keeps_no_message_back(office: Office, names: tuple[str, ...]) -> None:
    for name in names:
        office.add("Account", Name=name)
    message = office.made(office.create(regarding="Acme"))
    assert message.columns["regarding"] is None
    (done,) = office.apply(Update(message.id, message.version, Kind.EMAIL, {"regarding": "Acme"}))
    assert isinstance(done, Done)


def test_what_is_too_long_for_the_field_is_cut_with_a_word(office: Office) -> None:
    long = {"subject": "s" * 4000, "body_text": "t" * 140_000, "body_html": "<p>" + "h" * 140_000 + "</p>"}
    to = tuple(sorted(f"person{n}@example.com" for n in range(400)))
    written = {**MAIL, **long, "to": to}
    shown = office.connector.project(Kind.EMAIL, written)
    assert office.made(office.create(**long, to=to)).columns == shown
    assert str(shown["body_text"]).endswith(mail_fields.CUT)
    assert shown["body_html"] is None
    assert office.connector.project(Kind.EMAIL, shown) == shown


def test_a_sender_that_is_no_address_to_the_crm_is_left_out(office: Office) -> None:
    assert office.made(office.create(**{"from": "root@localhost"})).columns["from"] is None


def test_messages_of_the_crm_are_told_but_belong_to_nobody(office: Office) -> None:
    connector = office.connector
    message = office.made(office.create())
    owned = Selection(owner=office.crm.alice.id)
    assert [i for p in connector.changes(None, owned) for i in p.items] == []
    (found,) = (i for p in connector.changes(None, Selection()) for i in p.items)
    assert (found.id, message.owner) == (message.id, "")
    assert connector.selected([message.id], owned) == frozenset()
    assert [r.id for r in connector.listing()] == [message.id]
    office.store.delete(office.sync, [message.id])
    assert [type(a) for a in connector.fetch([message.id])] == [Gone]


def test_a_message_is_found_by_its_message_id(office: Office) -> None:
    message = office.made(office.create())
    office.made(office.create("key-2", message_id="other@mail.example.com"))
    probe = Probe(columns={"message_id": "one@mail.example.com"})
    assert [r.id for r in office.connector.search(Kind.EMAIL, [probe])] == [message.id]


def test_a_mail_that_is_logged_as_a_task_is_nothing_to_do(office: Office) -> None:
    office.add("Task", Subject="Email: Offer", TaskSubtype="Email", Status="Completed")
    (collection,) = (c for c in office.source.collections() if Kind.TASK in c.kinds)
    tasks = office.source.open(collection)
    assert [i for p in tasks.changes(None, Selection()) for i in p.items] == []
    assert list(tasks.listing()) == []


def test_an_organisation_without_mail_misses_nothing_else() -> None:
    def script(request: Request) -> Reply:
        kind = next(k for k, table in TABLES.items() if f"/{table}/" in request.path)
        return refused("INVALID_TYPE") if kind is Kind.EMAIL else described(kind)

    with serving(script) as stub, source(stub.url, external_id="") as crm:
        assert [n for n in crm.lacking() if "Email" in n] == ["EmailMessage"]
