"""What the CRM itself decides about a record: computed fields and the consistency of related ones.

`derive` completes a row before it is written. Sources: Salesforce's Object Reference, pages Event, Task,
Contact, Opportunity and Case. Where the day of a moment is needed, it is the day in UTC.
"""

import base64
import datetime
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.faults import Fault

__all__ = ["Change", "derive"]

Row = dict[str, Any]
DAY = 24 * 60  # minutes
LONGEST_EVENT = 14 * DAY


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the row as it will be, the names that the client gave, the row as it was (None: it is new).

    `related` has the rows that the new row refers to, by id; `now` is naive UTC.
    """

    row: Row
    given: frozenset[str]
    before: Mapping[str, Any] | None
    related: Mapping[str, Mapping[str, Any]]
    now: datetime.datetime

    def became(self, name: str) -> bool:
        """The boolean turned true with this write."""
        return bool(self.row[name]) and not (self.before is not None and self.before[name])


def derive(object_name: str, change: Change) -> None:
    """Fills the computed fields of `change.row`; raises Fault when what was given does not fit together."""
    rule = _RULES.get(object_name)
    if rule is not None:
        rule(change)


def _person(change: Change) -> None:
    row = change.row
    parts = (row.get(name) for name in ("FirstName", "MiddleName", "LastName", "Suffix"))
    row["Name"] = " ".join(part for part in parts if part) or None


def _contact(change: Change) -> None:
    row = change.row
    _person(change)
    row["IsEmailBounced"] = (
        row.get("EmailBouncedReason") is not None or row.get("EmailBouncedDate") is not None
    )


def _task(change: Change) -> None:
    row = change.row
    row["IsClosed"] = _is(row["Status"], "Completed")
    row["IsHighPriority"] = _is(row["Priority"], "High")
    if change.became("IsClosed"):
        row["CompletedDateTime"] = change.now
    elif not row["IsClosed"]:
        row["CompletedDateTime"] = None
    _activity(change)


def _activity(change: Change) -> None:
    """AccountId follows WhatId, else a contact in WhoId (Object Reference, Task, AccountId)."""
    row = change.row
    what = change.related.get(row["WhatId"] or "")
    who = change.related.get(row["WhoId"] or "")
    if row["WhatId"] and row["WhatId"].startswith("001"):
        row["AccountId"] = row["WhatId"]
    else:
        row["AccountId"] = (what or {}).get("AccountId") or (who or {}).get("AccountId")


def _event(change: Change) -> None:
    if change.row["IsAllDayEvent"]:
        _all_day(change)
    else:
        _timed(change)
    row = change.row
    if row["DurationInMinutes"] > LONGEST_EVENT:
        raise _integrity(
            "Duration: an event cannot last longer than 14 days", "DurationInMinutes", "EndDateTime"
        )
    row["ActivityDate"] = row["StartDateTime"].date()
    row["EndDate"] = row["EndDateTime"].date()
    _activity(change)


def _timed(change: Change) -> None:
    row = change.row
    start = _given_start(change)
    if start is None:
        raise Fault(
            "REQUIRED_FIELD_MISSING", "Required fields are missing: [StartDateTime]", ("StartDateTime",)
        )
    minutes, end = _duration(change), _end(change)
    if minutes is None and end is None:
        names = ("DurationInMinutes", "EndDateTime")
        raise Fault("REQUIRED_FIELD_MISSING", "Required fields are missing: [DurationInMinutes]", names)
    if end is None:
        end = start + datetime.timedelta(minutes=minutes or 0)
    _check_span(int((end - start).total_seconds() // 60), minutes)
    row["DurationInMinutes"] = int((end - start).total_seconds() // 60)
    row["StartDateTime"] = row["ActivityDateTime"] = start
    row["EndDateTime"] = end


def _all_day(change: Change) -> None:
    """The end of an all-day event is its last day, at midnight UTC; without an end it lasts one day."""
    row = change.row
    start = _given_start(change)
    if row["ActivityDate"] and "ActivityDate" in change.given and "StartDateTime" not in change.given:
        start = _midnight(row["ActivityDate"])
    if start is None:
        names = ("ActivityDate", "StartDateTime")
        raise Fault("REQUIRED_FIELD_MISSING", "Required fields are missing: [ActivityDate]", names)
    minutes, end = _duration(change), _end(change)
    days = _days(minutes) if end is None else (end.date() - start.date()).days + 1
    _check_span((days - 1) * DAY, None if minutes is None else (_days(minutes) - 1) * DAY)
    row["StartDateTime"] = _midnight(start.date())
    row["EndDateTime"] = row["StartDateTime"] + datetime.timedelta(days=days - 1)
    row["ActivityDateTime"] = None
    row["DurationInMinutes"] = days * DAY


def _days(minutes: int | None) -> int:
    """Whole days, at least one: all-day events have no other lengths."""
    return max(1, -(-(minutes or DAY) // DAY))


def _given_start(change: Change) -> datetime.datetime | None:
    """StartDateTime, or ActivityDateTime when only that was given: they are the same moment."""
    row = change.row
    names = [n for n in ("StartDateTime", "ActivityDateTime") if n in change.given and row[n] is not None]
    if len(names) == 2 and row["StartDateTime"] != row["ActivityDateTime"]:
        raise _integrity("Activity date/time and start date/time must match", *names)
    name = names[0] if names else "StartDateTime"
    start = row[name]
    assert start is None or isinstance(start, datetime.datetime)
    return start


def _duration(change: Change) -> int | None:
    """The length that holds: the one given, else the old one unless a new end was given."""
    minutes: int | None = change.row["DurationInMinutes"]
    if "DurationInMinutes" in change.given:
        return minutes
    turned = change.before is not None and change.before["IsAllDayEvent"] != change.row["IsAllDayEvent"]
    return None if "EndDateTime" in change.given or turned else minutes


def _end(change: Change) -> datetime.datetime | None:
    """The end that was given; without one the end follows from start and duration, so a start moves both."""
    end = change.row["EndDateTime"] if "EndDateTime" in change.given else None
    assert end is None or isinstance(end, datetime.datetime)
    return end


def _check_span(span: int, minutes: int | None) -> None:
    if span < 0:
        raise _integrity("End date/time cannot be before start date/time", "EndDateTime")
    if minutes is not None and minutes != span:
        raise _integrity(f"Duration {minutes} does not fit start and end", "DurationInMinutes", "EndDateTime")


def _opportunity(change: Change) -> None:
    row = change.row
    closed = (row["StageName"] or "").casefold()
    row["IsClosed"] = closed.startswith("closed")
    row["IsWon"] = closed == "closed won"
    stage_changed = change.before is None or change.before["StageName"] != row["StageName"]
    if stage_changed and "Probability" not in change.given:
        row["Probability"] = _PROBABILITY.get(closed, row["Probability"])
    if stage_changed and change.before is not None:
        row["LastStageChangeDate"] = change.now
    amount, probability = row["Amount"], row["Probability"]
    row["ExpectedRevenue"] = None if amount is None else round(amount * (probability or 0) / 100, 2)
    _forecast(row)
    close: datetime.date | None = row["CloseDate"]
    if close is not None:
        row["FiscalYear"], row["FiscalQuarter"] = close.year, (close.month + 2) // 3
        row["Fiscal"] = f"{close.year} {row['FiscalQuarter']}"


def _forecast(row: Row) -> None:
    if row["IsClosed"]:
        row["ForecastCategoryName"] = "Closed" if row["IsWon"] else "Omitted"
    elif row["ForecastCategoryName"] in (None, "Closed", "Omitted"):
        row["ForecastCategoryName"] = "Pipeline"
    shown = row["ForecastCategoryName"]
    row["ForecastCategory"] = {"Best Case": "BestCase", "Commit": "Forecast"}.get(shown, shown)


def _case(change: Change) -> None:
    row = change.row
    row["IsClosed"] = _is(row["Status"], "Closed")
    if change.became("IsClosed"):
        row["ClosedDate"] = change.now
    elif not row["IsClosed"]:
        row["ClosedDate"] = None


def _email(change: Change) -> None:
    """A case's mail is related to the case."""
    row = change.row
    if row["ParentId"] and not row["RelatedToId"]:
        row["RelatedToId"] = row["ParentId"]


def _relation(change: Change) -> None:
    row = change.row
    person = change.related.get(row["RelationId"] or "")
    row["RelationObjectType"] = _KINDS.get((row["RelationId"] or "")[:3])
    if person is not None and not row["RelationAddress"]:
        row["RelationAddress"] = person.get("Email")


def _invited(change: Change) -> None:
    """The last answer has its time (Object Reference, EventRelation, RespondedDate)."""
    row, before = change.row, change.before
    if row["Status"] in _ANSWERS and (before is None or before["Status"] != row["Status"]):
        row["RespondedDate"] = change.now


_ANSWERS = ("Accepted", "Declined", "Maybe")
_KINDS = {"003": "Contact", "00Q": "Lead", "005": "User"}


def _attachment(change: Change) -> None:
    change.row["BodyLength"] = _length(change.row["Body"] or "")


def _length(content: str) -> int:
    """Of bytes that stand here in base64."""
    return len(content) // 4 * 3 - content[-2:].count("=")


def _file(change: Change) -> None:
    """A version of a file is called what its path ends with, and knows what it is by that."""
    row = change.row
    if change.before is None:
        if not row["PathOnClient"] and not row["ContentUrl"]:
            raise faults.required(("PathOnClient",))
        row["ContentSize"], row["ContentModifiedDate"] = _length(row["VersionData"] or ""), change.now
        row["Checksum"] = hashlib.md5(
            base64.b64decode(row["VersionData"] or ""), usedforsecurity=False
        ).hexdigest()
        path = PurePosixPath((row["PathOnClient"] or "").replace("\\", "/"))
        row["FileExtension"] = path.suffix[1:41] or None
        row["FileType"] = (
            _FILE_TYPES.get(path.suffix[1:].lower(), "UNKNOWN") if row["PathOnClient"] else "LINK"
        )
        row["Title"] = row["Title"] or path.stem or row["ContentUrl"][:255]
    if not row["Title"]:
        raise faults.required(("Title",))


_FILE_TYPES = {
    "csv": "CSV", "doc": "WORD", "docx": "WORD_X", "eml": "EML", "gif": "GIF", "htm": "HTML", "html": "HTML",
    "jpeg": "JPG", "jpg": "JPG", "json": "JSON", "mp3": "MP3", "mp4": "MP4", "pdf": "PDF", "png": "PNG",
    "ppt": "POWER_POINT", "pptx": "POWER_POINT_X", "rtf": "RTF", "svg": "SVG", "txt": "TEXT", "xls": "EXCEL",
    "xlsx": "EXCEL_X", "xml": "XML", "zip": "ZIP",
}  # fmt: skip


def _price(change: Change) -> None:
    """Called what its product is called."""
    product = change.related.get(change.row["Product2Id"])
    if product is not None:
        change.row.update({name: product[name] for name in ("Name", "ProductCode")})


_RULES: dict[str, Callable[[Change], None]] = {
    "Contact": _contact,
    "Lead": _person,
    "User": _person,
    "Task": _task,
    "Event": _event,
    "Opportunity": _opportunity,
    "Case": _case,
    "EmailMessage": _email,
    "EmailMessageRelation": _relation,
    "EventRelation": _invited,
    "Attachment": _attachment,
    "ContentVersion": _file,
    "PricebookEntry": _price,
}

_PROBABILITY = {  # percent, of a new org's stages
    "prospecting": 10.0, "qualification": 10.0, "needs analysis": 20.0, "value proposition": 50.0,
    "id. decision makers": 60.0, "perception analysis": 70.0, "proposal/price quote": 75.0,
    "negotiation/review": 90.0, "closed won": 100.0, "closed lost": 0.0,
}  # fmt: skip


def _is(value: str | None, word: str) -> bool:
    return value is not None and value.casefold() == word.casefold()


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day)  # noqa: DTZ001


def _integrity(message: str, *names: str) -> Fault:
    return Fault("FIELD_INTEGRITY_EXCEPTION", message, names)
