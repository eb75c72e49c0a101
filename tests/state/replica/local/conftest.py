"""A replica's tables without a network: described as the embedded CRM describes itself, filled by hand."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crmsync.state.replica.describe import describe_object
from crmsync.state.replica.ids import new_id
from crmsync.state.replica.local import arrivals, deciding, edits
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.deciding import Waiting
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.shape import row_from
from crmsync.state.replica.metadata import standard
from tests.state.replica.conftest import empty_schema

NOON = datetime.datetime(2026, 3, 1, 12)
LATER = NOON + datetime.timedelta(hours=1)
OBJECTS = ("Account", "Attachment", "Case", "Contact", "Event")


def described(name: str, **changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The describe of an object; `changes`: fields with other keys, new ones, or (None) without them."""
    schema = standard()
    reply = describe_object(schema, schema.objects[name], "/services/data/v59.0", "http://crm")
    fields = {f["name"]: f for f in reply["fields"]}
    for field, values in changes.items():
        if values is None:
            del fields[field]
        else:
            fields[field] = {**fields.get(field, {**fields["Description"], "name": field}), **values}
    return {**reply, "fields": list(fields.values())}


@dataclass
class Desk:
    database: LocalDatabase
    url: str
    numbers: int = 0

    def arrive(self, name: str, record_id: str = "", *, first: bool = True, **values: Any) -> str:
        """A row comes from the upstream."""
        with self.database.write() as work:
            type_ = work.shapes.of(name)
            self.numbers += 1
            made = record_id or new_id(type_.prefix, self.numbers)
            stamps = {"SystemModstamp": "2026-03-01T12:00:00.000+0000"}
            known = work.get(work.group(name).main, made) or {}
            row = {**known, **row_from(type_, {**stamps, **values, "Id": made})}
            names = [column.name for column in work.group(name).orig.c]
            arrivals.stage(work, name, [{n: row[n] for n in names}], first=first)
        return made

    def move(self, name: str, policy: Policy = Policy.HOLD) -> None:
        with self.database.write() as work:
            arrivals.move(work, name, policy, LATER, "")

    def create(self, name: str, /, **values: Any) -> str:
        with self.database.write() as work:
            return edits.create(work, name, values, LATER)

    def update(self, record_id: str, **values: Any) -> None:
        with self.database.write() as work:
            edits.update(work, record_id, values, LATER)

    def delete(self, record_id: str) -> None:
        with self.database.write() as work:
            edits.delete(work, record_id, LATER)

    def choose(self, record_id: str, choice: Any, **more: Any) -> None:
        with self.database.write() as work:
            deciding.choose(work, record_id, choice, LATER, **more)

    def abandon(self, record_id: str) -> None:
        with self.database.write() as work:
            deciding.abandon(work, record_id, LATER)

    def retry(self, record_id: str) -> None:
        with self.database.write() as work:
            deciding.retry(work, record_id)

    def gone(self, name: str, record_id: str, policy: Policy = Policy.HOLD) -> None:
        with self.database.write() as work:
            arrivals.gone(work, name, [record_id], policy, LATER)

    def refuse(self, name: str, record_id: str) -> None:
        """As a pass notes it."""
        with self.database.write() as work:
            for table in (work.shared.createlist, work.shared.deletelist, work.group(name).tosync):
                work.change(table, record_id, state="rejected", code="rule", reason="breaks a rule")

    def row(self, name: str, record_id: str, table: str = "main") -> dict[str, Any] | None:
        with self.database.read() as work:
            return work.get(getattr(work.group(name), table), record_id)

    def waiting(self) -> list[Waiting]:
        with self.database.read() as work:
            return list(deciding.waiting(work))

    def conflicts(self) -> list[dict[str, Any]]:
        with self.database.read() as work:
            return work.where(work.shared.conflicts)

    def beside(self) -> dict[str, int]:
        """Rows beside main, by table."""
        with self.database.read() as work:
            counts = {table.name: work.count(table) for table in work.tables.work()}
        return {name: count for name, count in counts.items() if count}


BOTH = pytest.mark.parametrize("desk", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """On SQLite; tests marked BOTH also meet PostgreSQL."""
    on_server = getattr(request, "param", "sqlite") == "postgresql"
    file = f"sqlite:///{tmp_path / 'replica.db'}"
    url = empty_schema(request.getfixturevalue("server")) if on_server else file
    database = LocalDatabase(url, durable=False)
    database.learn({name: described(name) for name in OBJECTS})
    yield Desk(database, url)
    database.close()
