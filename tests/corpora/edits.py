"""What a person in the CRM changes, one column at a time, and which lines of the item may differ for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from crmsync.connectors.contract import Kind, Value

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    column: str
    fields: Callable[
        [Row, int], Row
    ]  # of the record as it is, and a number that makes the value unlike others
    lines: frozenset[str]  # names
    says: Callable[[Row], Value]  # what the column has for the record, once it is edited
    empties: bool = False


def _told(field: str, words: Mapping[str, str] | None = None) -> Callable[[Row], Value]:
    return lambda row: words[row[field]] if words else row[field]


def _begun(row: Row) -> Value:
    begun: datetime = row["StartDateTime"]
    return begun.date() if row["IsAllDayEvent"] else begun.replace(tzinfo=UTC)


def _text(column: str, field: str, *lines: str, long: bool = False) -> Edit:
    ending = "\nand ü, ; \\ on the next line, which is a long one: " + "x" * 90 if long else ""
    told = f"Edited, {{}}; ß{ending}"
    return Edit(column, lambda row, number: {field: told.format(number)}, frozenset(lines), _told(field))


def _phone(column: str, field: str) -> Edit:
    return Edit(column, lambda row, number: {field: f"+49 89 {number}"}, frozenset({"TEL"}), _told(field))


def _emptied(column: str, field: str, *lines: str) -> Edit:
    return Edit(column, lambda row, number: {field: None}, frozenset(lines), lambda row: None, empties=True)


def _moved(row: Row, number: int) -> Row:
    day = date(2027, 1, 1) + timedelta(days=number % 600)
    if row["IsAllDayEvent"]:
        return {"StartDateTime": f"{day}T00:00:00.000+0000", "EndDateTime": f"{day}T00:00:00.000+0000"}
    return {"StartDateTime": f"{day}T09:30:00.000+0000", "EndDateTime": f"{day}T10:15:00.000+0000"}


_WHEN = frozenset({"DTSTART", "DTEND", "DURATION", "X-MICROSOFT-CDO-ALLDAYEVENT"})
_DESCRIPTION = ("DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION")  # its looks go with an edit
_PROGRESS = frozenset({"STATUS", "PERCENT-COMPLETE", "COMPLETED"})


def _next(column: str, field: str, words: Mapping[str, str], *lines: str) -> Edit:
    """``words``: of the CRM, and what the column has for them."""
    turn = [*words]

    def fields(row: Row, number: int) -> Row:
        return {field: turn[(turn.index(row[field]) + 1) % len(turn)]}

    return Edit(column, fields, frozenset(lines), _told(field, words))


_STATUS = {"Not Started": "not_started", "In Progress": "in_progress", "Completed": "completed"}
_PRIORITY = {"High": "high", "Normal": "normal", "Low": "low"}
_SHOW_AS = {"Busy": "busy", "Free": "free", "OutOfOffice": "out_of_office"}

EDITS: Mapping[Kind, tuple[Edit, ...]] = {
    Kind.CONTACT: (
        _text("last_name", "LastName", "N", "FN"),
        _phone("phone_work", "Phone"),
        Edit(
            "email",
            lambda row, number: {"Email": f"edited.{number}@example.com"},
            frozenset({"EMAIL", "FN"}),
            _told("Email"),
        ),
        _text("job_title", "Title", "TITLE"),
        _text("address_work_street", "MailingStreet", "ADR", long=True),
        Edit(
            "birthday",
            lambda row, number: {"Birthdate": str(date(1950, 1, 1) + timedelta(days=number))},
            frozenset({"BDAY"}),
            _told("Birthdate"),
        ),
        _phone("phone_mobile", "MobilePhone"),
        _text("first_name", "FirstName", "N", "FN"),
        _text("department", "Department", "ORG"),
        _phone("phone_fax", "Fax"),
        _text("address_home_city", "OtherCity", "ADR"),
        _phone("phone_other", "OtherPhone"),
        _text("notes", "Description", "NOTE", long=True),
        _phone("phone_home", "HomePhone"),
        _emptied("phone_work", "Phone", "TEL"),
        _emptied("job_title", "Title", "TITLE"),
        _emptied("birthday", "Birthdate", "BDAY"),
        _emptied("address_work_street", "MailingStreet", "ADR"),
    ),
    Kind.APPOINTMENT: (
        _text("subject", "Subject", "SUMMARY"),
        Edit("start", _moved, _WHEN, _begun),
        _text("location", "Location", "LOCATION"),
        _text("description", "Description", *_DESCRIPTION, long=True),
        _next("show_as", "ShowAs", _SHOW_AS, "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
        _emptied("description", "Description", *_DESCRIPTION),
        _emptied("location", "Location", "LOCATION"),
        Edit(
            "sensitivity",
            lambda row, number: {"IsPrivate": not row["IsPrivate"]},
            frozenset({"CLASS"}),
            lambda row: "private" if row["IsPrivate"] else "public",
        ),
    ),
    Kind.TASK: (
        _text("subject", "Subject", "SUMMARY"),
        Edit(
            "due",
            lambda row, number: {"ActivityDate": str(date(2027, 1, 1) + timedelta(days=number))},
            frozenset({"DUE", "DURATION"}),
            _told("ActivityDate"),
        ),
        _next("status", "Status", _STATUS, *_PROGRESS),
        _text("description", "Description", *_DESCRIPTION, long=True),
        _next("priority", "Priority", _PRIORITY, "PRIORITY"),
        _emptied("due", "ActivityDate", "DUE", "DURATION"),
        _emptied("description", "Description", *_DESCRIPTION),
    ),
}
