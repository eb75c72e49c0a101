from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.connectors.salesforce.describe import Field, Schema, parse
from crmsync.connectors.salesforce.mapping import Mapper, objection
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS
from crmsync.connectors.salesforce.values import Unmappable
from tests.connectors.salesforce.stub import described

SCHEMAS = {kind: parse(described(kind).data) for kind in DEFAULT_FIELDS}
MAPPERS = {kind: Mapper(kind, fields) for kind, fields in DEFAULT_FIELDS.items()}
CONTACT, EVENT, TASK = Kind.CONTACT, Kind.APPOINTMENT, Kind.TASK
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def project(kind: Kind, columns: Columns) -> Columns:
    return MAPPERS[kind].project(columns, SCHEMAS[kind])


def written(kind: Kind, columns: Columns) -> dict[str, object]:
    return dict(MAPPERS[kind].row(columns, SCHEMAS[kind]))


def test_the_default_table_names_columns_that_exist() -> None:
    assert all(set(fields) <= set(COLUMNS[kind]) for kind, fields in DEFAULT_FIELDS.items())
    with pytest.raises(ValueError, match="shoe_size"):
        Mapper(CONTACT, {"shoe_size": "Shoe_Size__c"})


@pytest.mark.parametrize(
    ("kind", "columns", "row"),
    [
        (CONTACT, {"first_name": " Ada ", "email": ""}, {"FirstName": "Ada", "Email": None}),
        (CONTACT, {"notes": "a\r\nb\0\n"}, {"Description": "a\nb"}),
        (CONTACT, {"job_title": "Head\nof  all"}, {"Title": "Head of all"}),
        (CONTACT, {"address_work_street": "1 Way\n2nd floor"}, {"MailingStreet": "1 Way\n2nd floor"}),
        (CONTACT, {"birthday": date(1980, 2, 29)}, {"Birthdate": "1980-02-29"}),
        (CONTACT, {"company": "Example Ltd", "nickname": "A"}, {}),
        (
            TASK,
            {"due": NOON, "status": "waiting"},
            {"ActivityDate": "2026-03-04", "Status": "Waiting on someone else"},
        ),
        (TASK, {"status": None, "priority": None}, {"Status": "Not Started", "Priority": "Normal"}),
        (TASK, {"status": "cancelled", "completed_at": NOON}, {}),
        (EVENT, {"show_as": "tentative"}, {"ShowAs": "Busy"}),
        (
            EVENT,
            {"show_as": "out_of_office", "sensitivity": "confidential"},
            {"ShowAs": "OutOfOffice", "IsPrivate": True},
        ),
        (EVENT, {"sensitivity": None}, {"IsPrivate": False}),
        (
            EVENT,
            {"start": NOON, "end": NOON.astimezone(timezone(timedelta(hours=5))), "all_day": False},
            {
                "StartDateTime": "2026-03-04T12:00:00.000+0000",
                "EndDateTime": "2026-03-04T12:00:00.000+0000",
                "IsAllDayEvent": False,
            },
        ),
        (
            EVENT,  # the end is the day after the last, the field the last day
            {"start": date(2026, 3, 4), "end": date(2026, 3, 6), "all_day": True},
            {
                "StartDateTime": "2026-03-04T00:00:00.000+0000",
                "EndDateTime": "2026-03-05T00:00:00.000+0000",
                "IsAllDayEvent": True,
            },
        ),
    ],
)
def test_what_is_written(kind: Kind, columns: Columns, row: dict[str, object]) -> None:
    assert written(kind, columns) == row


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        ({"start": NOON, "end": None, "all_day": False}, {"start": NOON, "end": NOON, "all_day": False}),
        (
            {"start": date(2026, 3, 4), "end": None, "all_day": True},
            {"start": date(2026, 3, 4), "end": date(2026, 3, 5), "all_day": True},
        ),
        (
            {"start": date(2026, 3, 4), "end": date(2026, 3, 4), "all_day": None},
            {"start": date(2026, 3, 4), "end": date(2026, 3, 5), "all_day": True},
        ),
        ({"start": NOON.replace(microsecond=5)}, {"start": NOON}),
        (
            {"start": NOON.replace(second=5), "end": NOON.replace(minute=59, second=59)},
            {"start": NOON.replace(second=5), "end": NOON.replace(minute=59, second=5)},
        ),
        ({"time_zone": "Europe/Berlin", "status": "confirmed"}, {}),
        ({"sensitivity": "confidential"}, {"sensitivity": "private"}),
    ],
)
def test_events_as_they_come_back(columns: Columns, kept: Columns) -> None:
    assert project(EVENT, columns) == kept


def test_a_read_only_column_stands_for_itself() -> None:
    assert project(CONTACT, {"company": " Example Ltd "}) == {"company": "Example Ltd"}
    held, read_only = MAPPERS[CONTACT].held(SCHEMAS[CONTACT])
    assert "company" in held
    assert read_only == {"company"}


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"last_name": None, "company": "Example Ltd", "first_name": "Ada"}, "(Example Ltd)"),
        ({"first_name": "Ada", "email": "ada@example.com"}, "(Ada)"),
        ({"last_name": "", "email": "ada@example.com"}, "(ada@example.com)"),
        ({"last_name": " \0 "}, "(no name)"),
        ({"company": "x" * 200}, f"({'x' * 78})"),
        ({"last_name": 'O\'Neil "漢" 🎉'}, 'O\'Neil "漢" 🎉'),
    ],
)
def test_a_contact_without_a_last_name_gets_a_stand_in(columns: Columns, name: str) -> None:
    row = MAPPERS[CONTACT].new_row(columns, SCHEMAS[CONTACT])
    assert row["LastName"] == name
    assert objection(row, SCHEMAS[CONTACT]) is None


def test_the_stand_in_never_comes_back_as_an_edit() -> None:
    columns = {"last_name": None, "first_name": "Ada"}
    row = written(CONTACT, columns)
    assert MAPPERS[CONTACT].columns(row)["last_name"] is None
    assert project(CONTACT, columns)["last_name"] is None
    assert written(CONTACT, {"last_name": None}) == {"LastName": "(no name)"}


def test_reads_a_row() -> None:
    row = {
        "Account": {"attributes": {}, "Name": "Example Ltd"},
        "FIRSTNAME": "Ada",
        "Email": None,
        "Birthdate": "1980-01-02",
    }
    columns = MAPPERS[CONTACT].columns(row)
    assert columns == {
        "company": "Example Ltd",
        "first_name": "Ada",
        "email": None,
        "birthday": date(1980, 1, 2),
    }
    assert MAPPERS[CONTACT].columns({"Account": None}) == {"company": None}


def test_reads_events() -> None:
    row = {
        "IsAllDayEvent": True,
        "StartDateTime": "2026-03-04T00:00:00.000+0000",
        "EndDateTime": "2026-03-05T00:00:00.000+0000",
    }
    assert MAPPERS[EVENT].columns(row) == {
        "start": date(2026, 3, 4),
        "end": date(2026, 3, 6),
        "all_day": True,
    }
    timed = MAPPERS[EVENT].columns({**row, "IsAllDayEvent": False, "ShowAs": "Custom", "IsPrivate": True})
    assert timed == {
        "start": datetime(2026, 3, 4, tzinfo=UTC),
        "end": datetime(2026, 3, 5, tzinfo=UTC),
        "all_day": False,
        "sensitivity": "private",
    }


@pytest.mark.parametrize(
    "row",
    [{"Birthdate": "tomorrow"}, {"Email": {"nested": 1}}, {"Birthdate": True}, {"Account": {"Name": []}}],
)
def test_what_cannot_be_read_names_the_field_only(row: dict[str, object]) -> None:
    with pytest.raises(Unmappable) as caught:
        MAPPERS[CONTACT].columns(row)
    assert "tomorrow" not in str(caught.value)
    assert "Birthdate" in str(caught.value) or "Email" in str(caught.value) or "Account" in str(caught.value)


def test_too_long_is_said_and_never_cut() -> None:
    long = "x" * 41
    row = MAPPERS[CONTACT].row({"first_name": long}, SCHEMAS[CONTACT])
    assert objection(row, SCHEMAS[CONTACT]) == (
        "too_long",
        "FirstName holds 40 characters in the CRM, this has 41",
    )
    assert project(CONTACT, {"first_name": long}) == {"first_name": long}


def test_an_event_of_whole_minutes_where_its_end_is_given_as_a_day() -> None:
    columns = {"start": datetime(1999, 1, 1, 0, 0, 1, tzinfo=UTC), "end": date(2000, 1, 1)}
    kept = project(Kind.APPOINTMENT, columns)
    assert project(Kind.APPOINTMENT, kept) == kept


@pytest.mark.parametrize(
    ("row", "activity"),
    [
        ({}, None),
        ({"TaskSubtype": "Task", "Type": None}, None),
        ({"TaskSubtype": "Call"}, "phone_call"),
        ({"TaskSubtype": "Call", "Type": "Meeting"}, "phone_call"),
        ({"TaskSubtype": "Call", "Type": "Letter"}, "letter"),
        ({"Type": "fax"}, "fax"),
        ({"TaskSubtype": "Call", "Type": "Other"}, None),
    ],
)
def test_what_a_task_stands_for(row: dict[str, object], activity: str | None) -> None:
    assert MAPPERS[Kind.TASK].columns(row)["activity"] == activity


def test_a_type_that_is_none_of_ours_is_no_opinion() -> None:
    assert "activity" not in MAPPERS[Kind.TASK].columns({"Type": "Meeting", "TaskSubtype": "Task"})


def test_without_the_field_type_there_are_phone_calls_only() -> None:
    untyped = Schema("Task", {"tasksubtype": Field("TaskSubtype", updateable=False)})
    task = MAPPERS[Kind.TASK]
    assert task.project({"activity": "phone_call"}, untyped) == {"activity": "phone_call"}
    assert task.project({"activity": "letter"}, untyped) == {}
    assert task.new_row({"activity": "phone_call"}, untyped) == {"TaskSubtype": "Call"}
    assert task.row({"activity": "phone_call"}, untyped) == {}


def test_an_event_that_ends_before_it_starts() -> None:
    row = MAPPERS[EVENT].row({"start": NOON, "end": NOON - timedelta(hours=1)}, SCHEMAS[EVENT])
    assert objection(row, SCHEMAS[EVENT]) == ("invalid", "the event ends before it starts")


CUSTOM = Schema(
    "Task",
    {
        f.name.lower(): f
        for f in (
            Field("Start__c", "datetime"),
            Field("Rank__c", "picklist", values=frozenset({"high", "low"})),
            Field("Percent__c", "double"),
            Field("Labels__c", "multipicklist"),
            Field("Kept__c", "string", updateable=False),
        )
    },
)
CUSTOM_FIELDS = {
    "start": "Start__c",
    "priority": "Rank__c",
    "percent_complete": "Percent__c",
    "categories": "Labels__c",
    "subject": "Kept__c",
    "description": "Gone__c",
}


def test_custom_fields_are_converted_by_their_type() -> None:
    mapper = Mapper(TASK, CUSTOM_FIELDS)
    columns: dict[str, Value] = {
        "start": date(2026, 3, 4),
        "priority": "normal",
        "percent_complete": 50,
        "categories": ("b", "a", "b"),
        "subject": "x",
        "description": "lost",
    }
    assert mapper.row(columns, CUSTOM) == {
        "Start__c": "2026-03-04T00:00:00.000+0000",
        "Percent__c": 50,
        "Labels__c": "a;b",
    }
    assert mapper.project(columns, CUSTOM) == {
        "start": datetime(2026, 3, 4, tzinfo=UTC),
        "percent_complete": 50,
        "categories": ("a", "b"),
        "subject": "x",
    }
    assert mapper.columns({"Rank__c": "low", "Percent__c": 49.6}) == {
        "priority": "low",
        "percent_complete": 50,
    }


BY_TYPE = {
    Type.TEXT: st.none()
    | st.text(max_size=30)
    | st.sampled_from(["busy", "waiting", "high", "private", "(x)"]),
    Type.DATE: st.none() | st.dates(date(1900, 1, 1)),
    Type.MOMENT: st.none()
    | st.dates(date(1900, 1, 2), date(2999, 1, 1))
    | st.datetimes(datetime(1900, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC)),
    Type.FLAG: st.booleans(),
    Type.NUMBER: st.none() | st.integers(0, 100),
    Type.LIST: st.lists(st.text(max_size=5)).map(tuple),
}


@settings(max_examples=60)
@given(st.data(), st.sampled_from(list(DEFAULT_FIELDS)))
def test_what_is_written_reads_as_projected_and_projecting_twice_changes_nothing(
    data: st.DataObject, kind: Kind
) -> None:
    columns = {
        c: data.draw(BY_TYPE.get(COLUMNS[kind][c].type, BY_TYPE[Type.TEXT]), c) for c in DEFAULT_FIELDS[kind]
    }
    kept = project(kind, columns)
    assert project(kind, kept) == kept
    _, read_only = MAPPERS[kind].held(SCHEMAS[kind])
    elsewhere = read_only | MAPPERS[kind].partial()  # people stand in records of their own
    back = MAPPERS[kind].columns(written(kind, columns))
    assert {c: v for c, v in back.items() if v is not None} == {
        c: v for c, v in kept.items() if v is not None and c not in elsewhere
    }
