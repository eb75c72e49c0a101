"""Computed fields and fields that belong together."""

import datetime
from typing import Any

import pytest

from crmsync.state.replica.faults import Rejected, Saved
from tests.state.replica.conftest import Bench, codes

UTC_NOON = datetime.datetime(2026, 3, 1, 12, 0)


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "given",
    [
        {"StartDateTime": "2026-05-01T10:00:00Z", "EndDateTime": "2026-05-01T11:30:00Z"},
        {"StartDateTime": "2026-05-01T10:00:00Z", "DurationInMinutes": 90},
        {"ActivityDateTime": "2026-05-01T12:00:00+02:00", "DurationInMinutes": "90"},
        {"StartDateTime": "2026-05-01T10:00:00.999+0000", "EndDateTime": "2026-05-01T13:30:00.000+0200",
         "DurationInMinutes": 90},
    ],
)  # fmt: skip
def test_an_event_however_it_is_given(bench: Bench, given: dict[str, Any]) -> None:
    row = bench.read(bench.create("Event", Subject="e", **given))
    assert row["StartDateTime"] == row["ActivityDateTime"] == at("2026-05-01T10:00")
    assert row["EndDateTime"] == at("2026-05-01T11:30")
    assert row["DurationInMinutes"] == 90
    assert row["ActivityDate"] == row["EndDate"] == datetime.date(2026, 5, 1)
    assert row["ShowAs"] == "Busy"


@pytest.mark.parametrize(
    ("given", "last", "minutes"),
    [
        ({"ActivityDate": "2026-05-01"}, "2026-05-01", 1440),
        ({"StartDateTime": "2026-05-01T00:00:00Z", "EndDateTime": "2026-05-03T00:00:00Z"}, "2026-05-03", 4320),
        ({"StartDateTime": "2026-05-01T00:00:00Z", "DurationInMinutes": 2880}, "2026-05-02", 2880),
        ({"StartDateTime": "2026-05-01T00:00:00Z", "EndDateTime": "2026-05-02T00:00:00Z",
          "DurationInMinutes": 2880}, "2026-05-02", 2880),
    ],
)  # fmt: skip
def test_an_all_day_event_ends_with_its_last_day(
    bench: Bench, given: dict[str, Any], last: str, minutes: int
) -> None:
    row = bench.read(bench.create("Event", IsAllDayEvent=True, **given))
    assert row["StartDateTime"] == at("2026-05-01T00:00")
    assert row["EndDateTime"] == at(f"{last}T00:00")
    assert row["ActivityDateTime"] is None
    assert row["DurationInMinutes"] == minutes


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "REQUIRED_FIELD_MISSING"),
        ({"IsAllDayEvent": True}, "REQUIRED_FIELD_MISSING"),
        ({"StartDateTime": "2026-05-01T10:00:00Z"}, "REQUIRED_FIELD_MISSING"),
        ({"DurationInMinutes": 30}, "REQUIRED_FIELD_MISSING"),
        ({"StartDateTime": "2026-05-01T10:00:00Z", "EndDateTime": "2026-05-01T09:00:00Z"},
         "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "2026-05-01T10:00:00Z", "DurationInMinutes": -1}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "2026-05-01T10:00:00Z", "EndDateTime": "2026-05-01T11:00:00Z",
          "DurationInMinutes": 30}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "2026-05-01T10:00:00Z", "ActivityDateTime": "2026-05-01T11:00:00Z",
          "DurationInMinutes": 30}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "2026-05-01T10:00:00Z", "EndDateTime": "2026-05-16T10:00:00Z"},
         "FIELD_INTEGRITY_EXCEPTION"),
        ({"IsAllDayEvent": True, "StartDateTime": "2026-05-02T00:00:00Z",
          "EndDateTime": "2026-05-01T00:00:00Z"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "3999-12-31T23:59:00Z", "DurationInMinutes": 99_999_999},
         "FIELD_INTEGRITY_EXCEPTION"),
        ({"StartDateTime": "9999-12-31T23:59:00Z", "DurationInMinutes": 1}, "JSON_PARSER_ERROR"),
    ],
)  # fmt: skip
def test_events_that_do_not_fit_together(bench: Bench, given: dict[str, Any], code: str) -> None:
    assert codes(bench.try_create("Event", **given)) == [code]


def test_a_start_that_moves_takes_the_end_along(bench: Bench) -> None:
    event = bench.create("Event", StartDateTime="2026-05-01T10:00:00Z", DurationInMinutes=45)
    bench.update(event, StartDateTime="2026-05-02T08:00:00Z")
    assert bench.read(event)["EndDateTime"] == at("2026-05-02T08:45")
    bench.update(event, EndDateTime="2026-05-02T10:00:00Z")
    assert bench.read(event)["DurationInMinutes"] == 120


def test_an_event_becomes_all_day_and_back(bench: Bench) -> None:
    event = bench.create("Event", StartDateTime="2026-05-01T10:00:00Z", DurationInMinutes=45)
    assert isinstance(bench.update(event, IsAllDayEvent=True), Saved)
    assert bench.read(event)["DurationInMinutes"] == 1440
    assert isinstance(bench.update(event, IsAllDayEvent=False), Rejected)
    back = {"StartDateTime": "2026-05-01T10:00:00Z", "EndDateTime": "2026-05-01T10:45:00Z"}
    assert isinstance(bench.update(event, IsAllDayEvent=False, **back), Saved)
    assert bench.read(event)["ActivityDateTime"] == at("2026-05-01T10:00")


def test_a_task_is_completed_and_reopened(bench: Bench) -> None:
    task = bench.create("Task", Subject="t", Priority="high")
    row = bench.read(task)
    assert (row["Status"], row["IsClosed"], row["IsHighPriority"]) == ("Not Started", False, True)
    assert row["CompletedDateTime"] is None
    bench.update(task, Status="completed")
    assert bench.read(task)["CompletedDateTime"] == UTC_NOON
    bench.clock.advance(hours=1)
    bench.update(task, Subject="still done")
    row = bench.read(task)
    assert (row["IsClosed"], row["CompletedDateTime"]) == (True, UTC_NOON)
    bench.update(task, Status="In Progress")
    row = bench.read(task)
    assert (row["IsClosed"], row["CompletedDateTime"]) == (False, None)


def test_an_activity_belongs_to_the_account_of_what_it_is_about(bench: Bench) -> None:
    account = bench.create("Account", Name="Acme")
    contact = bench.create("Contact", LastName="x", AccountId=account)
    deal = bench.create(
        "Opportunity", Name="d", StageName="Prospecting", CloseDate="2026-06-01", AccountId=account
    )
    for given in ({"WhatId": account}, {"WhoId": contact}, {"WhatId": deal}):
        assert bench.read(bench.create("Task", **given))["AccountId"] == account
    task = bench.create("Task", WhoId=contact)
    bench.update(task, Subject="untouched")
    assert bench.read(task)["AccountId"] == account


def test_an_opportunity_follows_its_stage(bench: Bench) -> None:
    deal = bench.create(
        "Opportunity", Name="d", StageName="Needs Analysis", CloseDate="2026-06-01", Amount=1000
    )
    row = bench.read(deal)
    assert (row["Probability"], row["ExpectedRevenue"], row["ForecastCategory"]) == (20, 200, "Pipeline")
    assert (row["FiscalYear"], row["FiscalQuarter"], row["Fiscal"]) == (2026, 2, "2026 2")
    bench.update(deal, StageName="Closed Won")
    row = bench.read(deal)
    assert (row["IsClosed"], row["IsWon"], row["Probability"], row["ForecastCategory"]) == (
        True,
        True,
        100,
        "Closed",
    )


def test_a_case_is_closed(bench: Bench) -> None:
    case = bench.create("Case", Subject="c")
    bench.update(case, Status="Closed")
    row = bench.read(case)
    assert (row["IsClosed"], row["ClosedDate"]) == (True, UTC_NOON)
