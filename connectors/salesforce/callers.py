"""Who has a telephone number, and what is known of them.

The login may see more than the person who is called: of everything that is found it is asked once more whether this
user has the right to read it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from crmsync.connectors.abilities import Access
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.client import Client, Row
from crmsync.connectors.salesforce.faults import InvalidField
from crmsync.connectors.salesforce.table import row_id
from crmsync.connectors.salesforce.values import ABSENT, at
from crmsync.connectors.telephony.numbers import TELLING, is_number, national
from crmsync.connectors.telephony.people import MOST, Line, Person

Rights: TypeAlias = Callable[[Sequence[str]], Mapping[str, Access]]  # the user's, by id of a record

_SIFTED = 200  # rows that are looked through
_LAST = 5  # cases and activities of each sort
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "Contact": ("Phone", "MobilePhone", "HomePhone", "OtherPhone"),
    "Lead": ("Phone", "MobilePhone"),
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Contact": (
        "Id",
        "FirstName",
        "LastName",
        "Title",
        "AccountId",
        "Account.Name",
        "MailingCity",
        "MailingCountry",
    ),
    "Lead": ("Id", "FirstName", "LastName", "Title", "Company", "City", "Country"),
}


def with_number(client: Client, number: str) -> list[tuple[str, Row]]:
    """Object and row of every contact and lead with this number, however it is spelt there; a few more than are shown.

    The server compares text, and people put blanks, dots and hyphens anywhere: it looks for the digits in their order,
    and what it finds is compared here.
    """
    digits = national(number)
    if not digits:
        return []
    pattern = soql.quote("%" + "%".join(digits[-TELLING:]))
    found: list[tuple[str, Row]] = []
    for table, fields in _NUMBERS.items():
        where = " OR ".join(f"{field} LIKE {pattern}" for field in fields)
        if table == "Lead":
            where = f"IsConverted = false AND ({where})"
        text = soql.select((*_FIELDS[table], *fields), table, where) + f" LIMIT {_SIFTED}"
        rows = _rows(client, text, table)
        found += [(table, row) for row in rows if any(is_number(_text(row, f), digits) for f in fields)]
    return found[: 2 * MOST]


def people(client: Client, number: str, rights: Rights) -> Sequence[Person]:
    found = with_number(client, number)
    allowed = _readable(rights, (row_id(row) for _, row in found))
    known = [_person(table, row) for table, row in found if row_id(row) in allowed][:MOST]
    return _with_lines(client, rights, known) if known else known


def _person(table: str, row: Row) -> Person:
    contact = table == "Contact"
    where = ("MailingCity", "MailingCountry") if contact else ("City", "Country")
    return Person(
        row_id(row),
        table.lower(),
        " ".join(w for w in (_text(row, "FirstName"), _text(row, "LastName")) if w),
        _text(row, "Title"),
        _text(row, "Account.Name" if contact else "Company"),
        ", ".join(w for w in (_text(row, f) for f in where) if w),
        _text(row, "AccountId") if contact else "",
    )


_Lines = dict[str, list[Line]]  # by whose they are


def _with_lines(client: Client, rights: Rights, known: Sequence[Person]) -> list[Person]:
    ids = [p.id for p in known]
    contacts = [p.id for p in known if p.kind == "contact"]
    open_cases, closed = _cases(client, contacts)
    open_, past = _activities(client, ids)
    mails = _mails(client, ids)
    everything = (open_cases, closed, open_, past, mails)
    allowed = _readable(rights, (line.id for some in everything for each in some.values() for line in each))

    def of(person: Person, *some: _Lines) -> list[Line]:
        lines = [line for each in some for line in each.get(person.id, ()) if line.id in allowed]
        return (
            lines[:_LAST] if len(some) == 1 else sorted(lines, key=lambda line: line.at, reverse=True)[:_LAST]
        )

    return [
        replace(
            p,
            cases=of(p, open_cases),
            incidents=of(p, closed),
            open=of(p, open_),
            past=of(p, past, mails),
        )
        for p in known
    ]


def _cases(client: Client, contacts: Sequence[str]) -> tuple[_Lines, _Lines]:
    open_: _Lines = defaultdict(list)
    closed: _Lines = defaultdict(list)
    if contacts:
        fields = (
            "Id",
            "ContactId",
            "CaseNumber",
            "Subject",
            "Type",
            "Priority",
            "Status",
            "IsClosed",
            "CreatedDate",
        )
        text = soql.select(fields, "Case", soql.within("ContactId", contacts))
        for row in _rows(client, text + " ORDER BY CreatedDate DESC LIMIT 50", "Case"):
            words = [_text(row, "CaseNumber"), _text(row, "Subject")]
            detail = [_text(row, "Type"), _text(row, "Priority"), _text(row, "Status")]
            line = Line(row_id(row), "case", _joined(words), _day(row, "CreatedDate"), _joined(detail))
            (closed if row.get("IsClosed") is True else open_)[_id(row, "ContactId")].append(line)
    return open_, closed


def _activities(client: Client, ids: Sequence[str]) -> tuple[_Lines, _Lines]:
    open_: _Lines = defaultdict(list)
    past: _Lines = defaultdict(list)
    fields = (
        "Id",
        "WhoId",
        "Subject",
        "Status",
        "ActivityDate",
        "IsClosed",
        "TaskSubtype",
        "CallDisposition",
    )
    text = soql.select(fields, "Task", soql.within("WhoId", ids)) + " ORDER BY ActivityDate DESC LIMIT 50"
    for row in _rows(client, text, "Task"):
        call = _text(row, "TaskSubtype") == "Call"
        detail = (call and _text(row, "CallDisposition")) or _text(row, "Status")
        line = Line(
            row_id(row), "call" if call else "task", _text(row, "Subject"), _day(row, "ActivityDate"), detail
        )
        (past if row.get("IsClosed") is True else open_)[_id(row, "WhoId")].append(line)
    text = soql.select(("Id", "WhoId", "Subject", "StartDateTime"), "Event", soql.within("WhoId", ids))
    today = datetime.now(UTC).date().isoformat()
    for row in _rows(client, text + " ORDER BY StartDateTime DESC LIMIT 50", "Event"):
        line = Line(row_id(row), "event", _text(row, "Subject"), _day(row, "StartDateTime"))
        (open_ if line.at >= today else past)[_id(row, "WhoId")].append(line)
    return open_, past


def _mails(client: Client, ids: Sequence[str]) -> _Lines:
    found: _Lines = defaultdict(list)
    where = soql.within("RelationId", ids)
    text = soql.select(("EmailMessageId", "RelationId"), "EmailMessageRelation", where) + " LIMIT 100"
    of: dict[str, set[str]] = defaultdict(set)
    for row in _rows(client, text, "EmailMessageRelation"):
        of[_id(row, "EmailMessageId")].add(_id(row, "RelationId"))
    if of:
        where = soql.within("Id", sorted(of)[: soql.BATCH])
        text = soql.select(("Id", "Subject", "MessageDate"), "EmailMessage", where)
        for row in _rows(client, text + " ORDER BY MessageDate DESC LIMIT 50", "EmailMessage"):
            line = Line(row_id(row), "mail", _text(row, "Subject"), _day(row, "MessageDate"))
            for person in of[row_id(row)]:
                found[person].append(line)
    return found


def _readable(rights: Rights, ids: Iterable[str]) -> frozenset[str]:
    asked = list(dict.fromkeys(ids))
    return frozenset(id for id, each in rights(asked).items() if each.read) if asked else frozenset()


def _rows(client: Client, text: str, table: str) -> list[Row]:
    """Nothing where the organisation, or this login, has no such object or field."""
    try:
        return list(client.rows(text, table))
    except (NotFound, InvalidField):
        return []


def _text(row: Row, path: str) -> str:
    found = row[path] if path in row else at(row, path)
    return "" if found is None or found is ABSENT else str(found)


def _id(row: Row, field: str) -> str:
    told = _text(row, field)
    return soql.id18(told) if soql.is_id(told) else ""


def _day(row: Row, field: str) -> str:
    return _text(row, field)[:10]


def _joined(words: Iterable[str]) -> str:
    return " · ".join(w for w in words if w)
