"""E-mail messages: what they are about, whom they relate to, and the files that come with them.

EmailMessage has no owner; who sees it follows from what it is related to (Object Reference, "EmailMessage"). The people
stand in rows of their own (EmailMessageRelation), one for each contact, lead and user whose address occurs. Files are
Attachments. Both are made after the message, and looked up first: whoever was interrupted in between makes the rest.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from crmsync.connectors.contract import Columns, Create, Kind, Outcome, Record
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce import people, soql
from crmsync.connectors.salesforce.attaching import Made, attach
from crmsync.connectors.salesforce.mail_fields import ABOUT, ADDRESS, WRITTEN
from crmsync.connectors.salesforce.table import Table, row_id

# ── What it is about ─────────────────────────────────────────────────────────────────────────────────────────────

_TARGETS = (("Opportunity", "Name"), ("Account", "Name"), ("Case", "CaseNumber"))


def related(table: Table, rows: Sequence[dict[str, object]]) -> None:
    """Puts ids where the rows have names. A name that means nothing here, or several things, is left out: the message
    is kept all the same, and nobody is told something wrong."""
    names = {str(r[ABOUT]) for r in rows if r.get(ABOUT)}
    known = _named(table, names) if names else {}
    for row in rows:
        if ABOUT in row:
            name = row.pop(ABOUT)
            if name is None:
                row[WRITTEN] = None
            elif found := known.get(str(name).casefold()):
                row[WRITTEN] = found


def _named(table: Table, names: Iterable[str]) -> dict[str, str]:
    """By name in lower case, the id of the one record that has it; an opportunity comes before the account of its
    name, because a person who means the account has the contacts for it."""
    found: dict[str, str] = {}
    for target, field in _TARGETS:
        several: dict[str, list[str]] = defaultdict(list)
        for where in soql.any_of((f"{field} = {soql.quote(n)}" for n in sorted(names)), _ROOM):
            for row in people.rows(table, ("Id", field), target, where):
                several[str(row.get(field)).casefold()].append(row_id(row))
        for name, ids in several.items():
            if name not in found:
                found[name] = ids[0] if len(ids) == 1 else ""
    return {name: id for name, id in found.items() if id}


_ROOM = soql.MAX_QUERY - 500


# ── Who, and with which files ────────────────────────────────────────────────────────────────────────────────────


def accompany(table: Table, made: Sequence[Made]) -> dict[int, Outcome]:
    """Adds what is missing of the people and files. Returns what was refused of them."""
    if table.kind is not Kind.EMAIL or not made:
        return {}
    writes = {m.id: m.write for m in made if isinstance(m.write, Create)}
    _relate(table, {id: _roles(write.columns) for id, write in writes.items()}, writes)
    return attach(table, made)


def join(table: Table, id: str, user: str) -> None:
    """``user`` has a copy without being named: as somebody who was sent one blindly."""
    if table.kind is Kind.EMAIL and soql.is_id(user):
        _make(table, _missing(table, {(soql.id18(id), soql.id18(user)): ("BccAddress", "")}))


def relate(table: Table, records: Sequence[Record]) -> None:
    """To everyone whose address occurs in these messages, which were made before somebody was known."""
    if table.kind is Kind.EMAIL and records:
        _relate(table, {soql.id18(r.id): _roles(r.columns) for r in records})


_Roles = dict[str, str]  # role by address


def _roles(columns: Columns) -> _Roles:
    roles: _Roles = {}
    for column, role in (("cc", "CcAddress"), ("to", "ToAddress"), ("from", "FromAddress")):
        value = columns.get(column)
        for address in value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ():
            roles[address.strip().lower()] = role
    return roles


def _relate(
    table: Table, roles: Mapping[str, _Roles], writes: Mapping[str, Create] = MappingProxyType({})
) -> None:
    known = people.with_addresses(table, {a for some in roles.values() for a in some if ADDRESS.fullmatch(a)})
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for id, some in roles.items():
        for address, role in some.items():
            for person in known.get(address, ()):
                wanted.setdefault((id, person), (role, address))
        write = writes.get(id)
        if write is not None and soql.is_id(write.owner):
            sent = write.columns.get("direction") == "outgoing"
            wanted.setdefault((id, soql.id18(write.owner)), ("FromAddress" if sent else "BccAddress", ""))
    _make(table, _missing(table, wanted))


def _missing(
    table: Table, wanted: Mapping[tuple[str, str], tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    left = dict(wanted)
    for some in soql.batches(sorted({id for id, _ in wanted})):
        where = soql.within("EmailMessageId", some)
        for row in people.rows(table, ("EmailMessageId", "RelationId"), "EmailMessageRelation", where):
            message, person = str(row.get("EmailMessageId")), str(row.get("RelationId") or "")
            if soql.is_id(message) and soql.is_id(person):
                left.pop((soql.id18(message), soql.id18(person)), None)
    return left


def _make(table: Table, missing: Mapping[tuple[str, str], tuple[str, str]]) -> None:
    """A relation that is refused (its person was deleted a moment ago) is no reason to keep the message back."""
    rows = [
        {
            "attributes": {"type": "EmailMessageRelation"},
            "EmailMessageId": message,
            "RelationId": person,
            "RelationType": role,
            **({"RelationAddress": address} if address else {}),
        }
        for (message, person), (role, address) in missing.items()
    ]
    for start in range(0, len(rows), soql.BATCH):
        body = {"allOrNone": False, "records": rows[start : start + soql.BATCH]}
        try:
            table.client.call(
                "POST", f"{table.client.root}/composite/sobjects", "EmailMessageRelation", body=body
            )
        except NotFound:
            return
