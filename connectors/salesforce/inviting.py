"""Brings those who are invited to events in step with what their attendees are (EventRelation).

Whose address nobody has in the organisation is left out; the owner of an event is not invited to it. Nobody is told:
Salesforce sends a message only where a request asks for it in a header, which ours do not have.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.columns import member
from crmsync.connectors.contract import Outcome, Update, Value
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce import people, soql
from crmsync.connectors.salesforce.attaching import Made, attach, detach
from crmsync.connectors.salesforce.client import Row
from crmsync.connectors.salesforce.invited import FILES, INVITED, answer_of, status_of
from crmsync.connectors.salesforce.mail_fields import ADDRESS
from crmsync.connectors.salesforce.table import Table, row_id
from crmsync.connectors.salesforce.values import at

_OBJECT = "EventRelation"


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done with one event."""

    make: Mapping[str, str]  # Status by person
    answer: Mapping[str, str]  # Status by relation
    drop: frozenset[str]  # relations


def change(
    wanted: Mapping[str, str], known: Mapping[str, Sequence[str]], there: Sequence[Row], owner: str
) -> Change:
    """``wanted``: answers by address; ``known``: people by address. Pure."""
    addresses = {person: address for address in wanted for person in known.get(address, ())}
    make = {person: status_of(wanted[a]) for person, a in addresses.items() if person != owner}
    answers: dict[str, str] = {}
    drop: set[str] = set()
    for row in there:
        person = _person(row)
        make.pop(person, None)
        told = at(row, "Relation.Email")
        address = addresses.get(person) or (told.strip().lower() if isinstance(told, str) else "")
        if address and address not in wanted:
            drop.add(row_id(row))
        elif address and wanted[address] != answer_of(row.get("Status")):
            answers[row_id(row)] = status_of(wanted[address])
    return Change(make, answers, frozenset(drop))


def _person(row: Row) -> str:
    told = str(row.get("RelationId") or "")
    return soql.id18(told) if soql.is_id(told) else ""


def complete(table: Table, made: Sequence[Made]) -> tuple[dict[int, Outcome], set[int]]:
    """People and files of events that stand. Returns what was refused of the files, and what was completed at all."""
    touched: set[int] = set()
    if INVITED in table.children and (guests := _naming(made, "attendees")):
        changed = invite(table, {m.id: m.write.columns["attendees"] for m in guests})
        touched |= {m.position for m in guests} if changed else set()
    if FILES not in table.children or not (filed := _naming(made, "attachments")):
        return {}, touched
    detach(table, filed)
    return attach(table, filed), touched | {m.position for m in filed}


def _naming(made: Sequence[Made], column: str) -> list[Made]:
    """A record that has just been made has nobody, and nothing, to take out."""
    told = (m for m in made if column in m.write.columns)
    return [m for m in told if m.write.columns[column] or isinstance(m.write, Update)]


def invite(table: Table, attendees: Mapping[str, Value]) -> bool:
    """``attendees`` by event. Whether anything was written."""
    wanted = {event: _wanted(value) for event, value in attendees.items()}
    if not wanted:
        return False
    named = {a for some in wanted.values() for a in some if ADDRESS.fullmatch(a)}
    known = people.with_addresses(table, named) if named else {}
    there, owners = _there(table, list(wanted)), _owners(table, list(wanted)) if known else {}
    changes = {e: change(w, known, there.get(e, ()), owners.get(e, "")) for e, w in wanted.items()}
    new = [
        {"EventId": event, "RelationId": person, "Status": status}
        for event, some in changes.items()
        for person, status in some.make.items()
    ]
    answered = [{"Id": id, "Status": s} for some in changes.values() for id, s in some.answer.items()]
    dropped = sorted(id for some in changes.values() for id in some.drop)
    _send(table, "POST", new)
    _send(table, "PATCH", answered)
    for ids in soql.batches(dropped):
        table.client.call(
            "DELETE",
            f"{table.client.root}/composite/sobjects?ids={','.join(ids)}&allOrNone=false",
            _OBJECT,
        )
    return bool(new or answered or dropped)


def _wanted(value: Value) -> dict[str, str]:
    return dict(member(each) for each in value) if isinstance(value, tuple) else {}


def _there(table: Table, events: Sequence[str]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    fields = ("Id", "EventId", "RelationId", "Status", "Relation.Email")
    for some in soql.batches(events):
        for row in people.rows(table, fields, _OBJECT, soql.within("EventId", some)):
            found[soql.id18(str(row.get("EventId")))].append(row)
    return found


def _owners(table: Table, events: Sequence[str]) -> Mapping[str, str]:
    where = (soql.within("Id", some) for some in soql.batches(events))
    found = (row for some in where for row in people.rows(table, ("Id", "OwnerId"), table.name, some))
    return {row_id(row): str(row.get("OwnerId") or "") for row in found}


def _send(table: Table, method: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Who is refused (deleted a moment ago) is no reason to keep the event back."""
    records = [{"attributes": {"type": _OBJECT}, **row} for row in rows]
    for some in soql.batches(records):
        body = {"allOrNone": False, "records": some}
        try:
            table.client.call(method, f"{table.client.root}/composite/sobjects", _OBJECT, body=body)
        except NotFound:
            return
