"""What must never be told: canaries stand for passwords, tokens and keys, for what people write, and for addresses.
They are searched for in everything that the commands and the service print, whatever goes wrong."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bars.canary import Tape
from tests.bars.office import client, write_config
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.proxy import Proxy, proxy
from tests.servers.radicale import radicale

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]

DAV_PASSWORD, CRM_SECRET = "canary-dav-Zk7#q", "canary-wrong-Yp2%w"
TEXT = "canarytext"  # in notes, descriptions and titles
HOST = "canary-host.example"  # in addresses of people
# that the commands did meet what they were to keep silent about
HAPPENED = (
    *("too_long", "is no e-mail address to the CRM"),
    *(
        "no longer there",
        '"winner": null',
        "was refused (401)",
        "refuses the CRM login",
        "link.key",
        "state_older",
    ),
    *("damaged", "service.ready", "service.stopped"),
)


@dataclass
class Stage:
    directory: Path
    config: Path
    dav: DavServer
    dav_proxy: Proxy
    crm_proxy: Proxy
    crm: EmbeddedCrm
    sf: Any
    book: str
    calendar: str
    tape: Tape

    def run(self, *arguments: str, words: bool = False, useless: bool = False) -> None:
        self.tape.run(*arguments, words=words, useless=useless)

    def card(self, name: str, *lines: str, email: str = "") -> str:
        address = email or f"{name}@{HOST}"
        whole = [f"UID:{name}", f"FN:{TEXT} {name}", f"N:{name};{TEXT};;;", f"EMAIL:{address}", *lines]
        text = "\r\n".join(
            ["BEGIN:VCARD", "VERSION:3.0", *whole, f"NOTE:{TEXT} note", "CATEGORIES:CRM", "END:VCARD"]
        )
        self.dav.put(f"{self.book}{name}.vcf", text + "\r\n")
        return f"{self.book}{name}.vcf"

    def event(self, name: str, *lines: str) -> None:
        head = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//x//EN",
            "BEGIN:VEVENT",
            "DTSTAMP:20260101T000000Z",
        ]
        body = [f"UID:{name}", f"SUMMARY:{TEXT}", f"DESCRIPTION:{TEXT} body", "CATEGORIES:CRM", *lines]
        text = "\r\n".join([*head, *body, "END:VEVENT", "END:VCALENDAR", ""])
        self.dav.send("PUT", f"{self.calendar}{name}.ics", text, headers={"Content-Type": "text/calendar"})

    def secrets(self) -> dict[str, str]:
        user, password = self.dav.login()
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        tokens = {f"token {n}": t for n, t in enumerate(self.crm_proxy.credentials - {""})}
        key = (self.directory / "state" / "link.key").read_text().strip()
        named = {
            "password": password or "",
            "basic": basic,
            "client secret": self.crm.client_secret,
            "key": key,
        }
        return {**named, "CRM password": self.crm.sync.password, "wrong password": CRM_SECRET, **tokens}


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    with (
        radicale(directory / "dav", users={"alice": DAV_PASSWORD, "bob": "none"}) as dav,
        embedded_crm() as crm,
        proxy(dav.url) as dav_proxy,
        proxy(crm.url) as crm_proxy,
    ):
        book, calendar = dav.make_book("Contacts"), dav.make_calendar("Calendar")
        url = dav_proxy.url + dav.principal.format(user="alice")
        lines = ['[account.alice]\ncrm = "main"\ncrm_user = "alice@example.com"']
        for kind in ("carddav", "caldav"):
            login = 'username = "alice"\npassword_file = "alice-password"'
            lines.append(f'[[account.alice.source]]\ntype = "{kind}"\nurl = "{url}"\n{login}')
        lines.append('[crm.main.mapping.contact.email]\nconflict = "ask"')
        config = write_config(directory, dav, crm, crm_proxy.url, ["\n".join(lines) + "\n"])
        sf = client(crm, crm.sync)
        with sf.session:
            yield Stage(directory, config, dav, dav_proxy, crm_proxy, crm, sf, book, calendar, Tape(config))


def everything_happens(at: Stage) -> None:
    grace, ada = at.card("grace"), at.card("ada", f"TITLE:{TEXT}")
    at.card("twin", email=f"grace@{HOST}")
    at.card("toolong", f"TITLE:{TEXT}{'x' * 300}")
    at.card("mail", email=f"no address {TEXT}@@{HOST}")
    at.event("good", "DTSTART:20261201T090000Z", "DTEND:20261201T100000Z")
    at.run("sync", "--dry-run", words=True)
    at.run("check", "--write")
    at.run("sync", words=True)
    rows = {r["LastName"]: r["Id"] for r in at.sf.query("SELECT Id, LastName FROM Contact")["records"]}
    at.dav.put(ada, at.dav.send("GET", ada).data.decode().replace("EMAIL:ada@", "EMAIL:countess@"))
    at.sf.Contact.update(rows["ada"], {"Email": f"duchess@{HOST}", "Title": f"{TEXT} title"})
    at.sf.Contact.create({"LastName": "grace", "FirstName": TEXT, "Email": f"grace@{HOST}"})
    at.dav.send("DELETE", grace)
    at.run("sync")
    for command in ("status", "queue", "conflicts", "deletions", "matches", "rejected"):
        at.run(command, words=True)
    for command in (["rejected", "retry", "toolong.vcf"], ["rejected", "abandon", "mail.vcf"], ["retry"]):
        at.run(*command)
    at.run("conflicts", "resolve", "ada.vcf", "email", "--keep", "crm")
    at.run("sync")
    at.run("undo", "1")
    at.run("link", "ada.vcf", rows["ada"], useless=True)  # the undo has taken it away
    at.run("unlink", "ada.vcf")
    at.run("reconcile")
    at.run("explain", "ada.vcf")
    at.run("history", "ada.vcf")
    at.run("check", "--repair")
    _troubles(at)
    at.run("forget", f"ada@{HOST}", "--everywhere")


def _troubles(at: Stage) -> None:
    """Servers that fail in every way, and a service that lives through it."""
    for name in ("alice-password", "crm-password", "client-secret"):
        file = at.directory / name
        right = file.read_text()
        file.write_text(CRM_SECRET)
        at.run("sync")
        at.run("check")
        file.write_text(right)
    text = at.config.read_text()
    at.config.write_text(
        text.replace('password_file = "alice-password"', f'password = "{CRM_SECRET}"\npasswort = 1')
    )
    at.run("status", useless=True)
    at.config.write_text(text.replace(at.dav_proxy.url, f"http://alice:{CRM_SECRET}@127.0.0.1:9/"))
    at.run("sync", useless=True)
    at.config.write_text(text)
    (at.directory / "state" / "state.db").rename(at.directory / "state" / "old.db")
    with at.tape.service():
        at.card("late", f"TITLE:{TEXT}")
        at.run("sync")
        at.run("status")
        at.dav_proxy.after = _lost
        at.card("later", f"TITLE:{TEXT}")
        at.run("sync")
        at.dav_proxy.after = lambda number: None
    key = at.directory / "state" / "link.key"
    kept = key.read_text()
    key.write_text("00" * 32 + "\n")
    at.run("sync")
    at.run("check")
    key.write_text(kept)
    (at.directory / "state" / "state.db").write_bytes(f"{TEXT}@{HOST}".encode() * 1000)
    at.run("sync", useless=True)
    at.run("check", "--repair")
    at.run("sync")


def _lost(number: int) -> None:
    raise ConnectionError("the answer is lost")


def test_no_secret_no_text_and_no_address_is_ever_told(tmp_path: Path) -> None:
    with stage(tmp_path) as at:
        everything_happens(at)
        secrets = at.secrets()
    assert len(secrets) > 6, "no session of the CRM was seen"
    assert list(at.tape.told(secrets, (TEXT, HOST))) == []
    whole = at.tape.whole
    assert [one for one in HAPPENED if one not in whole] == []
    assert any(TEXT in said.out and HOST in said.out for said in at.tape.said if "explain" in said.arguments)
