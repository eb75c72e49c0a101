"""What must never be told, of mail and of an Exchange mailbox: see ``test_canary``."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.bars.canary import Tape
from tests.bars.delegates import ACCOUNT, source
from tests.bars.office import client, configured
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.ews.person import EwsPerson, EwsReader
from tests.servers.ews.server import EwsServer, Reply, ews, fault
from tests.servers.proxy import Proxy, proxy

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(300)]

EWS_PASSWORD, IMAP_PASSWORD, WRONG = "canary-ews-Rt6#b", "canary-imap-Lk9#c", "canary-wrong-Yp2%w"
TEXT = "canarytext"  # in titles, bodies, file names
HOST = "canary-host.example"  # in addresses of people
ALICE, BOB = f"alice@{HOST}", f"bob@{HOST}"
CRM_USERS = "@example.com"
# that the commands did meet what they were to keep silent about
EXCHANGE_SAYS = (
    "ErrorSchemaValidation",
    "ErrorInternalServerError",
    "ErrorAccessDenied",
    "ErrorSomethingNew",
)
HAPPENED = (
    *(*EXCHANGE_SAYS[:3], "answers with a SOAP fault", "ErrorItemSavePropertyError", "slow down", "too_long"),
    *("refuses the login (401)", "password, and whether the server wants one", "service.ready"),
)


@dataclass
class Stage:
    exchange: EwsServer
    imap: Dovecot
    crm: EmbeddedCrm
    crm_proxy: Proxy
    sf: Any
    tape: Tape
    reader: EwsReader

    def person(self, folder: str) -> EwsPerson:
        return EwsPerson(self.exchange.place, self.exchange.place.mailboxes[ALICE].known(folder))

    def add(self, folder: str, **texts: str) -> str:
        person = self.person(folder)
        id = person.add(TEXT)
        person.set(id, **texts)
        person.tag(id, "CRM")
        return id

    def mail_to_bob(self, id: str) -> None:
        self.imap.arrives(BOB, _mail(id), "$CRM")

    def secrets(self) -> dict[str, str]:
        tokens = {f"token {n}": t for n, t in enumerate(self.crm_proxy.credentials - {""})}
        assert tokens, "no session of the CRM was seen"
        basic = {
            f"basic of {user} {word[7:11]}": base64.b64encode(f"{user}:{word}".encode()).decode()
            for user, word in ((ALICE, EWS_PASSWORD), (BOB, IMAP_PASSWORD), (ALICE, WRONG))
        }
        named = {"Exchange password": EWS_PASSWORD, "IMAP password": IMAP_PASSWORD, "wrong password": WRONG}
        key = (self.tape.config.parent / "state" / "link.key").read_text().strip()
        crm = {"CRM password": self.crm.sync.password, "client secret": self.crm.client_secret}
        return {**named, **basic, **tokens, **crm, "key": key}


def _mail(id: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = f"Ada {TEXT} <ada@{HOST}>", f"alice@{HOST}, Bob <{BOB}>"
    message["Subject"], message["Message-ID"] = f"{TEXT} offer", f"<{id}@mail.example.com>"
    message["Date"] = "Mon, 2 Mar 2026 10:15:01 +0100"
    message.set_content(f"Dear Alice,\n\n{TEXT} is here: write to grace@{HOST}.\n")
    message.add_attachment(TEXT.encode(), maintype="text", subtype="plain", filename=f"{TEXT}.txt")
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        exchange = stack.enter_context(ews())
        exchange.add(ALICE, EWS_PASSWORD)
        imap = stack.enter_context(dovecot(users={ALICE: "none", BOB: IMAP_PASSWORD}))
        crm = stack.enter_context(embedded_crm())
        crm_proxy = stack.enter_context(proxy(crm.url))
        hers = ACCOUNT.format(name="alice") + source("alice", "ews", exchange.url, ALICE)
        his = ACCOUNT.format(name="bob") + source("bob", "imap", imap.url, BOB)
        passwords = {ALICE: EWS_PASSWORD, BOB: IMAP_PASSWORD}
        config = configured(tmp_path, crm, hers + his, passwords, crm_proxy.url)
        sf = client(crm, crm.sync)
        with sf.session:
            reader = EwsReader(exchange.place, exchange.place.mailboxes[ALICE])
            yield Stage(exchange, imap, crm, crm_proxy, sf, Tape(config), reader)


def _everything_happens(at: Stage) -> None:
    at.sf.Contact.create({"LastName": "Lovelace", "Email": f"ada@{HOST}"})
    ada = at.add("contacts", GivenName="Ada", JobTitle=TEXT, CompanyName=TEXT)
    at.add("contacts", GivenName="Long", JobTitle=f"{TEXT}{'x' * 300}")
    meeting = at.add("calendar", Location=TEXT)
    at.add("tasks")
    at.mail_to_bob("one")
    at.reader.arrives(_mail("two"), "Inbox", "CRM")
    tape = at.tape
    tape.run("sync", "--dry-run", words=True)
    tape.run("check", "--write")
    tape.run("sync", words=True)
    (event,) = at.sf.query("SELECT Id FROM Event")["records"]
    for row in at.sf.query("SELECT Id FROM EmailMessage")["records"]:
        at.sf.EmailMessage.update(row["Id"], {"Subject": f"{TEXT} again"})
    at.sf.Event.update(event["Id"], {"Subject": f"{TEXT} moved", "Location": f"{TEXT} hall"})
    at.person("calendar").set(meeting, Location=f"{TEXT} room")
    tape.run("sync")
    _exchange_says_no(at, event["Id"])
    for command in ("status", "queue", "conflicts", "deletions", "matches"):
        tape.run(command, words=True)
    tape.run("explain", ada)
    tape.run("history", ada)
    at.person("contacts").delete(ada)
    tape.run("sync")
    tape.run("undo", "2")
    tape.run("reconcile")
    _nobody_is_let_in(at)
    with tape.service():
        at.mail_to_bob("three")
        at.reader.arrives(_mail("four"), "Inbox", "CRM")
        tape.run("sync")
        tape.run("status")
    assert len(at.sf.query("SELECT Id FROM EmailMessage")["records"]) == 4
    tape.run("forget", f"ada@{HOST}", "--everywhere")


def _exchange_says_no(at: Stage, event: str) -> None:
    """In words that quote what it was sent."""
    words = f"The value 'it's {TEXT}' of <grace@{HOST}> isn't valid according to its datatype"
    for code in (
        "ErrorSchemaValidation",
        "ErrorInternalServerError",
        "ErrorAccessDenied",
        "ErrorSomethingNew",
    ):
        at.sf.Event.update(event, {"Description": f"{TEXT} {code}"})
        reply = Reply(500, fault(code, words))
        at.exchange.before = lambda asked, body, reply=reply: reply if asked == "UpdateItem" else None  # type: ignore[misc]
        at.tape.run("retry")
        at.tape.run("sync", words=True)
    at.exchange.before = lambda asked, body: None
    at.exchange.busy("SyncFolderItems", 1000, times=9)
    at.tape.run("sync")
    at.exchange.before = lambda asked, body: None
    at.exchange.fail("UpdateItem", "ErrorItemSavePropertyError", times=9, text=words)
    at.sf.Event.update(event, {"Description": f"{TEXT} at last"})
    at.tape.run("sync", words=True)
    at.exchange.operations.faults.clear()


def _nobody_is_let_in(at: Stage) -> None:
    folder = at.tape.config.parent
    for name in (f"{ALICE}-password", f"{BOB}-password"):
        right = (folder / name).read_text()
        (folder / name).write_text(WRONG)
        at.tape.run("sync")
        at.tape.run("check")
        (folder / name).write_text(right)


def test_no_secret_no_text_and_no_address_of_mail_or_exchange_is_ever_told(at: Stage) -> None:
    _everything_happens(at)
    assert list(at.tape.told(at.secrets(), (TEXT, HOST, CRM_USERS))) == []
    assert [one for one in HAPPENED if one not in at.tape.whole] == []
    explained = [s for s in at.tape.said if "explain" in s.arguments]
    assert any(TEXT in said.out for said in explained)
