"""What programs and people ask most is answered by an index, without sorting or reading all rows."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crmsync.state.replica.ids import new_id
from crmsync.state.replica.indexing import searched
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.querying import Queries
from tests.state.replica.conftest import Bench

FIELDS = "SELECT Id, Name, Phone FROM Contact"
PAGE = "ORDER BY Name ASC NULLS LAST, Id ASC LIMIT 51"
ASKED = {
    f"{FIELDS} {PAGE}": "Name",
    f"{FIELDS} ORDER BY Name DESC NULLS LAST, Id DESC LIMIT 51": "Name",
    f"{FIELDS} ORDER BY Name ASC NULLS FIRST, Id LIMIT 25": "Name",
    f"{FIELDS} WHERE Name >= 'B' AND (Name > 'B' OR (Name = 'B' AND Id > '{new_id('003', 1)}')) {PAGE}": "Name",
    f"{FIELDS} WHERE Name = 'ada'": "Name",
    f"{FIELDS} WHERE Name LIKE 'ada l%' {PAGE}": "Name",
    f"{FIELDS} WHERE LastName = 'Lovelace'": "LastName",
    f"{FIELDS} WHERE Email IN ('ada@example.com', 'bea@example.com')": "Email",
    f"{FIELDS} WHERE MobilePhone = '1'": "MobilePhone",
    f"{FIELDS} WHERE AccountId = '{new_id('001', 1)}'": "AccountId",
    f"{FIELDS} WHERE SystemModstamp >= 2026-01-01T00:00:00Z ORDER BY SystemModstamp, Id": "SystemModstamp",
    f"{FIELDS} WHERE LastModifiedDate = LAST_N_DAYS:30 ORDER BY LastModifiedDate DESC": "LastModifiedDate",
    "SELECT Id FROM Event WHERE WhoId = '003000000000001AAA'": "WhoId",
    "SELECT Id FROM Task WHERE OwnerId = '005000000000001AAA'": "OwnerId",
    "SELECT Id FROM Case WHERE CaseNumber = '1'": "CaseNumber",
}


@pytest.fixture
def said(bench: Bench) -> Iterator[list[tuple[str, object]]]:
    made: list[tuple[str, object]] = []
    engine = bench.store.database.engine

    def see(*arguments: object) -> None:
        made.append((str(arguments[2]), arguments[3]))

    sa.event.listen(engine, "before_cursor_execute", see)
    yield made
    sa.event.remove(engine, "before_cursor_execute", see)


def test_answered_by_an_index(bench: Bench, said: list[tuple[str, object]]) -> None:
    engine, queries = bench.store.database.engine, Queries(bench.store, clock=bench.clock)
    sqlite = engine.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
    wrong = {}
    for text, field in ASKED.items():
        said.clear()
        queries.query(bench.sync, text, "")
        statement, parameters = next(each for each in said if "FROM" in each[0])
        with engine.begin() as connection:
            if not sqlite:  # a table without rows is read faster without
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            found = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plan = "\n".join(str(row[-1]) for row in found)
        filtered = sqlite and "WHERE" in text and "SEARCH" not in plan
        if f"_{field}" not in plan or filtered or (field == "Name" and "FOR ORDER BY" in plan):
            wrong[text] = plan
    assert not wrong
    queries.close()


def test_what_has_one() -> None:
    contact = standard().objects["Contact"]
    named = {f.name for f in contact.fields if searched(f)}
    assert named >= {"Name", "LastName", "Email", "Phone", "AccountId", "SystemModstamp", "Crmsync_Id__c"}
    assert named.isdisjoint({"Id", "Description", "Title", "CreatedById", "Birthdate", "MailingCity"})
