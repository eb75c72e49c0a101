"""Two people's mailboxes and the CRM: what is one for both, and what a mailbox does behind our back."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import Cli
from tests.bars.office import seated
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(300)]
ALICE, BOB = "alice@example.com", "bob@example.com"
_ACCOUNT = """
[account.{name}]
crm = "main"
crm_user = "{name}@example.com"
addresses = ["{name}@example.com"]

[[account.{name}.source]]
type = "imap"
url = "{url}"
username = "{name}@example.com"
password_file = "{name}-password"
{more}
"""


@dataclass
class Desk:
    directory: Path
    server: Dovecot
    crm: EmbeddedCrm
    cli: Cli
    sf: Any

    # what people do with their mail programmes

    def arrives(self, mail: bytes, *users: str, folder: str = "INBOX", flags: str = "") -> None:
        for user in users or (ALICE,):
            self.server.arrives(user, mail, flags, folder)

    def tags(self, *users: str, folder: str = "INBOX") -> None:
        for user in users or (ALICE,):
            self.command(user, folder, "STORE", "1:*", "+FLAGS", "($CRM)")

    def command(self, user: str, folder: str, name: str, *arguments: str) -> list[Any]:
        with self.server.session(user) as mailbox:
            assert mailbox.select(f'"{folder}"')[0] == "OK"
            kind, data = getattr(mailbox, name.lower())(*arguments)
            assert kind == "OK", data
            return list(data)

    def raw(self, user: str = ALICE, folder: str = "INBOX") -> list[tuple[str, bytes]]:
        """Flags and bytes of every message in a folder."""
        with self.server.session(user) as mailbox:
            if mailbox.select(f'"{folder}"', readonly=True)[0] != "OK":
                return []
            _, data = mailbox.fetch("1:*", "(FLAGS BODY.PEEK[])")
            pairs = [part for part in data if isinstance(part, tuple)]
            rest = [part.decode() for part in data if isinstance(part, bytes)]
        flags = [
            (re.search(r"FLAGS \(([^)]*)\)", p[0].decode() + r) or ["", ""])[1]
            for p, r in zip(pairs, rest, strict=False)
        ]
        return [(f.replace("\\Recent", "").strip(), p[1]) for f, p in zip(flags, pairs, strict=True)]

    # what stands in the CRM

    def rows(self, table: str, fields: str, where: str = "") -> list[dict[str, Any]]:
        found = self.sf.query_all(f"SELECT {fields} FROM {table}{where and ' WHERE ' + where}")["records"]
        return [{k: v for k, v in row.items() if k != "attributes"} for row in found]

    def activity(self, fields: str = "Id, Subject, Status, RelatedToId") -> dict[str, Any]:
        (row,) = self.rows("EmailMessage", fields)
        return row

    def people(self, message: str) -> set[str]:
        where = f"EmailMessageId = '{message}'"
        return {r["RelationId"] for r in self.rows("EmailMessageRelation", "RelationId", where)}

    def add(self, table: str, **fields: Any) -> str:
        made: dict[str, Any] = getattr(self.sf, table).create(fields)
        return str(made["id"])

    # what the service does

    def sync(self, *names: str) -> Any:
        answer = self.cli.ok("sync", *names)
        assert answer["errors"] == []
        return answer

    def quiet(self) -> None:
        assert self.sync()["writes"] == 0


@contextmanager
def desk(directory: Path, names: Sequence[str] = ("alice",), more: str = "") -> Iterator[Desk]:
    with ExitStack() as stack:
        server = stack.enter_context(dovecot())
        crm = stack.enter_context(embedded_crm(sharing={"Contact": "read", "Lead": "read"}))
        accounts = "".join(_ACCOUNT.format(name=n, url=server.url, more=more) for n in names)
        passwords = {n: server.users[f"{n}@example.com"] for n in names}
        cli, sf = stack.enter_context(seated(directory, crm, accounts, passwords))
        yield Desk(directory, server, crm, cli, sf)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, ("alice", "bob")) as made:
        yield made


def mail(subject: str = "Offer", id: str = "one@mail.example.com", **headers: str) -> bytes:
    message = EmailMessage()
    wanted = {"From": "Ada Lovelace <ada@example.com>", "To": "alice@example.com, Grace <grace@example.com>"}
    wanted |= {"Date": "Mon, 2 Mar 2026 10:15:01 +0100", "Message-ID": f"<{id}>", "Subject": subject}
    for name, value in {**wanted, **{k.replace("_", "-"): v for k, v in headers.items()}}.items():
        message[name] = value
    message.set_content("Dear Alice,\n\nhere it is.\n")
    message.add_alternative("<p>Dear Alice,</p><script>alert(1)</script><p>here it is.</p>", subtype="html")
    message.add_attachment(b"a file", maintype="application", subtype="pdf", filename="Offer.pdf")
    message.set_boundary("one")  # the library draws one for each message
    next(message.iter_parts()).set_boundary("two")
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_a_tagged_message_becomes_an_activity_with_people_and_files(made: Desk) -> None:
    ada = made.add("Contact", LastName="Lovelace", Email="ada@example.com")
    grace = made.add("Lead", LastName="Hopper", Company="Navy", Email="grace@example.com")
    sent = mail()
    made.arrives(sent)
    made.sync()
    assert made.rows("EmailMessage", "Id") == []
    made.tags()
    made.sync()
    found = made.activity(
        "Id, Subject, TextBody, HtmlBody, FromAddress, ToAddress, MessageDate, MessageIdentifier, Incoming"
    )
    message = found.pop("Id")
    assert "script" not in found["HtmlBody"]
    assert found["TextBody"].startswith("Dear Alice,")
    assert (found["Subject"], found["FromAddress"], found["Incoming"]) == ("Offer", "ada@example.com", True)
    assert (found["MessageDate"], found["MessageIdentifier"]) == (
        "2026-03-02T09:15:01.000+0000",
        "one@mail.example.com",
    )
    assert found["ToAddress"] == "alice@example.com;grace@example.com"
    assert made.people(message) == {ada, grace, made.crm.alice.id}
    (file,) = made.rows("Attachment", "Id, ParentId, Name, BodyLength")
    assert (file["ParentId"], file["Name"], file["BodyLength"]) == (message, "Offer.pdf", 6)
    made.quiet()
    assert made.raw() == [("$CRM", sent)]  # unread, and not a byte is another


def test_whoever_is_known_later_is_related_then(made: Desk) -> None:
    made.arrives(mail())
    made.arrives(mail("Other", "two@mail.example.com", From="eve@example.com", To="alice@example.com"))
    made.tags()
    made.sync()
    message = made.rows("EmailMessage", "Id", "Subject = 'Offer'")[0]["Id"]
    assert made.people(message) == {made.crm.alice.id}
    ada = made.add("Contact", LastName="Lovelace", Email="Ada@Example.com")
    made.sync()
    assert made.people(message) == {made.crm.alice.id, ada}
    grace = made.add("Lead", LastName="Hopper", Company="Navy", Email="grace@example.com")
    nobody = made.add("Lead", LastName="Nemo", Company="Navy", Email="nemo@example.com")
    made.sync()
    assert made.people(message) == {made.crm.alice.id, ada, grace}
    assert made.rows("EmailMessageRelation", "Id", f"RelationId = '{nobody}'") == []
    made.quiet()
    assert made.raw()[0][1] == mail()


def test_a_message_in_the_folder_is_tagged_and_the_folder_says_what_it_is_about(made: Desk) -> None:
    deal = made.add("Opportunity", Name="Acme deal", StageName="Prospecting", CloseDate="2026-12-01")
    made.arrives(mail(), folder="INBOX")
    made.arrives(mail(), folder="CRM/Acme deal")  # the same one, copied there
    made.sync()
    assert made.activity()["RelatedToId"] == deal
    made.quiet()


def test_the_same_message_in_two_mailboxes_is_one_activity_with_both_people(two: Desk) -> None:
    two.arrives(mail(To="everyone@lists.example.com"), ALICE, BOB)
    two.tags(ALICE, BOB)
    two.sync("alice")
    two.sync("bob")
    message = two.activity()["Id"]
    assert two.people(message) == {two.crm.alice.id, two.crm.bob.id}
    two.quiet()


def test_a_deleted_activity_takes_the_tags_and_leaves_the_messages(two: Desk) -> None:
    two.arrives(mail(), ALICE, BOB)
    two.tags(ALICE, BOB)
    two.sync()
    two.sync()
    two.sf.EmailMessage.delete(two.activity()["Id"])
    two.sync()
    for user in (ALICE, BOB):
        ((flags, raw),) = two.raw(user)
        assert "$CRM" not in flags
        assert raw == mail()
    two.quiet()
    assert two.rows("EmailMessage", "Id") == []


def test_a_deleted_message_keeps_its_activity_and_a_moved_one_stays_linked(made: Desk) -> None:
    made.arrives(mail())
    made.arrives(mail("Second", "two@mail.example.com"))
    made.tags()
    made.sync()
    made.command(ALICE, "INBOX", "COPY", "1", "Sent")
    made.command(ALICE, "INBOX", "STORE", "1:2", "+FLAGS", "(\\Deleted)")
    made.command(ALICE, "INBOX", "EXPUNGE")
    made.sync()
    assert len(made.rows("EmailMessage", "Id")) == 2
    first = made.rows("EmailMessage", "Id", "Subject = 'Offer'")[0]["Id"]
    made.sf.EmailMessage.update(first, {"Status": "0"})
    made.sync()
    ((flags, _),) = made.raw(folder="Sent")
    assert {"$CRM", "\\Flagged"} <= set(flags.split())


def test_a_new_uidvalidity_is_no_news(made: Desk) -> None:
    made.arrives(mail(), folder="Projects")
    made.tags(folder="Projects")
    made.sync()
    before = made.activity()
    with made.server.session() as mailbox:
        mailbox.create("Elsewhere")
        mailbox.select("Projects")
        mailbox.copy("1", "Elsewhere")
        mailbox.close()
        mailbox.delete("Projects")
        mailbox.rename("Elsewhere", "Projects")
    made.sync()
    assert made.activity() == before
    made.quiet()
