"""Mail and the CRM, kept in step by ``crmsync sync``: a tagged message becomes an activity, and what is said of that
comes back. The person works with a mail programme of the standard library."""

import imaplib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.mail.made import identity
from crmsync.connectors.mail.message import parse
from tests.bars.cli import Cli, until
from tests.bars.office import seated
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(300)]
ALICE, BOB = "alice@example.com", "bob@example.com"
_ACCOUNT = """
[account.{name}]
crm = "main"
crm_user = "{user}"
time_zone = "Europe/Berlin"
{account}

[[account.{name}.source]]
type = "imap"
url = "{url}"
username = "{user}"
password_file = "{name}-password"
{source}
"""


@dataclass
class Desk:
    directory: Path
    server: Dovecot
    crm: EmbeddedCrm
    cli: Cli
    sf: Any

    # ── The person ───────────────────────────────────────────────────────────────────────────────────────────

    def put(self, message: EmailMessage, folder: str = "INBOX", *flags: str, user: str = ALICE) -> str:
        """Its Message-ID without brackets."""
        data = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self.server.arrives(user, data, " ".join(flags), folder)
        return str(message["Message-ID"]).strip("<>")

    def mark(self, id: str, sign: str, flag: str, *, user: str = ALICE) -> None:
        with self.server.session(user) as mail:
            for folder, uid, _ in self._at(mail, id):
                mail.select(f'"{folder}"')
                mail.uid("STORE", uid, f"{sign}FLAGS", f"({flag})")

    def move(self, id: str, folder: str) -> None:
        with self.server.session() as mail:
            ((here, uid, _),) = self._at(mail, id)
            mail.create(f'"{folder}"')
            mail.select(f'"{here}"')
            assert mail._simple_command("UID", "MOVE", uid, f'"{folder}"')[0] == "OK"  # type: ignore[attr-defined]

    def expunge(self, id: str) -> None:
        with self.server.session() as mail:
            for folder, uid, _ in self._at(mail, id):
                mail.select(f'"{folder}"')
                mail.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
                mail.expunge()

    def at(self, id: str, *, user: str = ALICE) -> list[tuple[str, frozenset[str]]]:
        """Folders in which the message stands, with its flags there."""
        with self.server.session(user) as mail:
            return [(folder, flags) for folder, _, flags in self._at(mail, id)]

    def text(self, id: str) -> bytes:
        with self.server.session() as mail:
            folder, uid, _ = self._at(mail, id)[0]
            mail.select(f'"{folder}"', readonly=True)
            return bytes(mail.uid("FETCH", uid, "(BODY.PEEK[])")[1][0][1])

    def _at(self, mail: imaplib.IMAP4, id: str) -> list[tuple[str, str, frozenset[str]]]:
        found = []
        for line in mail.list()[1]:
            told = re.fullmatch(rb'\((.*?)\) "/" "?(.*?)"?', line)
            if told is None or b"\\Noselect" in told[1]:
                continue
            folder = told[2].decode()
            mail.select(f'"{folder}"', readonly=True)
            for uid in mail.uid("SEARCH", "HEADER", "MESSAGE-ID", f'"{id}"')[1][0].split():
                flags = imaplib.ParseFlags(mail.uid("FETCH", uid, "(FLAGS)")[1][0])
                words = frozenset(f.decode() for f in flags) - {"\\Recent"}
                found.append((folder, uid.decode(), words))
        return found

    # ── The CRM ──────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, table: str, fields: str, where: str = "") -> list[dict[str, Any]]:
        query = f"SELECT {fields} FROM {table}{where and ' WHERE ' + where}"
        return [
            {k: v for k, v in r.items() if k != "attributes"} for r in self.sf.query_all(query)["records"]
        ]

    def activity(self) -> dict[str, Any]:
        (row,) = self.rows("EmailMessage", _FIELDS)
        return row

    def sync(self, *arguments: str) -> Any:
        return self.cli.ok("sync", *arguments)

    def quiet(self) -> None:
        answer = self.sync()
        assert (answer["writes"], answer["errors"]) == (0, [])


_FIELDS = (
    "Id, Subject, TextBody, HtmlBody, FromAddress, ToAddress, CcAddress, MessageDate, MessageIdentifier, "
    "ThreadIdentifier, Incoming, Status, RelatedToId"
)


@contextmanager
def desk(
    directory: Path, *, people: Sequence[str] = ("alice",), account: str = "", source: str = "", **crm: Any
) -> Iterator[Desk]:
    with ExitStack() as stack:
        server = stack.enter_context(dovecot())
        made = stack.enter_context(embedded_crm(**crm))
        logins = {name: server.login(f"{name}@example.com") for name in people}
        accounts = "".join(
            _ACCOUNT.format(name=name, user=user, url=server.url, account=account, source=source)
            for name, (user, _) in logins.items()
        )
        passwords = {name: password for name, (_, password) in logins.items()}
        cli, sf = stack.enter_context(seated(directory, made, accounts, passwords))
        yield Desk(directory, server, made, cli, sf)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def offer(
    number: int = 1, *, to: str = ALICE, sender: str = "ada@customer.example", answer: str = ""
) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = f"<offer-{number}@customer.example>"
    message["From"] = f"Ada Lovelace <{sender}>"
    message["To"] = f"{to}, Grace <grace@customer.example>"
    message["Cc"] = "nobody@elsewhere.example"
    message["Date"] = format_datetime(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    message["Subject"] = "Prüfung des Angebots"
    if answer:
        message["In-Reply-To"] = message["References"] = f"<{answer}>"
    message.set_content("Dear Alice,\nplease find it below.\n")
    message.add_alternative(
        '<p>Dear <b>Alice</b>,<script>alert(1)</script><img src="http://t.example/x"></p>', subtype="html"
    )
    return message


def people(made: Desk) -> dict[str, str]:
    ada = made.sf.Contact.create({"LastName": "Lovelace", "Email": "ada@customer.example"})
    grace = made.sf.Lead.create({"LastName": "Hopper", "Company": "Navy", "Email": "grace@customer.example"})
    return {"ada": ada["id"], "grace": grace["id"]}


def test_from_the_tag_to_the_activity_and_back(made: Desk) -> None:
    known = people(made)
    deal = made.sf.Opportunity.create(
        {"Name": "Acme deal", "StageName": "Prospecting", "CloseDate": "2026-12-31"}
    )
    message = offer()
    message.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="Offer.pdf")
    id = made.put(message, "INBOX", "$CRM")
    made.put(offer(2))
    before = made.text(id)
    made.sync()
    row = made.activity()
    assert row["Subject"] == "Prüfung des Angebots"
    assert row["TextBody"] == "Dear Alice,\nplease find it below."
    assert "<b>Alice</b>" in row["HtmlBody"]
    assert "script" not in row["HtmlBody"]
    assert "img" not in row["HtmlBody"]
    assert row["FromAddress"] == "ada@customer.example"
    assert set(re.split(r"[;,] ?", row["ToAddress"])) == {ALICE, "grace@customer.example"}
    assert row["CcAddress"] == "nobody@elsewhere.example"
    assert row["MessageDate"].startswith("2026-03-02T09:30:00")
    assert row["MessageIdentifier"].strip("<>") == row["ThreadIdentifier"].strip("<>") == id
    assert row["Incoming"] is True
    linked = {r["RelationId"] for r in made.rows("EmailMessageRelation", "RelationId", "RelationId != null")}
    assert set(known.values()) <= linked
    assert [f["Name"] for f in made.rows("Attachment", "Name")] == ["Offer.pdf"]
    assert made.at(id) == [("INBOX", {"$CRM"})]  # and not as seen
    made.quiet()

    made.move(id, "CRM/Acme deal")
    made.sync()
    assert made.activity()["RelatedToId"] == deal["id"]
    made.quiet()
    other = made.sf.Account.create({"Name": "Babbage Inc."})
    made.sf.EmailMessage.update(row["Id"], {"RelatedToId": other["id"]})
    made.sync()
    ((folder, _),) = made.at(id)
    assert folder.startswith(
        "CRM/Babbage Inc"
    )  # how a dot is written in a folder's name is the server's affair
    made.quiet()

    made.sf.EmailMessage.delete(row["Id"])
    made.sync()
    assert made.at(id) == [("INBOX", set())]
    assert made.text(id) == before
    made.quiet()
    assert made.rows("EmailMessage", "Id") == []


def test_a_deleted_message_leaves_the_activity_alone_and_an_untagged_one_too(made: Desk) -> None:
    gone, untagged = made.put(offer(1), "INBOX", "$CRM"), made.put(offer(2), "INBOX", "$CRM")
    made.sync()
    made.expunge(gone)
    made.mark(untagged, "-", "$CRM")
    made.sync()
    assert len(made.rows("EmailMessage", "Id")) == 2
    made.quiet()
    made.mark(untagged, "+", "$CRM")
    made.sync()
    assert len(made.rows("EmailMessage", "Id")) == 2


def test_a_copy_in_the_folder_is_the_same_item(made: Desk) -> None:
    made.sf.Account.create({"Name": "Acme"})
    id = made.put(offer(), "INBOX", "$CRM")
    made.put(offer(), "CRM/Acme")
    made.sync()
    assert made.activity()["RelatedToId"]
    assert sorted(folder for folder, _ in made.at(id)) == ["CRM/Acme", "INBOX"]
    made.quiet()


def test_one_message_of_two_people_is_one_activity(tmp_path: Path) -> None:
    with desk(tmp_path, people=("alice", "bob")) as made:
        for user in (ALICE, BOB):
            made.put(offer(to="team@example.com"), "INBOX", "$CRM", user=user)
        made.sync()
        made.activity()
        people_on_it = {r["RelationId"] for r in made.rows("EmailMessageRelation", "RelationId")}
        assert {made.crm.alice.id, made.crm.bob.id} <= people_on_it
        made.quiet()


def test_the_flag_is_what_is_left_to_do(made: Desk) -> None:
    id = made.put(offer(), "INBOX", "$CRM", "\\Seen")
    made.sync()
    assert made.activity()["Status"] == "1"  # read: nothing is left to do
    made.mark(id, "+", "\\Flagged")
    made.sync()
    assert made.activity()["Status"] == "0"
    made.sf.EmailMessage.update(made.activity()["Id"], {"Status": "2"})
    made.sync()
    assert made.at(id) == [("INBOX", {"$CRM", "\\Seen"})]
    made.quiet()


def test_what_a_delegate_tags_is_the_owners(tmp_path: Path) -> None:
    """The tag travels through the server; both accounts sync, and only the owner's brings the message into the CRM."""
    with desk(tmp_path, people=("alice", "bob")) as made:
        id = made.put(offer(to=BOB), "INBOX", user=BOB)
        made.server.share("INBOX", owner=BOB, to=ALICE)
        with made.server.session(ALICE) as mail:
            assert mail.select(f"shared/{BOB}")[0] == "OK"
            assert mail.uid("STORE", "1", "+FLAGS", "($CRM)")[0] == "OK"
        made.sync()
        made.activity()
        assert made.cli.ok("explain", id)["account"] == "bob"
        made.quiet()


def test_answers_in_a_tagged_conversation_are_tagged(tmp_path: Path) -> None:
    with desk(tmp_path, source="track_answers = true") as made:
        first = made.put(offer(1), "INBOX", "$CRM")
        made.sync()
        answer = made.put(offer(2, sender=ALICE, to="ada@customer.example", answer=first), "Sent")
        made.put(offer(3), "INBOX")
        made.sync("--dry-run")
        assert made.at(answer) == [("Sent", set())]
        made.sync()
        assert made.at(answer) == [("Sent", {"$CRM"})]
        rows = made.rows("EmailMessage", "MessageIdentifier, ThreadIdentifier, Incoming")
        assert {r["ThreadIdentifier"].strip("<>") for r in rows} == {first}
        assert {r["Incoming"] for r in rows} == {True, False}
        made.quiet()


def test_a_large_attachment_is_named_and_stays(tmp_path: Path) -> None:
    with desk(tmp_path, source='max_attachment = "10KB"') as made:
        message = offer()
        message.add_attachment(b"x" * 20_000, maintype="application", subtype="zip", filename="Plans.zip")
        made.put(message, "CRM")
        made.sync()
        assert made.rows("Attachment", "Name") == []
        assert "Plans.zip (20 KB)" in made.activity()["TextBody"]


def test_a_lost_state_makes_no_second_activity(made: Desk) -> None:
    made.put(offer(), "INBOX", "$CRM")
    made.sync()
    before = made.activity()
    for part in ("", "-wal", "-shm"):
        (made.directory / "state" / f"state.db{part}").unlink(missing_ok=True)
    made.cli("sync")
    assert made.activity() == before
    made.quiet()


def test_the_service_hears_of_mail_at_once(made: Desk) -> None:
    """By IDLE: its next look of its own would come in an hour."""
    with made.cli.config.open("a") as config:
        config.write('\n[schedule]\ninterval = "1h"\nsettle = "1s"\n')
    with made.cli._process(["run"]) as service:
        until(lambda: made.cli("status").code == 0 and made.cli("status").json["accounts"][0]["last_success"])
        made.put(offer(), "INBOX", "$CRM")
        until(lambda: made.rows("EmailMessage", "Id"))
        service.terminate()
        service.communicate(timeout=30)
    assert service.returncode == 0


def test_check_says_what_is_there_and_leaves_nothing_behind(made: Desk) -> None:
    lines = made.cli.ok("check", "--write")["checks"]
    assert any("Mail (email)" in line["message"] for line in lines)
    assert [line for line in lines if not line["ok"]] == []
    with made.server.session() as mail:
        assert mail.select("INBOX")[1] == [b"0"]
        assert not any(b"CRM" in line for line in mail.list()[1])
    assert made.rows("EmailMessage", "Id") == []
    (made.directory / "alice-password").write_text("wrong")
    answer = made.cli("check")
    assert answer.code == 1
    assert "refuses the login" in answer.out


def _corpus() -> list[Path]:
    folder = (
        Path(os.environ.get("CRMSYNC_CORPORA") or f"{os.environ.get('CRMSYNC_SHARED', '')}/corpora") / "mail"
    )
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.skipif(not _corpus(), reason="CRMSYNC_CORPORA names no folder of real items")
def test_real_mail_makes_the_trip_and_is_not_altered(made: Desk) -> None:
    """Every one of them becomes an activity, or says why not; on the server each keeps its bytes and its flags."""
    for path in _corpus():
        made.server.arrives(ALICE, re.sub(rb"\r?\n", b"\r\n", path.read_bytes()), "$CRM")
    before = whole_inbox(made)
    made.cli("sync")
    assert whole_inbox(made) == before
    texts = [path.read_bytes() for path in _corpus()]
    ids = {identity(parse(text).message_id, text) for text in texts}  # some are other forms of one message
    assert {row["MessageIdentifier"] for row in made.rows("EmailMessage", "MessageIdentifier")} == ids
    assert made.cli.ok("queue") == []
    assert made.sync()["writes"] == 0


def whole_inbox(made: Desk) -> dict[bytes, bytes]:
    with made.server.session() as mail:
        count = int(mail.select("INBOX", readonly=True)[1][0])
        answers = mail.fetch(f"1:{count}", "(FLAGS BODY.PEEK[])")[1]
    return {
        a[0].replace(b" \\Recent", b"").replace(b"\\Recent ", b""): a[1]
        for a in answers
        if isinstance(a, tuple)
    }
