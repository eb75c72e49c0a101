"""Salesforce's REST API, as the embedded CRM speaks it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from crmsync.connectors.contract import Cursor, Kind, Side
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS, TABLES
from crmsync.daemon.lazy import LazySource
from crmsync.daemon.replica.beside import beside_replica
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.state.replica.ids import new_id
from tests.conformance.bench import Bench
from tests.conformance.suite import Conformance
from tests.servers.embedded_crm import EmbeddedCrm

TITLES = {
    Kind.CONTACT: "LastName",
    Kind.APPOINTMENT: "Subject",
    Kind.TASK: "Subject",
    Kind.EMAIL: "Subject",
}
UNMAPPED: Mapping[Kind, Mapping[str, str]] = {
    Kind.CONTACT: {"AssistantName": "Charles", "LeadSource": "Web"},
    Kind.APPOINTMENT: {"ReminderDateTime": "2026-03-02T08:45:00.000+0000"},
    Kind.TASK: {"CallDisposition": "no answer", "CallType": "Outbound"},
    Kind.EMAIL: {"BccAddress": "grace@example.com", "Headers": "X-Mailer: any"},
}
WHEN = {"StartDateTime": "2026-03-02T09:00:00.000+0000", "EndDateTime": "2026-03-02T10:00:00.000+0000"}


class CrmPerson:
    """Alice, in the CRM's own store."""

    def __init__(self, crm: EmbeddedCrm, kind: Kind) -> None:
        self.store, self.kind, self.table = crm.crm.store, kind, TABLES[kind]
        # mail has no owner, and only an administrator deletes it
        self.alice = self.store.caller(crm.sync.id if kind is Kind.EMAIL else crm.alice.id)

    def add(self, title: str) -> str:
        when = WHEN if self.kind is Kind.APPOINTMENT else {}
        fields = {TITLES[self.kind]: title, **UNMAPPED[self.kind], **when}
        (saved,) = self.store.create(self.alice, [(self.table, fields)])
        return str(saved.id)

    def retitle(self, id: str, title: str) -> None:
        self.store.update(self.alice, [(self.table, id, {TITLES[self.kind]: title})])

    def delete(self, id: str) -> None:
        self.store.delete(self.alice, [id])

    def unmapped(self, id: str) -> object:
        row = self.store.read(self.alice, self.table, id)
        return {name: row[name] for name in UNMAPPED[self.kind]}


def long_ago(cursor: Cursor) -> Cursor:
    """Older than the server remembers deletions."""
    return json.dumps({**json.loads(cursor), "t": "2020-01-01T00:00:00+00:00"})


def emptied(crm: EmbeddedCrm, kind: Kind) -> None:
    """As if nothing had ever been there: the recycle bin is emptied too."""
    with crm.crm.store.database.write() as connection:
        connection.execute(crm.crm.store.database.tables[TABLES[kind]].delete())


@pytest.mark.server
@pytest.mark.parametrize("external_id", ["Crmsync_Id__c", ""], ids=["external id", "no external id"])
@pytest.mark.parametrize("kind", list(TITLES))
class TestOnEmbeddedCrm(Conformance):
    @pytest.fixture
    def bench(self, crm: EmbeddedCrm, kind: Kind, external_id: str) -> Iterator[Bench]:
        emptied(crm, kind)
        auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
        source = SalesforceSource(crm.url, auth=auth, fields=DEFAULT_FIELDS, external_id=external_id)
        (collection,) = (c for c in source.collections() if kind in c.kinds)
        prefix = {Kind.CONTACT: "003", Kind.APPOINTMENT: "00U", Kind.TASK: "00T", Kind.EMAIL: "02s"}[kind]
        unknown = new_id(prefix, 62**9)
        owner = crm.sync if kind is Kind.EMAIL else crm.alice
        yield Bench(kind, source, collection, CrmPerson(crm, kind), long_ago, unknown, owner.id)
        source.close()


@pytest.mark.server
class TestBesideItsReplica(Conformance):
    """With the CRM there. While it is away: test_copy.py."""

    @pytest.fixture
    def bench(self, crm: EmbeddedCrm, tmp_path: Path) -> Iterator[Bench]:
        emptied(crm, Kind.CONTACT)
        auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
        fields = {Kind.CONTACT: DEFAULT_FIELDS[Kind.CONTACT]}
        live = SalesforceSource(crm.url, auth=auth, fields=fields, external_id="Crmsync_Id__c")
        lazy = LazySource(Side.CRM, lambda: live)
        keeper = Keeper(
            "main", tmp_path / "replica.db", Settings(("Contact",)), lazy.replication, durable=False
        )
        source = beside_replica(
            lazy, lazy.salesforce, keeper, fields, "Crmsync_Id__c", lambda: crm.crm.clock()
        )
        (collection,) = source.collections()
        person = CrmPerson(crm, Kind.CONTACT)
        yield Bench(Kind.CONTACT, source, collection, person, long_ago, new_id("003", 62**9), crm.alice.id)
        source.close()
        keeper.close()
