"""An embedded CRM whose database was made by a version of us that had fewer fields."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from crmsync.state.replica.database import Database
from crmsync.state.replica.indexing import names
from crmsync.state.replica.metadata import ObjectType, Schema, standard
from tests.state.replica.conftest import codes, empty_schema, make_bench

NEW = {
    "Recurrence__c",
    "Crmsync_Id__c",
    "IsPrivate",
    "OwnerId",
}  # a text, a unique one, a flag, and one with an index


def _smaller(type_: ObjectType) -> ObjectType:
    if type_.name != "Event":
        return type_
    return replace(type_, fields=tuple(f for f in type_.fields if f.name not in NEW))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return empty_schema(request.getfixturevalue("server"))
    return f"sqlite:///{tmp_path / 'crm.db'}"


def _columns(database: Database, index: str = "") -> set[str]:
    with database.read() as connection:
        found = sa.inspect(connection)
        if index:
            return names(connection)
        return {c["name"] for c in found.get_columns("Event")}


def test_new_fields_come_and_records_stay(url: str, tmp_path: Path) -> None:
    before = Database(url, Schema(map(_smaller, standard())), durable=False)
    assert NEW.isdisjoint(_columns(before))
    with before.write() as connection:
        table = before.tables["Event"]
        row = {c.name: False for c in table.columns if isinstance(c.type, sa.Boolean)}
        connection.execute(table.insert().values({**row, "Id": "00U000000000001AAA", "Subject": "Old"}))
    before.close()
    bench = make_bench(tmp_path, url=url)
    database = bench.store.database
    assert _columns(database) >= NEW
    assert "ix_Event_OwnerId" in _columns(database, "index")
    with database.read() as connection:
        old = connection.execute(sa.select(database.tables["Event"])).mappings().one()
    assert (old["Subject"], old["IsPrivate"], old["Recurrence__c"]) == ("Old", False, None)
    times = {"StartDateTime": "2026-12-01T09:00:00Z", "DurationInMinutes": 5}
    bench.create("Event", Subject="Board", Crmsync_Id__c="one", Recurrence__c="RRULE:FREQ=DAILY", **times)
    twice = bench.try_create("Event", Subject="Again", Crmsync_Id__c="ONE", **times)
    assert "DUPLICATE_VALUE" in codes(twice)
    database.close()
    again = Database(url, standard(), durable=False)  # nothing is missing any more
    assert _columns(again) >= NEW
    again.close()


def test_indexes_come_to_a_database_that_was_made_without(url: str) -> None:
    made = Database(url, standard(), durable=False)
    with made.write() as connection:
        wanted = {name for name in names(connection) if name.startswith("ix_")}
        for name in wanted:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
        assert wanted.isdisjoint(names(connection))
    made.close()
    again = Database(url, standard(), durable=False)
    with again.read() as connection:
        assert wanted <= names(connection)
    again.close()
