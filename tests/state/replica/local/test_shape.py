"""Objects from describe replies, and rows between JSON and the tables."""

import datetime
import json
import os
from pathlib import Path

import pytest

from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.shape import Shapes, row_from, row_to, shape, stored
from crmsync.state.replica.local.tables import Tables
from tests.state.replica.local.conftest import described

REAL = Path(os.environ.get("CRMSYNC_SHARED", "/nowhere")) / "salesforce"


def test_a_row_makes_the_trip():
    type_ = shape(described("Event"))
    raw = {
        "Id": "00U000000000001AAA",
        "Subject": " Talk \n",
        "StartDateTime": "2026-03-01T09:00:00.000+0000",
        "ActivityDate": "2026-03-01",
        "IsAllDayEvent": False,
        "DurationInMinutes": 60,
        "WhoId": None,
    }
    row = row_from(type_, raw)
    assert row["StartDateTime"] == datetime.datetime(2026, 3, 1, 9)
    assert row["ActivityDate"] == datetime.date(2026, 3, 1)
    assert {name: value for name, value in row_to(type_, row).items() if name in raw} == raw


def test_names_ignore_case_and_the_unknown_is_left_out():
    row = row_from(shape(described("Account")), {"ID": "001000000000001AAA", "nAmE": "Acme", "Other": 1})
    assert (row["Id"], row["Name"]) == ("001000000000001AAA", "Acme")
    assert "Other" not in row


@pytest.mark.parametrize("value", ["9999-99-99T00:00:00Z", "soon", "0001-01-01T00:00:00Z"])
def test_a_moment_outside_of_the_calendar_does_not_cost_the_row(value):
    assert row_from(shape(described("Account")), {"LastModifiedDate": value})["LastModifiedDate"] is None


def test_compound_fields_and_files_have_no_column():
    names = {f.name for f in stored(shape(described("Attachment")))} | {
        f.name for f in stored(shape(described("Account")))
    }
    assert "Body" not in names
    assert "BillingAddress" not in names
    assert "BillingStreet" in names


def test_what_a_delete_does_is_told_by_the_parents_describe():
    shapes = Shapes({name: described(name) for name in ("Account", "Case", "Contact")})
    rules = {(e.child, e.field): e.rule for e in shapes.children("Contact")}
    assert rules["Case", "ContactId"] == "restrict"
    assert rules["Contact", "ReportsToId"] == "clear"
    assert {child for child, _ in rules} == {"Case", "Contact"}  # of objects that stand here


@pytest.mark.parametrize("reply", [{}, {"fields": [{}]}, {"fields": [], "name": "X"}])
def test_what_describes_nothing_is_refused(reply):
    with pytest.raises(ValueError, match="unknown form"):
        shape(reply)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs real describe replies, in $CRMSYNC_SHARED/salesforce")
def test_real_describes_become_tables(tmp_path):
    found = [json.loads(file.read_text()) for file in sorted(REAL.glob("*.describe.json"))]
    replies = {reply["name"]: reply for reply in found}
    database = LocalDatabase(f"sqlite:///{tmp_path / 'replica.db'}", durable=False)
    database.learn(replies)
    with database.read() as work:
        assert {type_.name for type_ in work.shapes} == replies.keys()
        assert all(work.count(table) == 0 for table in work.tables.work())
    database.close()


def test_objects_alike_have_the_same_tables_whatever_a_reply_holds():
    told = described("Contact")
    strange = {**told, "fields": [{**each, "defaultValue": ["no", "value"]} for each in told["fields"]]}
    first, second = (Tables(Shapes({"Contact": strange})) for _ in range(2))
    assert first.groups["Contact"].main is second.groups["Contact"].main
