"""What is a date in a header, and what is none: whatever a server writes there, nobody falls over it."""

from datetime import UTC, datetime

import pytest

from crmsync.connectors.dates import http_date


@pytest.mark.parametrize(
    "text",
    ["Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 11:00:00 +0100", "Sun, 22 Nov 2026 10:00:00"],
)
def test_a_date_is_utc(text: str) -> None:
    told = http_date(text)
    assert told == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert told.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "yesterday",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1400",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 01 Jan 0100 00:00:00 +1400",
        "Mon, 01 Jan 2026 00:00:00 +99999999",
        "Mon, 32 Jan 2026 25:00:00 GMT",
        f"Mon, {'1' * 5000} Jan 2026 00:00:00 GMT",
    ],
)
def test_what_is_no_date(text: str | None) -> None:
    assert http_date(text) is None
