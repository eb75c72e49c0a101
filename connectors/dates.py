"""Dates as the headers of HTTP have them."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_YEARS = range(1970, 2201)  # no server means another, and whoever calculates with it would leave the calendar


def http_date(text: str | None) -> datetime | None:
    """An HTTP date (RFC 9110 5.6.7), in UTC; None for what is none."""
    try:
        told = parsedate_to_datetime(text or "")
        at = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # a year of twenty digits is the last of them
        return None
    return at if at.year in _YEARS else None
