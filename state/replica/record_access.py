"""`UserRecordAccess`: what a user may do with some records, answered by code instead of a table.

    SELECT RecordId, HasReadAccess, HasEditAccess, HasDeleteAccess FROM UserRecordAccess
    WHERE UserId = '005…' AND RecordId IN ('003…', …)

Up to 200 records at once (Object Reference, "UserRecordAccess"). A record that is deleted or never was is left
out. Only administrators may ask about somebody else.
"""

from collections.abc import Callable, Iterator
from typing import Any

from crmsync.state.replica import ids
from crmsync.state.replica.access import Caller, Rights
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.soql import ast
from crmsync.state.replica.store import Store

__all__ = ["answer", "asks"]

NAME = "UserRecordAccess"
MOST = 200
_FIELDS: dict[str, tuple[str, Callable[[str, Rights], Any]]] = {
    "id": ("Id", lambda record_id, _: record_id),
    "recordid": ("RecordId", lambda record_id, _: record_id),
    "hasreadaccess": ("HasReadAccess", lambda _, rights: rights.read),
    "haseditaccess": ("HasEditAccess", lambda _, rights: rights.edit),
    "hasdeleteaccess": ("HasDeleteAccess", lambda _, rights: rights.delete),
    "hastransferaccess": ("HasTransferAccess", lambda _, rights: rights.delete),
    "hasallaccess": ("HasAllAccess", lambda _, rights: rights.delete),
    "maxaccesslevel": ("MaxAccessLevel", lambda _, rights: _level(rights)),
}


def asks(query: ast.Query) -> bool:
    """Whether this query is for here."""
    return str(query.sources[0].path).casefold() == NAME.casefold()


def answer(store: Store, caller: Caller, query: ast.Query) -> list[dict[str, Any]]:
    """The records as REST shows them; raises Fault when the query has another form than the one above."""
    columns = [_column(each) for each in query.selected]
    user_id, record_ids = _asked(query.where)
    if user_id != caller.user_id and not caller.all_records:
        raise Fault("INSUFFICIENT_ACCESS", "only an administrator may ask for another user's access")
    try:
        subject = store.caller(user_id)
    except Fault:
        return []
    return [
        {"attributes": {"type": NAME}, **{name: show(record_id, rights) for name, show in columns}}
        for record_id, rights in store.rights(subject, record_ids)
    ]


def _column(selected: ast.Selected) -> tuple[str, Callable[[str, Rights], Any]]:
    match selected:
        case ast.Column(ast.Path(parts)) if parts[-1].casefold() in _FIELDS:
            return _FIELDS[parts[-1].casefold()]
    what = (
        f"No such column '{selected.operand if isinstance(selected, ast.Column) else ''}' on entity '{NAME}'"
    )
    raise Fault("INVALID_FIELD", what)


def _asked(where: ast.Condition | None) -> tuple[str, list[str]]:
    parts = where.parts if isinstance(where, ast.And) else (where,)
    users: list[str] = []
    records: list[str] = []
    for part in parts:
        name, values = _values(part)
        (users if name == "userid" else records).extend(values)
    if len(users) != 1 or not records:
        raise _form("UserId = '…' AND RecordId IN ('…') is needed")
    if len(records) > MOST:
        raise _form(f"RecordId can be filtered by at most {MOST} ids")
    return users[0], list(dict.fromkeys(records))


def _values(part: ast.Condition | None) -> tuple[str, list[str]]:
    match part:
        case ast.Compare(ast.Path(names), ast.Operator.EQUAL, ast.Text() as value):
            values: tuple[ast.Literal, ...] = (value,)
        case ast.In(ast.Path(names), values):
            pass
        case _:
            raise _form("only UserId = and RecordId = or IN are possible")
    name = names[-1].casefold()
    if name not in ("userid", "recordid"):
        raise _form(f"field '{names[-1]}' can not be filtered")
    return name, list(_ids(values))


def _ids(values: tuple[ast.Literal, ...]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, ast.Text) or not ids.is_valid(value.value):
            raise Fault("INVALID_QUERY_FILTER_OPERATOR", "invalid ID field")
        yield ids.to_18(value.value)


def _form(what: str) -> Fault:
    return Fault("MALFORMED_QUERY", f"{NAME}: {what}")


def _level(rights: Rights) -> str:
    if rights.delete:
        return "All"
    return "Edit" if rights.edit else "Read" if rights.read else "None"
