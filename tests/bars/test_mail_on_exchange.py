"""Mail on Exchange and the CRM, end to end; and one message in two mailboxes that speak different protocols."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import Cli
from tests.bars.delegates import ACCOUNT, source
from tests.bars.office import seated
from tests.bars.test_mailboxes import mail
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.ews.person import EwsReader
from tests.servers.ews.server import EwsServer, ews

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(300)]
ALICE, BOB = "alice@example.com", "bob@example.com"
MAIL_ONLY = 'collections = ["Mail"]\nmax_attachment = "1 MB"'


@dataclass
class Desk:
    exchange: EwsServer
    imap: Dovecot
    crm: EmbeddedCrm
    cli: Cli
    sf: Any
    alice: EwsReader

    def rows(self, table: str, fields: str) -> list[dict[str, Any]]:
        found = self.sf.query_all(f"SELECT {fields} FROM {table}")["records"]
        return [{k: v for k, v in row.items() if k != "attributes"} for row in found]

    def activity(self, fields: str) -> dict[str, Any]:
        (row,) = self.rows("EmailMessage", fields)
        return row

    def sync(self, *names: str) -> Any:
        answer = self.cli.ok("sync", *names)
        assert answer["errors"] == []
        return answer

    def quiet(self) -> None:
        assert self.sync()["writes"] == 0
        assert self.exchange.outbox == []
        assert self.exchange.operations.forced == []


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        exchange = stack.enter_context(ews(ALICE))
        imap = stack.enter_context(dovecot())
        crm = stack.enter_context(embedded_crm(sharing={"Contact": "read", "Lead": "read"}))
        hers = ACCOUNT.format(name="alice") + source("alice", "ews", exchange.url, ALICE, MAIL_ONLY)
        his = ACCOUNT.format(name="bob") + source("bob", "imap", imap.url, BOB)
        passwords = {ALICE: "secret", BOB: imap.users[BOB]}
        cli, sf = stack.enter_context(seated(tmp_path, crm, hers + his, passwords))
        alice = EwsReader(exchange.place, exchange.place.mailboxes[ALICE])
        yield Desk(exchange, imap, crm, cli, sf, alice)


def test_from_the_tag_to_the_activity_and_back(made: Desk) -> None:
    deal = made.sf.Account.create({"Name": "Acme deal"})["id"]
    ada = made.sf.Contact.create({"LastName": "Lovelace", "Email": "ada@example.com"})["id"]
    made.alice.arrives(mail(), "CRM/Acme deal", "VIP")
    before = made.alice.unmapped("one@mail.example.com")
    made.sync()
    found = made.activity("Id, Subject, FromAddress, MessageIdentifier, RelatedToId, Incoming, Status")
    assert (found["Subject"], found["FromAddress"], found["Incoming"]) == ("Offer", "ada@example.com", True)
    assert (found["MessageIdentifier"], found["RelatedToId"]) == ("one@mail.example.com", deal)
    assert ada in {r["RelationId"] for r in made.rows("EmailMessageRelation", "RelationId")}
    assert [r["Name"] for r in made.rows("Attachment", "Name")] == ["Offer.pdf"]
    made.quiet()
    other = made.sf.Account.create({"Name": "Beta deal"})["id"]
    made.sf.EmailMessage.update(found["Id"], {"RelatedToId": other})
    made.sync()
    (item,) = made.alice.items("one@mail.example.com")
    assert item.folder.name == "Beta deal"
    assert made.alice.unmapped("one@mail.example.com") == before
    made.quiet()


def test_one_message_over_two_protocols_is_one_activity_with_both_people(made: Desk) -> None:
    made.alice.arrives(mail(), "Inbox", "CRM")
    made.imap.arrives(BOB, mail(), "$CRM")
    made.sync("alice")
    made.sync("bob")
    made.sync()
    activity = made.activity("Id, MessageIdentifier")
    assert activity["MessageIdentifier"] == "one@mail.example.com"
    people = {r["RelationId"] for r in made.rows("EmailMessageRelation", "RelationId")}
    assert {made.crm.alice.id, made.crm.bob.id} <= people
    made.quiet()


def test_both_at_once_make_one_activity(made: Desk) -> None:
    made.imap.arrives(BOB, mail(), "$CRM")
    made.alice.arrives(mail(), "Inbox", "CRM")
    made.sync()
    made.sync()
    made.activity("Id")
    made.quiet()
