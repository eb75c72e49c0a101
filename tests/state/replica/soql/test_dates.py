import datetime

import pytest

from crmsync.state.replica.soql import dates

TODAY = datetime.date(2024, 5, 15)  # a Wednesday


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("YESTERDAY", None, "2024-05-14", "2024-05-14"),
        ("TODAY", None, "2024-05-15", "2024-05-15"),
        ("TOMORROW", None, "2024-05-16", "2024-05-16"),
        ("LAST_WEEK", None, "2024-05-05", "2024-05-11"),
        ("THIS_WEEK", None, "2024-05-12", "2024-05-18"),
        ("NEXT_WEEK", None, "2024-05-19", "2024-05-25"),
        ("LAST_MONTH", None, "2024-04-01", "2024-04-30"),
        ("THIS_MONTH", None, "2024-05-01", "2024-05-31"),
        ("NEXT_MONTH", None, "2024-06-01", "2024-06-30"),
        ("LAST_90_DAYS", None, "2024-02-15", "2024-05-15"),
        ("NEXT_90_DAYS", None, "2024-05-16", "2024-08-13"),
        ("LAST_QUARTER", None, "2024-01-01", "2024-03-31"),
        ("THIS_QUARTER", None, "2024-04-01", "2024-06-30"),
        ("NEXT_QUARTER", None, "2024-07-01", "2024-09-30"),
        ("LAST_YEAR", None, "2023-01-01", "2023-12-31"),
        ("NEXT_YEAR", None, "2025-01-01", "2025-12-31"),
        ("THIS_FISCAL_QUARTER", None, "2024-04-01", "2024-06-30"),
        ("LAST_FISCAL_YEAR", None, "2023-01-01", "2023-12-31"),
        ("LAST_N_DAYS", 2, "2024-05-13", "2024-05-15"),
        ("NEXT_N_DAYS", 2, "2024-05-16", "2024-05-17"),
        ("N_DAYS_AGO", 2, "2024-05-13", "2024-05-13"),
        ("LAST_N_WEEKS", 2, "2024-04-28", "2024-05-11"),
        ("NEXT_N_WEEKS", 2, "2024-05-19", "2024-06-01"),
        ("N_WEEKS_AGO", 2, "2024-04-28", "2024-05-04"),
        ("LAST_N_MONTHS", 5, "2023-12-01", "2024-04-30"),
        ("NEXT_N_MONTHS", 8, "2024-06-01", "2025-01-31"),
        ("N_MONTHS_AGO", 5, "2023-12-01", "2023-12-31"),
        ("LAST_N_QUARTERS", 2, "2023-10-01", "2024-03-31"),
        ("N_QUARTERS_AGO", 2, "2023-10-01", "2023-12-31"),
        ("LAST_N_YEARS", 2, "2022-01-01", "2023-12-31"),
        ("NEXT_N_YEARS", 2, "2025-01-01", "2026-12-31"),
        ("N_FISCAL_QUARTERS_AGO", 1, "2024-01-01", "2024-03-31"),
        ("LAST_N_FISCAL_YEARS", 1, "2023-01-01", "2023-12-31"),
    ],
)
def test_the_days_of_a_literal(name: str, count: int | None, first: str, last: str) -> None:
    begin, end = dates.days(name, count, TODAY)
    assert (begin.isoformat(), (end - datetime.timedelta(days=1)).isoformat()) == (first, last)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("THIS_FISCAL_YEAR", "2023-07-01", "2024-06-30"),
        ("LAST_FISCAL_YEAR", "2022-07-01", "2023-06-30"),
        ("THIS_FISCAL_QUARTER", "2024-04-01", "2024-06-30"),
        ("NEXT_FISCAL_QUARTER", "2024-07-01", "2024-09-30"),
    ],
)
def test_a_fiscal_year_that_begins_in_july(name: str, first: str, last: str) -> None:
    begin, end = dates.days(name, None, TODAY, fiscal_month=7)
    assert (begin.isoformat(), (end - datetime.timedelta(days=1)).isoformat()) == (first, last)


def test_a_week_begins_on_its_sunday() -> None:
    sunday = datetime.date(2024, 5, 12)
    assert dates.days("THIS_WEEK", None, sunday)[0] == sunday


def test_every_literal_has_days() -> None:
    for name in dates.PERIODS:
        assert dates.days(name, None, TODAY)[0] < dates.days(name, None, TODAY)[1]
    for name in dates.COUNTED:
        assert dates.days(name, 3, TODAY)[0] < dates.days(name, 3, TODAY)[1]


@pytest.mark.parametrize("name", sorted(dates.COUNTED))
def test_no_literal_reaches_beyond_the_calendar(name: str) -> None:
    with pytest.raises(OverflowError):
        dates.days(name, 999_999_999, TODAY)
