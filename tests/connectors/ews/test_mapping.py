"""Exchange's properties and the columns behind them: what others write, zones, days, names."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.ews import mapping
from crmsync.connectors.ews.mapping import Zone
from crmsync.connectors.ews.properties import KEY, SEARCH_KEY, Malformed, Properties
from crmsync.connectors.ews.zones import held, known, windows

BERLIN = Zone(zoneinfo.ZoneInfo("Europe/Berlin"), "Europe/Berlin")
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MEETING: Properties = {"Subject": "Budget", "Start": NINE, "End": NINE + timedelta(hours=1)}


def read(kind: Kind, zone: Zone = BERLIN, **properties: Any) -> Columns:
    base = MEETING if kind is Kind.APPOINTMENT else {}
    return mapping.read(kind, "id", {**base, **properties}, zone).columns


def written(
    kind: Kind, columns: Columns, standing: Properties | None = None, zone: Zone = BERLIN
) -> Properties:
    return mapping.write(kind, standing, columns, zone=zone)


# ── days ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "at",
    [
        datetime(1985, 12, 10, 11, 59, tzinfo=UTC),  # MS-OXOCNTC
        datetime(1985, 12, 10, tzinfo=UTC),
        datetime(1985, 12, 9, 23, tzinfo=UTC),  # midnight in Berlin
    ],
)
def test_a_birthday_is_a_day_whoever_wrote_it(at: datetime) -> None:
    assert read(Kind.CONTACT, Birthday=at)["birthday"] == date(1985, 12, 10)


@pytest.mark.parametrize(
    "name", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "America/New_York"]
)
def test_our_days_stay_in_every_zone(name: str) -> None:
    zone = Zone(zoneinfo.ZoneInfo(name), name)
    day = date(2026, 5, 1)
    contact = written(Kind.CONTACT, {"last_name": "x", "birthday": day}, zone=zone)
    task = written(Kind.TASK, {"subject": "x", "due": day}, zone=zone)
    assert mapping.read(Kind.CONTACT, "id", contact, zone).columns["birthday"] == day
    assert mapping.read(Kind.TASK, "id", task, zone).columns["due"] == day


_DAYS = st.dates(date(1905, 1, 1), date(2095, 12, 31))
_NAMES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})


@settings(deadline=None, database=None)
@given(st.sampled_from(_NAMES), _DAYS, st.integers(1, 20))
def test_whole_days_do_not_shift_in_any_zone(name: str, start: date, days: int) -> None:
    zone = Zone(zoneinfo.ZoneInfo(name), name)
    columns = {"subject": "x", "start": start, "end": start + timedelta(days=days), "all_day": True}
    stands = written(Kind.APPOINTMENT, columns, zone=zone)
    for reader in (zone, BERLIN):  # whoever reads it
        back = mapping.read(Kind.APPOINTMENT, "id", stands, reader).columns
        assert (back["start"], back["end"]) == (columns["start"], columns["end"])


@settings(deadline=None, database=None)
@given(
    st.sampled_from(_NAMES), st.datetimes(datetime(1995, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
)
def test_moments_do_not_move_in_any_zone(name: str, start: datetime) -> None:
    start = start.replace(microsecond=0)
    columns = {"subject": "x", "start": start, "end": start, "all_day": False, "time_zone": name}
    stands = written(Kind.APPOINTMENT, columns)
    back = mapping.read(Kind.APPOINTMENT, "id", stands, BERLIN).columns
    assert back["start"] == back["end"] == start
    assert back["time_zone"] == mapping.project(Kind.APPOINTMENT, columns)["time_zone"]


def test_every_zone_of_ours_has_one_of_windows_that_has_one_of_ours() -> None:
    for name in _NAMES:
        id = windows(name)
        assert known(id) is not None, name
        assert held(held(name)) == held(name)


@pytest.mark.parametrize(
    ("zone", "back"),
    [
        ("Europe/Vienna", "Europe/Berlin"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("UTC", None),
        ("Mars/Olympus", None),
    ],
)
def test_a_zone_comes_back_as_the_one_that_stands_for_it(zone: str, back: str | None) -> None:
    assert mapping.project(Kind.APPOINTMENT, {"time_zone": zone}) == {"time_zone": back}


def test_a_zone_that_nobody_knows_is_no_opinion() -> None:
    """ "Customized Time Zone", and what organisers outside of Exchange send."""
    columns = read(Kind.APPOINTMENT, StartTimeZone="Customized Time Zone")
    assert "time_zone" not in columns
    assert columns["start"] == NINE
    standing = {**MEETING, "StartTimeZone": "Customized Time Zone"}
    moved = written(Kind.APPOINTMENT, {"end": NINE + timedelta(hours=2)}, standing)
    assert "StartTimeZone" not in moved


def test_an_all_day_appointment_of_an_unknown_zone_is_the_nearest_day() -> None:
    zoned = {"StartTimeZone": "tzone://Microsoft/Custom", "IsAllDayEvent": True}
    start = datetime(2026, 5, 1, 4, tzinfo=UTC)  # midnight in New York
    columns = read(Kind.APPOINTMENT, Start=start, End=start + timedelta(days=2), **zoned)
    assert (columns["start"], columns["end"]) == (date(2026, 5, 1), date(2026, 5, 3))


def test_a_meeting_that_is_moved_keeps_its_length_and_zone() -> None:
    standing = {**MEETING, "StartTimeZone": "W. Europe Standard Time"}
    later = NINE + timedelta(days=1)
    moved = written(Kind.APPOINTMENT, {"start": later}, standing)
    assert (moved["Start"], moved["End"]) == (later, later + timedelta(hours=1))


def test_from_hours_to_whole_days_and_back() -> None:
    standing = {**MEETING, "StartTimeZone": "W. Europe Standard Time", "IsAllDayEvent": False}
    day = {"start": date(2026, 3, 2), "end": date(2026, 3, 3), "all_day": True}
    whole = {**standing, **written(Kind.APPOINTMENT, day, standing)}
    assert whole["Start"] == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert mapping.read(Kind.APPOINTMENT, "id", whole, BERLIN).columns["end"] == date(2026, 3, 3)
    hours = {"start": NINE, "end": NINE, "all_day": False, "time_zone": "Europe/Berlin"}
    assert written(Kind.APPOINTMENT, hours, whole)["IsAllDayEvent"] is False


@pytest.mark.parametrize("wrong", [{"Start": None}, {"End": NINE - timedelta(hours=1)}])
def test_an_appointment_that_cannot_be_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(Kind.APPOINTMENT, **wrong)


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_words_that_no_column_has() -> None:
    assert "show_as" not in read(Kind.APPOINTMENT, LegacyFreeBusyStatus="WorkingElsewhere")
    assert read(Kind.APPOINTMENT, Sensitivity="Personal")["sensitivity"] == "private"
    standing = {**MEETING, "Sensitivity": "Personal"}
    assert "Sensitivity" not in written(Kind.APPOINTMENT, {"sensitivity": "private"}, standing)
    assert mapping.read(Kind.TASK, "id", {"Sensitivity": "Personal"}, BERLIN).private


@pytest.mark.parametrize(
    ("wanted", "status", "percent"),
    [
        ({"status": "completed"}, "Completed", 100),
        ({"status": "completed", "percent_complete": 50}, "Completed", 100),
        ({"status": "in_progress", "percent_complete": 100}, "InProgress", 99),
        ({"status": "not_started", "percent_complete": 40}, "NotStarted", 0),
        ({"status": "cancelled", "percent_complete": 40}, "Deferred", 40),
        ({"percent_complete": 100}, "Completed", 100),
        ({"percent_complete": 30}, "InProgress", 30),
    ],
)
def test_progress_is_written_so_that_exchange_has_nothing_to_conclude(
    wanted: Columns, status: str, percent: int
) -> None:
    told = written(Kind.TASK, wanted, {"Status": "Deferred" if "status" not in wanted else "NotStarted"})
    if "status" not in wanted and percent == 30:
        assert "Status" not in told  # deferred, and still is
    else:
        assert told.get("Status", "NotStarted") == status
    assert told.get("PercentComplete", 0) == percent


def test_a_task_that_is_taken_up_again_starts_from_nothing() -> None:
    standing = {"Status": "Completed", "PercentComplete": 100, "CompleteDate": NINE}
    told = written(Kind.TASK, {"status": "in_progress"}, standing)
    assert (told["Status"], told["PercentComplete"]) == ("InProgress", 0)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_contact_is_shown_and_filed() -> None:
    told = written(Kind.CONTACT, {"first_name": "Ada", "last_name": "Lovelace", "company": "Engines"})
    assert (told["DisplayName"], told["FileAs"]) == ("Ada Lovelace", "Lovelace, Ada")
    assert written(Kind.CONTACT, {"company": "Engines"})["DisplayName"] == "Engines"


def test_names_follow_while_nobody_chose_others() -> None:
    standing: Properties = {
        "GivenName": "Ada",
        "Surname": "Byron",
        "DisplayName": "Ada Byron",
        "FileAs": "The Countess",
    }
    told = written(Kind.CONTACT, {"last_name": "Lovelace"}, standing)
    assert told == {"Surname": "Lovelace", "DisplayName": "Ada Lovelace"}


def test_a_title_changes_neither_name() -> None:
    standing: Properties = {"GivenName": "Ada", "DisplayName": "Ada", "FileAs": "Ada"}
    assert written(Kind.CONTACT, {"job_title": "Countess"}, standing) == {"JobTitle": "Countess"}


# ── limits and identities ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_too_long_is_cut_where_windows_would() -> None:
    told = mapping.project(Kind.TASK, {"subject": "👩" * 200})
    assert told["subject"] == "👩" * 127


def test_who_an_item_is() -> None:
    assert mapping.read(Kind.APPOINTMENT, "id", {**MEETING, "UID": "u", KEY: "k"}, BERLIN).uid == "u"
    assert mapping.read(Kind.CONTACT, "id", {KEY: "k", SEARCH_KEY: "s"}, BERLIN).uid == "k"
    assert mapping.read(Kind.CONTACT, "id", {SEARCH_KEY: "s"}, BERLIN).uid == "s"
    assert mapping.read(Kind.CONTACT, "id", {}, BERLIN).uid == "id"


def test_a_series_and_a_repeated_task_are_left_alone() -> None:
    series = mapping.read(Kind.APPOINTMENT, "id", {**MEETING, "CalendarItemType": "RecurringMaster"}, BERLIN)
    task = mapping.read(Kind.TASK, "id", {"IsRecurring": True}, BERLIN)
    assert series.untouchable == task.untouchable == "recurring"


def test_nothing_new_is_nothing_to_write() -> None:
    standing: Properties = {"GivenName": "Ada", "Categories": ("CRM", "Blue")}
    told = mapping.write(Kind.CONTACT, standing, {"first_name": "Ada"}, zone=BERLIN, tag="CRM")
    assert told == {}
    assert mapping.write(Kind.CONTACT, {"Categories": ("crm",)}, {}, zone=BERLIN, tag="CRM") == {}


def test_line_ends_that_exchange_adds_to_a_body_are_no_edit() -> None:
    assert read(Kind.TASK, Body="one\r\ntwo\r\n\r\n")["description"] == "one\ntwo"
    assert mapping.project(Kind.TASK, {"description": "one\ntwo\n"}) == {"description": "one\ntwo"}
    assert mapping.project(Kind.TASK, {"description": "\n"}) == {"description": None}


def test_a_reminder_that_is_to_stay_does_not_move_along_with_its_appointment() -> None:
    """Exchange keeps it as minutes before the start."""
    start, remind = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 8, 45, tzinfo=UTC)
    before = {
        "subject": "x",
        "start": start,
        "end": start + timedelta(hours=1),
        "all_day": False,
        "reminder": remind,
    }
    stands = written(Kind.APPOINTMENT, before)
    later = {"start": start + timedelta(hours=1), "end": start + timedelta(hours=2), "reminder": remind}
    told = written(Kind.APPOINTMENT, later, stands)
    assert told["ReminderMinutesBeforeStart"] == 75
    assert read(Kind.APPOINTMENT, **{**stands, **told})["reminder"] == remind
