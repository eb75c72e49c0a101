"""A small world over real servers, with the engine in this process and a proxy before each server.

One person who is edited, one who is deleted and one who is new, on each side: whatever goes wrong on the way, in the
end that is what stands on both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crmsync.config.load import load
from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import Kind
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.daemon.app import build
from crmsync.daemon.engine import Engine
from tests.bars.lines import put, value_of
from tests.bars.office import Office, write_config

ACCOUNT = """
[account.alice]
crm = "main"
crm_user = "alice@example.com"

[[account.alice.source]]
type = "carddav"
url = "{url}"
username = "{user}"
password_file = "alice-password"
"""
CARD = """BEGIN:VCARD\r
VERSION:3.0\r
UID:{name}\r
FN:{name} Example\r
N:Example;{name};;;\r
EMAIL:{name}@example.com\r
NOTE:typed by a person\r
CATEGORIES:CRM\r
END:VCARD\r
"""
BEFORE = {"Ada": "", "Bea": "", "Dan": "", "Fay": ""}
AFTER = {"Ada": "Countess", "Dan": "Baron", "Cid": "", "Eve": ""}  # first name -> title


@dataclass
class Scene:
    office: Office
    engine: Engine
    ahead: timedelta = timedelta(0)
    config: Path = field(default_factory=Path)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def sync(self) -> dict[str, Any]:
        return self.engine.sync()

    def later(self) -> None:
        """Long enough for every back-off and every pause that was asked for."""
        self.ahead += timedelta(hours=2)

    # ── What people do ───────────────────────────────────────────────────────────────────────────────────────

    def url(self, name: str) -> str:
        return f"{self.office.book}{name}.vcf"

    def people(self) -> None:
        """Those of ``BEFORE``, in step on both sides."""
        for name in ("Ada", "Bea"):
            self.office.dav.put(self.url(name), CARD.format(name=name))
        for name in ("Dan", "Fay"):
            self._record(name)
        report = self.sync()
        assert report["errors"] == []
        assert self.cards() == self.records() == BEFORE

    def news(self) -> None:
        """What people do before the sync in which something goes wrong."""
        office = self.office
        ada = self.url("Ada")
        office.dav.put(ada, put(office.text(ada), "TITLE", "Countess", "TITLE"))
        office.delete(self.url("Bea"))
        office.dav.put(self.url("Cid"), CARD.format(name="Cid"))
        ids = {row["FirstName"]: row["Id"] for row in office.rows("Contact")}
        office.sf_alice.Contact.update(ids["Dan"], {"Title": "Baron"})
        office.sf_alice.Contact.delete(ids["Fay"])
        self._record("Eve")

    def _record(self, name: str) -> None:
        self.office.sf_alice.Contact.create(
            {"FirstName": name, "LastName": "Example", "Email": f"{name.lower()}@example.com"}
        )

    # ── What stands ──────────────────────────────────────────────────────────────────────────────────────────

    def cards(self) -> dict[str, str]:
        """First name -> title; a name that stands twice is an error."""
        found = [s.text for s in self.office.stored(self.office.book).values()]
        return _titles([((value_of(t, "N") or "").split(";")[1], value_of(t, "TITLE") or "") for t in found])

    def records(self) -> dict[str, str]:
        return _titles([(row["FirstName"], row["Title"] or "") for row in self.office.rows("Contact")])

    def ends_well(self) -> None:
        """The trouble is over: after one more sync all is as it should be, and then there is nothing left to do."""
        self.later()
        self.engine.retry()
        report = self.sync()
        waiting = report["errors"], self.engine.queue(), self.engine.matches(), self.engine.deletions()
        assert self.cards() == AFTER, (self.records(), waiting)
        assert self.records() == AFTER, waiting
        assert "NOTE:typed by a person" in self.office.text(self.url("Ada"))
        assert self.engine.conflicts() == []
        assert [self.engine.queue(), self.engine.matches(), self.engine.deletions()] == [[], [], []]
        for proxy in (self.office.dav_proxy, self.office.crm_proxy):
            proxy.forget()
        report = self.sync()
        assert (report["writes"], report["errors"]) == (0, [])
        assert self.office.dav_proxy.writes() + self.office.crm_proxy.writes() == []

    @contextmanager
    def impatient(self, seconds: float = 2.0) -> Iterator[None]:
        """Clients that do not wait long."""
        office, account = self.office, self.engine.accounts["alice"]
        mailbox, crm = account.mailboxes[0], account.crm
        patient = mailbox.source, crm.source
        user, password = office.dav.login()
        base = office.dav_proxy.url + office.dav.principal.format(user="alice")
        sync, rules = office.crm.sync, load(self.config, {}).crm["main"].rules("contact")
        mailbox.source = CardDavSource(base, user, password, timeout=seconds, now=self.now)
        crm.source = SalesforceSource(
            office.crm_proxy.url,
            auth=Password(office.crm.client_id, office.crm.client_secret, sync.username, sync.password),
            fields={Kind.CONTACT: {c: r.field for c, r in rules.items()}},
            external_id="Crmsync_Id__c",
            timeout=seconds,
            now=self.now,
        )
        try:
            yield
        finally:
            mailbox.source.close()
            crm.source.close()
            mailbox.source, crm.source = patient


def _titles(found: list[tuple[str, str]]) -> dict[str, str]:
    assert len({name for name, _ in found}) == len(found), f"somebody stands here twice: {found}"
    return dict(found)


@contextmanager
def scene(office: Office, directory: Path) -> Iterator[Scene]:
    """On these servers, emptied, with a state of its own."""
    for proxy in (office.dav_proxy, office.crm_proxy):
        proxy.trouble = lambda asked: None
        proxy.forget()
    for name in office.stored(office.book):
        office.delete(office.book + name)
    for row in office.rows("Contact"):
        office.sf.Contact.delete(row["Id"])
    user = office.dav.login()[0] or "alice"
    url = office.dav_proxy.url + office.dav.principal.format(user="alice")
    config = write_config(
        directory, office.dav, office.crm, office.crm_proxy.url, [ACCOUNT.format(url=url, user=user)]
    )
    made: list[Scene] = []
    engine = build(load(config, {}), now=lambda: made[0].now() if made else datetime.now(UTC))
    made.append(Scene(office, engine, config=config))
    try:
        yield made[0]
    finally:
        engine.close()
