"""The columns that a person may edit on either side: how it is done there, and how it is read there.

Values are as the CRM writes them; None is empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.bars.lines import part_of, plain, put, put_part, unfolded, value_of
from tests.bars.meetings import moment
from tests.bars.people import escaped

Value = str | None
_WINDOWS = {"W. Europe Standard Time": "Europe/Berlin"}


@dataclass(frozen=True)
class EditableColumn:
    name: str  # canonical; of a group, its first
    read: Callable[[str], Any]  # from the text of the ECS item
    write: Callable[[str, Any], str]
    row: Callable[[Mapping[str, Any]], Any]  # from the CRM record
    fields: Callable[[Any], dict[str, Any]]  # for the CRM record
    make: Callable[[Random, int], Any]  # another value, made unique by a number
    exchanged: bool = True


def _field(name: str) -> tuple[Callable[[Mapping[str, Any]], Any], Callable[[Any], dict[str, Any]]]:
    return lambda row: row[name], lambda value: {name: value}


def _text(
    column: str, field: str, pattern: str, new: str, make: Callable[[Random, int], Any]
) -> EditableColumn:
    def read(text: str) -> Value:
        found = value_of(text, pattern)
        return plain(found) or None if found is not None else None

    def write(text: str, value: Value) -> str:
        return put(text, pattern, None if value is None else escaped(value), new)

    return EditableColumn(column, read, write, *_field(field), make)


def _part(
    column: str, field: str, pattern: str, index: int, new: str, make: Callable[[Random, int], Any]
) -> EditableColumn:
    def write(text: str, value: Value) -> str:
        return put_part(text, pattern, index, escaped(value or ""), new)

    return EditableColumn(column, lambda text: part_of(text, pattern, index), write, *_field(field), make)


def _word(prefix: str) -> Callable[[Random, int], Value]:
    return lambda rng, number: (
        f"{prefix} {rng.choice(('neu', 'ändern;', 'a, b', '新しい', 'x' * 20))} {number}"
    )


def _word_or_nothing(prefix: str) -> Callable[[Random, int], Value]:
    return lambda rng, number: None if rng.random() < 0.2 else _word(prefix)(rng, number)


def _number(rng: Random, number: int) -> Value:
    return None if rng.random() < 0.2 else f"+49 89 {rng.randrange(1000):03} {number}"


def _day(rng: Random, number: int) -> Value:
    return None if rng.random() < 0.2 else (date(1930, 1, 1) + timedelta(days=number)).isoformat()


def _birthday() -> EditableColumn:
    def read(text: str) -> Value:
        written = (value_of(text, "BDAY.*") or "").replace("-", "")
        return f"{written[:4]}-{written[4:6]}-{written[6:8]}" if written else None

    def write(text: str, value: Value) -> str:
        return put(text, "BDAY.*", value, "BDAY")

    return EditableColumn("birthday", read, write, *_field("Birthdate"), _day)


CONTACT = (
    _part("first_name", "FirstName", "N", 1, "N", _word("First")),
    _part("last_name", "LastName", "N", 0, "N", _word("Last")),
    _part("department", "Department", "ORG", 1, "ORG", _word_or_nothing("Dept")),
    _text("job_title", "Title", "TITLE", "TITLE", _word_or_nothing("Title")),
    _text("phone_work", "Phone", r"TEL;TYPE=WORK(,VOICE)?", "TEL;TYPE=WORK,VOICE", _number),
    _text("phone_mobile", "MobilePhone", r"TEL;TYPE=CELL.*", "TEL;TYPE=CELL", _number),
    _text("phone_fax", "Fax", r"TEL;TYPE=WORK,FAX", "TEL;TYPE=WORK,FAX", _number),
    _text("phone_other", "OtherPhone", r"TEL;TYPE=VOICE", "TEL;TYPE=VOICE", _number),
    _part(
        "address_work_street",
        "MailingStreet",
        r"(\w+\.)?ADR;TYPE=WORK",
        2,
        "ADR;TYPE=WORK",
        _word("Street\nno."),
    ),
    _part("address_work_city", "MailingCity", r"(\w+\.)?ADR;TYPE=WORK", 3, "ADR;TYPE=WORK", _word("City")),
    _birthday(),
)


# ── Appointments ─────────────────────────────────────────────────────────────────────────────────────────────


def _moment(text: str, name: str) -> str:
    """In UTC, as the CRM writes it."""
    line = next(line for line in unfolded(_event(text)) if line.startswith((f"{name}:", f"{name};")))
    head, _, written = line.partition(":")
    stamp = datetime.strptime(written.rstrip("Z"), "%Y%m%dT%H%M%S")
    zone = head.partition("TZID=")[2].strip('"')
    known = ZoneInfo(_WINDOWS.get(zone, zone)) if zone else UTC
    return moment(stamp.replace(tzinfo=known))


def _event(text: str) -> str:
    return text[text.index("BEGIN:VEVENT") :]


def _read_when(text: str) -> tuple[str, str]:
    return _moment(text, "DTSTART"), _moment(text, "DTEND")


def _write_when(text: str, value: tuple[str, str]) -> str:
    for name, stamp in zip(("DTSTART", "DTEND"), value, strict=True):
        line = next(line for line in unfolded(_event(text)) if line.startswith((f"{name}:", f"{name};")))
        zone = line.partition(":")[0].partition("TZID=")[2].strip('"')
        at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.000+0000").replace(tzinfo=UTC)
        local = at.astimezone(ZoneInfo(_WINDOWS.get(zone, zone))) if zone else at
        text = put(text, rf"{name}(;.*)?", f"{local:%Y%m%dT%H%M%S}" + ("" if zone else "Z"))
    return text


def _make_when(rng: Random, number: int) -> tuple[str, str]:
    start = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=number, minutes=5 * rng.randrange(12))
    return moment(start), moment(start + timedelta(minutes=5 * rng.randrange(1, 40)))


_WHEN = EditableColumn(
    "start",
    _read_when,
    _write_when,
    lambda row: (row["StartDateTime"], row["EndDateTime"]),
    lambda value: {"StartDateTime": value[0], "EndDateTime": value[1]},
    _make_when,
)


def _show_as() -> EditableColumn:
    ours = {"Free": "TRANSPARENT", "Busy": "OPAQUE"}
    return EditableColumn(
        "show_as",
        lambda text: "Free" if value_of(text, "TRANSP") == "TRANSPARENT" else "Busy",
        lambda text, value: put(text, "TRANSP", ours[value], "TRANSP"),
        *_field("ShowAs"),
        lambda rng, number: rng.choice(("Free", "Busy")),
    )


APPOINTMENT = (
    _text("subject", "Subject", "SUMMARY", "SUMMARY", _word("Subject")),
    _text("location", "Location", "LOCATION", "LOCATION", _word_or_nothing("Room")),
    _text("description", "Description", "DESCRIPTION", "DESCRIPTION", _word_or_nothing("About\nit")),
    _WHEN,
    _show_as(),
)

# ── Tasks ────────────────────────────────────────────────────────────────────────────────────────────────────


def _choice(column: str, field: str, name: str, ours: Mapping[str, str], empty: str) -> EditableColumn:
    back = {written: word for word, written in ours.items()}
    return EditableColumn(
        column,
        lambda text: back[value_of(text, name) or ours[empty]],
        lambda text, value: put(text, name, ours[value], name),
        *_field(field),
        lambda rng, number: rng.choice(list(ours)),
    )


def _due() -> EditableColumn:
    def read(text: str) -> Value:
        written = value_of(text, "DUE;.*")
        return f"{written[:4]}-{written[4:6]}-{written[6:8]}" if written else None

    def write(text: str, value: Value) -> str:
        return put(text, "DUE;.*", value and value.replace("-", ""), "DUE;VALUE=DATE")

    return EditableColumn("due", read, write, *_field("ActivityDate"), _day)


_STATUS = {"Not Started": "NEEDS-ACTION", "In Progress": "IN-PROCESS", "Completed": "COMPLETED"}
TASK = (
    _text("subject", "Subject", "SUMMARY", "SUMMARY", _word("Task")),
    _text("description", "Description", "DESCRIPTION", "DESCRIPTION", _word_or_nothing("How\nto")),
    _due(),
    _choice("status", "Status", "STATUS", _STATUS, "Not Started"),
    _choice("priority", "Priority", "PRIORITY", {"High": "1", "Normal": "5", "Low": "9"}, "Normal"),
)

EDITABLE: Mapping[str, tuple[EditableColumn, ...]] = {"Contact": CONTACT, "Event": APPOINTMENT, "Task": TASK}
