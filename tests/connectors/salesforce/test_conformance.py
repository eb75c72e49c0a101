"""The suite that every connector passes, over the embedded CRM: with an external-id field and without one.

Three of its tests expect a server that shortens what is too long. Ours refuses it, and they are told so.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmsync.connectors.columns import COLUMNS, Type, with_group
from crmsync.connectors.contract import Columns, Create, Cursor, Done, Kind, Refused, Update
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS, TABLES
from crmsync.daemon.plan.normalise import same
from crmsync.state.replica.faults import Saved
from tests.conformance import sample
from tests.conformance.bench import Bench
from tests.conformance.suite import Conformance
from tests.connectors.salesforce.stub import source
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

TITLES = {Kind.CONTACT: "LastName", Kind.APPOINTMENT: "Subject", Kind.TASK: "Subject"}
UNMAPPED: dict[Kind, dict[str, object]] = {
    Kind.CONTACT: {"AssistantName": "Grace"},
    Kind.APPOINTMENT: {
        "ReminderDateTime": "2026-03-02T08:45:00.000+0000",
        "IsReminderSet": True,
        "StartDateTime": "2026-03-02T09:00:00.000+0000",
        "EndDateTime": "2026-03-02T10:00:00.000+0000",
    },
    Kind.TASK: {"CallObject": "abc"},
}


class CrmPerson:
    """Works on the CRM's store itself, as the owner of what is in it."""

    def __init__(self, crm: EmbeddedCrm, kind: Kind) -> None:
        self.store, self.kind, self.table = crm.crm.store, kind, TABLES[kind]
        self.caller = self.store.caller(crm.alice.id)

    def add(self, title: str) -> str:
        fields = {TITLES[self.kind]: title, **UNMAPPED[self.kind]}
        (made,) = self.store.create(self.caller, [(self.table, fields)])
        assert isinstance(made, Saved), made
        return made.id

    def retitle(self, id: str, title: str) -> None:
        (saved,) = self.store.update(self.caller, [(self.table, id, {TITLES[self.kind]: title})])
        assert isinstance(saved, Saved), saved

    def delete(self, id: str) -> None:
        (gone,) = self.store.delete(self.caller, [id])
        assert isinstance(gone, Saved), gone

    def unmapped(self, id: str) -> object:
        row = self.store.read(self.caller, self.table, id)
        return {f: row[f] for f in UNMAPPED[self.kind]}


# The suite's sample of a postal code is longer than Salesforce's field.
FIELDS = {
    kind: {c: f for c, f in fields.items() if not c.endswith("_postal_code")}
    for kind, fields in DEFAULT_FIELDS.items()
}
_serial = count()
_modest = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.differing_executors,
    ],
)


def accepted(bench: Bench, write: Create | Update) -> Done | None:
    """What became of a write, if none of its values was too long: that is refused, never cut."""
    (outcome,) = bench.connector.apply([write])
    if isinstance(outcome, Refused):
        assert outcome.code == "too_long"
        limits = [int(n) for n in re.findall(r"\d+", outcome.reason)]
        assert any(isinstance(v, str) and len(v) > limits[0] for v in write.columns.values())
        return None
    assert isinstance(outcome, Done)
    return outcome


def foretold(bench: Bench, id: str, columns: Columns) -> Columns:
    """The record, which says what ``project`` said."""
    read, shown = bench.record(id).columns, bench.connector.project(bench.kind, columns)
    known = {c: v for c, v in shown.items() if c not in bench.connector.capabilities.partial[bench.kind]}
    assert not {c: (read.get(c), v) for c, v in known.items() if not same(read.get(c), v)}
    return read


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm() as running:
        yield running


def expire(cursor: Cursor) -> Cursor:
    """Older than the recycle bin."""
    return json.dumps({**json.loads(cursor), "t": (datetime.now(UTC) - timedelta(days=20)).isoformat()})


@pytest.mark.parametrize(
    ("kind", "external_id"), [*((kind, "Crmsync_Id__c") for kind in UNMAPPED), (Kind.CONTACT, "")]
)
class TestSalesforce(Conformance):
    @pytest.fixture
    def bench(self, crm: EmbeddedCrm, kind: Kind, external_id: str) -> Iterator[Bench]:
        database = crm.crm.store.database
        with database.write() as connection:
            connection.execute(database.tables[TABLES[kind]].delete())
        auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
        with source(crm.url, auth=auth, external_id=external_id, fields=FIELDS) as login:
            collection = next(c for c in login.collections() if kind in c.kinds)
            unknown = crm.alice.id.replace(
                "005", {"Contact": "003", "Event": "00U", "Task": "00T"}[TABLES[kind]], 1
            )
            yield Bench(kind, login, collection, CrmPerson(crm, kind), expire, unknown, crm.alice.id)

    @_modest
    @given(data=st.data())
    def test_project_foretells_what_a_create_leaves(self, bench: Bench, data: st.DataObject) -> None:
        columns = data.draw(sample.any_columns(bench.kind, bench.written))
        create = bench.create(f"key-{next(_serial)}", **columns)
        if done := accepted(bench, create):
            foretold(bench, done.id, create.columns)

    @_modest
    @given(data=st.data())
    def test_project_foretells_what_an_update_leaves(self, bench: Bench, data: st.DataObject) -> None:
        before = bench.made(f"key-{next(_serial)}")
        change = data.draw(sample.any_columns(bench.kind, bench.written))
        if accepted(bench, Update(before.id, before.version, bench.kind, change)):
            after, named = foretold(bench, before.id, change), with_group(bench.kind, frozenset(change))
            assert {c: v for c, v in after.items() if c not in named} == {
                c: v for c, v in before.columns.items() if c not in named
            }
        else:
            assert bench.record(before.id) == before

    @pytest.mark.parametrize("long", [False, True], ids=["one line", "long"])
    def test_hostile_text_comes_back_as_foretold(self, bench: Bench, long: bool) -> None:
        wanted = Type.LONG if long else Type.TEXT
        names = [c for c in sorted(bench.written) if COLUMNS[bench.kind][c].type is wanted]
        names = [c for c in names if c not in ("prefix", "show_as", "sensitivity", "status", "priority")]
        made = bench.made("hostile")
        for n, value in enumerate(sample.HOSTILE_LONG if long else sample.HOSTILE):
            change: Columns = {names[n % len(names)]: value}
            if accepted(bench, Update(made.id, made.version, bench.kind, change)):
                foretold(bench, made.id, change)
                made = bench.record(made.id)
