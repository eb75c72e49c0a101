"""An embedded CRM without HTTP: a store on a temporary SQLite file, with a clock that tests move."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crmsync.state.replica.access import Access, Caller
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Outcome, Rejected, Saved
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.org import Client, Org, Person, seed
from crmsync.state.replica.store import Store

SCHEMA = "crmsync_test_crm"
START = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
PEOPLE = (
    Person("sync@example.com", "sync-password", "Sync", "Crm", profile="Integration"),
    Person("alice@example.com", "alice-password", "Adams", "Alice"),
    Person("bob@example.com", "bob-password", "Brown", "Bob"),
)
ORG = Org("Example", PEOPLE, (Client("test-client", "test-secret", run_as="sync@example.com"),), effort=2)


@dataclass
class Clock:
    now: datetime.datetime = START

    def __call__(self) -> datetime.datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += datetime.timedelta(**duration)


@dataclass
class Bench:
    """A store and its callers, with the shortest way to each call for one row."""

    store: Store
    clock: Clock
    sync: Caller
    alice: Caller
    bob: Caller
    rows: dict[str, Any] = field(default_factory=dict)

    def create(self, name: str, caller: Caller | None = None, **fields: Any) -> str:
        """The new record's id."""
        outcome = self.try_create(name, caller, **fields)
        assert isinstance(outcome, Saved), outcome
        return outcome.id

    def try_create(self, name: str, caller: Caller | None = None, **fields: Any) -> Outcome:
        return self.store.create(caller or self.sync, [(name, fields)])[0]

    def update(self, record_id: str, caller: Caller | None = None, **fields: Any) -> Outcome:
        type_ = self.store.schema.of_id(record_id)
        assert type_ is not None
        return self.store.update(caller or self.sync, [(type_.name, record_id, fields)])[0]

    def delete(self, record_id: str, caller: Caller | None = None) -> Outcome:
        return self.store.delete(caller or self.sync, [record_id])[0]

    def read(self, record_id: str) -> dict[str, Any]:
        type_ = self.store.schema.of_id(record_id)
        assert type_ is not None
        return dict(self.store.read(self.sync, type_.name, record_id))


def codes(outcome: Outcome) -> list[str]:
    assert isinstance(outcome, Rejected), outcome
    return [fault.code for fault in outcome.faults]


def make_bench(path: Path, sharing: dict[str, str] | None = None, url: str = "") -> Bench:
    clock = Clock()
    database = Database(url or f"sqlite:///{path / 'crm.db'}", standard(), durable=False)
    store = Store(database, clock=clock, access=Access(sharing))
    users = seed(store, ORG)
    callers = (store.caller(users[person.username]) for person in PEOPLE)
    return Bench(store, clock, *callers)


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    real = request.param == "postgresql"
    made = make_bench(tmp_path, url=empty_schema(request.getfixturevalue("server")) if real else "")
    yield made
    made.store.database.close()


def empty_schema(server: str) -> str:
    """A URL that leads into an empty schema of the PostgreSQL database."""
    url = sa.make_url(server)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    engine.dispose()
    within = url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    return within.render_as_string(hide_password=False)
