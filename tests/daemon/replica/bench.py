"""A replica and its upstream: an embedded CRM behind HTTP, a clock that tests move, and hands that reach in between."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crmsync.connectors.contract import Outcome
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.replication import Replication
from crmsync.daemon.replica.context import Stage
from crmsync.daemon.replica.replica import Replica
from crmsync.state.replica.access import Caller
from crmsync.state.replica.converting import Conversion, Converted
from crmsync.state.replica.faults import Saved
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.opening import Place
from crmsync.state.replica.local.shape import row_to
from crmsync.state.replica.local.temporary import is_temporary
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

OBJECTS = ("Account", "Contact", "Event", "Lead", "Opportunity", "Task")
CONVERTED = "Closed - Converted"
START = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


@dataclass
class Clock:
    now: datetime.datetime = START

    def __call__(self) -> datetime.datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += datetime.timedelta(**duration)


class Killed(BaseException):
    """The process is gone: nothing after it runs, as no `except Exception` sees it."""


class Between:
    """Passes everything on to the upstream, but for what a test puts in its way."""

    def __init__(self, upstream: Replication) -> None:
        self._upstream = upstream
        self.before: Callable[[str, str, Any], None] = lambda *_: None  # verb, object, what is sent
        self.after: Callable[[str, str, Any], None] = lambda *_: None  # verb, object, outcomes
        self.refuse: Callable[[str, str, Any], Outcome | None] = lambda *_: None  # verb, object, one row
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    def create(self, table: str, rows: Sequence[Mapping[str, object]]) -> list[Outcome]:
        return self._written("create", table, list(rows), lambda some: self._upstream.create(table, some))

    def update(self, table: str, rows: Mapping[str, Mapping[str, object]]) -> list[Outcome]:
        return self._written(
            "update", table, list(rows.items()), lambda some: self._upstream.update(table, dict(some))
        )

    def delete(self, table: str, ids: Sequence[str]) -> list[Outcome]:
        return self._written("delete", table, list(ids), lambda some: self._upstream.delete(table, some))

    def convert(self, leads: Sequence[Conversion]) -> list[Outcome]:
        return self._written("convert", "Lead", list(leads), self._upstream.convert)

    def _written(
        self, verb: str, table: str, rows: list[Any], send: Callable[[list[Any]], list[Outcome]]
    ) -> list[Outcome]:
        self.calls.append((verb, table))
        self.before(verb, table, rows)
        refused = [self.refuse(verb, table, row) for row in rows]
        free = [row for row, no in zip(rows, refused, strict=True) if no is None]
        answered = send(free) if free else []
        self.after(verb, table, answered)
        answers = iter(answered)
        return [no if no is not None else next(answers) for no in refused]


class Cable:
    """Between a keeper and the upstream; a test can pull it."""

    def __init__(self, upstream: Any) -> None:
        self._upstream = upstream
        self.pulled = False
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._upstream, name)
        if name in ("clock_offset", "requests", "usage"):
            return found

        def call(*arguments: Any) -> Any:
            self.asked += 1
            if self.pulled:
                raise Unreachable("nobody answers")
            return found(*arguments)

        return call


@dataclass
class Bench:
    crm: EmbeddedCrm
    clock: Clock
    file: Path
    policy: Policy = Policy.LATEST
    objects: tuple[str, ...] = OBJECTS
    stages: list[tuple[Stage, str]] = field(default_factory=list)
    kill: Callable[[Stage, str], bool] = lambda stage, what: False
    client: type[Client] = Client
    database_url: str = ""  # of the replica's database; empty: the file
    between: Between = field(init=False)
    database: LocalDatabase = field(init=False)
    replica: Replica = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """As a new process would."""
        auth = ClientCredentials(self.crm.client_id, self.crm.client_secret)
        self.between = Between(Replication(self.client(self.crm.url, auth, now=self.clock)))
        self.database = LocalDatabase(Place.of(self.database_url or self.file, "main"), durable=False)
        self.replica = Replica(
            self.database,
            self.between,
            self.objects,
            clock=self.clock,
            policy=self.policy,
            progress=self._progress,
        )

    def close(self) -> None:
        self.between.client.close()
        self.database.close()

    def reopen(self) -> None:
        refuse = self.between.refuse
        self.close()
        self.open()
        self.between.refuse = refuse

    def _progress(self, stage: Stage, what: str) -> None:
        self.stages.append((stage, what))
        if self.kill(stage, what):
            raise Killed

    # ── The upstream, as a colleague ─────────────────────────────────────────────────────────────────────────

    @property
    def caller(self) -> Caller:
        return self.crm.crm.store.caller(self.crm.sync.id)

    def there_create(self, name: str, **values: Any) -> str:
        outcome = self.crm.crm.store.create(self.caller, [(name, values)])[0]
        assert isinstance(outcome, Saved), outcome
        return outcome.id

    def there_update(self, record_id: str, **values: Any) -> None:
        type_ = self.crm.crm.store.schema.of_id(record_id)
        outcome = self.crm.crm.store.update(self.caller, [(type_.name, record_id, values)])[0]
        assert isinstance(outcome, Saved), outcome

    def there_convert(self, lead: str, **options: Any) -> Converted:
        return self.crm.crm.converter.convert(self.caller, Conversion(lead, CONVERTED, **options))

    def there_delete(self, record_id: str) -> None:
        outcome = self.crm.crm.store.delete(self.caller, [record_id])[0]
        assert isinstance(outcome, Saved), outcome

    def there(self, name: str) -> dict[str, dict[str, Any]]:
        """All living rows upstream, by id, as the tables here would hold them."""
        table = self.crm.crm.database.tables[name]
        with self.crm.crm.database.read() as connection:
            rows = [dict(row) for row in connection.execute(table.select()).mappings()]
        return {row["Id"]: row for row in rows if not row.get("IsDeleted")}

    # ── Here ─────────────────────────────────────────────────────────────────────────────────────────────────

    def convert(self, lead: str, **options: Any) -> Converted:
        return self.replica.convert(Conversion(lead, CONVERTED, **options))

    def here(self, name: str) -> dict[str, dict[str, Any]]:
        with self.database.read() as work:
            rows = work.where(work.group(name).main)
            names = [c.name for c in work.group(name).orig.c]
        return {row["Id"]: {n: row[n] for n in names} for row in rows}

    def work(self) -> dict[str, int]:
        """How many rows stand beside main, by table; only tables that are not empty."""
        with self.database.read() as work:
            counts = {table.name: work.count(table) for table in work.tables.work()}
        return {name: count for name, count in counts.items() if count}

    def conflicts(self) -> list[dict[str, Any]]:
        with self.database.read() as work:
            return work.where(work.shared.conflicts)

    def run(self) -> Any:
        """A minute later, as a service would; deletions are told by whole minutes."""
        self.clock.advance(minutes=2)
        return self.replica.run()

    def assert_equal(self) -> None:
        for name in self.objects:
            there, here = self.there(name), self.here(name)
            assert sorted(there.keys() - here.keys()) == [], f"missing here: {name}"
            assert sorted(here.keys() - there.keys()) == [], f"gone upstream: {name}"
            for record_id, row in here.items():
                assert {n: there[record_id][n] for n in row} == row, (name, record_id)

    def assert_nothing_temporary(self) -> None:
        with self.database.read() as work:
            for type_ in work.shapes:
                for table in work.group(type_.name).typed():
                    rows = [row_to(type_, row) for row in work.where(table)]
                    assert not [v for row in rows for v in row.values() if is_temporary(v)], table.name
        for name in self.objects:
            rows = list(self.there(name).values())
            assert not [v for row in rows for v in row.values() if is_temporary(v)], name


@contextmanager
def bench(path: Path, **options: Any) -> Iterator[Bench]:
    clock = Clock()
    with embedded_crm(clock=clock, directory=path / "crm") as crm:
        made = Bench(crm, clock, path / "replica.db", **options)
        try:
            yield made
        finally:
            made.close()
