"""HTTP's conditions (REST API Developer Guide, "Conditional Request Headers").

If-Match and If-None-Match compare a hash of the record, the others its last modification, exact to the second only.
"""

import datetime
import hashlib
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from crmsync.connectors import dates
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.records import Row
from crmsync.state.replica.values import encode_datetime

__all__ = ["condition", "etag", "http_date", "parsed_date", "stamp", "unmodified"]


def etag(row: Row) -> str:
    shown = "\x1f".join(f"{name}={row[name]}" for name in sorted(row))
    return f'"{hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()[:28]}"'


def http_date(moment: datetime.datetime) -> str:
    """Of an aware datetime."""
    return format_datetime(moment.astimezone(datetime.UTC), usegmt=True)


def unmodified(headers: Mapping[str, str], row: Row) -> bool:
    """The client's copy is good: answer 304."""
    if "if-none-match" in headers:
        return _listed(headers["if-none-match"], row)
    since = parsed_date(headers.get("if-modified-since"))
    return since is not None and stamp(row) <= since


def condition(headers: Mapping[str, str]) -> Any:
    """What the stored row must satisfy before a PATCH, or None."""
    if not headers.keys() & {"if-match", "if-unmodified-since", "if-none-match", "if-modified-since"}:
        return None
    since = parsed_date(headers.get("if-unmodified-since"))
    if "if-unmodified-since" in headers and since is None:
        raise Fault(
            "INVALID_HEADER", "If-Unmodified-Since: a date as in RFC 9110, section 5.6.7, was expected"
        )

    def check(row: Row) -> None:
        changed = since is not None and stamp(row) > since
        other = "if-match" in headers and not _listed(headers["if-match"], row)
        same = "if-none-match" in headers and _listed(headers["if-none-match"], row)
        if changed or other or same:
            what = f"The record has changed; it was last modified at {encode_datetime(row['SystemModstamp'])}"
            raise Fault("PRECONDITION_FAILED", what)

    return check


def stamp(row: Row) -> datetime.datetime:
    """When it was last modified."""
    moment = row.get("LastModifiedDate") or row["SystemModstamp"]
    assert isinstance(moment, datetime.datetime)
    return moment.replace(tzinfo=datetime.UTC)


def _listed(tags: str, row: Row) -> bool:
    mine = etag(row).strip('"')
    given = {
        tag.strip().removeprefix("W/").strip('"').removesuffix("-gzip").removesuffix("--gzip")
        for tag in tags.split(",")
    }
    return "*" in given or mine in given


def parsed_date(text: str | None) -> datetime.datetime | None:
    return dates.http_date(text)
