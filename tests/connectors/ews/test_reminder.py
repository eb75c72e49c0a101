"""Reminders: minutes before the start on Exchange, the moment itself in the column."""

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.contract import Create, Done, Kind, Record, Update
from crmsync.connectors.dav.values import ABSENT
from crmsync.connectors.ews.connector import EwsConnector
from crmsync.connectors.ews.properties import REMINDED
from crmsync.connectors.ews.reminder import read_reminder, write_reminder
from tests.connectors.ews.conftest import ALICE, Opened, folder, person
from tests.servers.ews.place import Item
from tests.servers.ews.server import EwsServer

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUARTER = START - timedelta(minutes=15)


@pytest.mark.parametrize(
    ("before", "minutes", "is_exact"),
    [
        (timedelta(minutes=15), 15, True),
        (timedelta(0), 0, True),
        (timedelta(days=7), 10_080, True),
        (timedelta(minutes=15, seconds=20), 15, False),
        (timedelta(minutes=-30), 0, False),
        (timedelta(days=9_000), 1_000_000, False),
    ],
)
def test_what_is_written_is_read(before: timedelta, minutes: int, is_exact: bool) -> None:
    told = write_reminder(Kind.APPOINTMENT, START - before, START)
    assert told["ReminderMinutesBeforeStart"] == minutes
    assert (told[REMINDED] is None) is is_exact
    assert read_reminder(Kind.APPOINTMENT, {**told, "Start": START}) == START - before


def test_our_own_word_counts_until_somebody_else_has_spoken() -> None:
    told = write_reminder(Kind.APPOINTMENT, START + timedelta(minutes=5), START)
    later = START + timedelta(hours=1)
    assert read_reminder(Kind.APPOINTMENT, {**told, "Start": later}) == later
    longer = {**told, "Start": START, "ReminderMinutesBeforeStart": 10}
    assert read_reminder(Kind.APPOINTMENT, longer) == START - timedelta(minutes=10)
    broken = {**told, "Start": START, REMINDED: f"soon {str(told[REMINDED]).partition(' ')[2]}"}
    assert read_reminder(Kind.APPOINTMENT, broken) is ABSENT


def test_a_reminder_that_says_no_time_is_no_opinion() -> None:
    assert read_reminder(Kind.TASK, {"ReminderIsSet": True}) is ABSENT
    assert read_reminder(Kind.APPOINTMENT, {"ReminderIsSet": True}) is ABSENT
    assert read_reminder(Kind.APPOINTMENT, {"ReminderMinutesBeforeStart": 15}) is None


# ── On the server ────────────────────────────────────────────────────────────────────────────────────────────


def record(connector: EwsConnector, id: str) -> Record:
    (found,) = connector.fetch([id])
    assert isinstance(found, Record)
    return found


def item(server: EwsServer, known: str, id: str) -> Item:
    return server.place.mailboxes[ALICE].known(known).items[id]


def test_it_moves_along_with_the_appointment(server: EwsServer, login: Opened) -> None:
    calendar, alice = folder(login(), "Calendar"), person(server, "calendar")
    id = alice.add("Budget")
    assert record(calendar, id).columns["reminder"] is None
    alice.set(id, ReminderIsSet="true", ReminderMinutesBeforeStart="15")
    before = record(calendar, id)
    assert before.columns["reminder"] == QUARTER
    moved = {"start": START + timedelta(days=1), "end": START + timedelta(days=1, hours=1)}
    (done,) = calendar.apply([Update(id, before.version, Kind.APPOINTMENT, moved)])
    assert isinstance(done, Done)
    assert record(calendar, id).columns["reminder"] == QUARTER + timedelta(days=1)
    assert item(server, "calendar", id).text("ReminderMinutesBeforeStart") == "15"


def test_it_is_set_changed_and_taken_away(server: EwsServer, login: Opened) -> None:
    calendar = folder(login(), "Calendar")
    id = person(server, "calendar").add("Budget")
    for moment in (QUARTER, START - timedelta(hours=2), None):
        version = record(calendar, id).version
        (done,) = calendar.apply([Update(id, version, Kind.APPOINTMENT, {"reminder": moment})])
        assert isinstance(done, Done)
        assert record(calendar, id).columns["reminder"] == moment
    assert item(server, "calendar", id).text("ReminderIsSet") == "false"


@pytest.mark.parametrize("reminder", [None, QUARTER])
def test_a_new_appointment_has_the_reminder_that_it_is_given_and_not_the_servers(
    login: Opened, reminder: datetime | None
) -> None:
    calendar = folder(login(), "Calendar")
    columns = {"subject": "x", "start": START, "end": START, "all_day": False, "time_zone": None}
    (done,) = calendar.apply([Create("k", Kind.APPOINTMENT, {**columns, "reminder": reminder})])
    assert isinstance(done, Done)
    assert record(calendar, done.id).columns["reminder"] == reminder


def test_a_task_reminds_at_a_moment(server: EwsServer, login: Opened) -> None:
    tasks = folder(login(), "Tasks")
    id = person(server, "tasks").add("Call")
    version = record(tasks, id).version
    (done,) = tasks.apply([Update(id, version, Kind.TASK, {"reminder": START})])
    assert isinstance(done, Done)
    assert record(tasks, id).columns["reminder"] == START
    assert item(server, "tasks", id).text("ReminderDueBy") == "2026-03-02T09:00:00Z"
