"""Phone calls that are made in the CRM: whom they relate to. Said once, when the record is made: what a person says
there later stays."""

from collections.abc import Mapping

from crmsync.connectors.contract import Create, Kind
from crmsync.connectors.salesforce import callers, soql
from crmsync.connectors.salesforce.table import Table, row_id

_PEOPLE = ("003", "00Q")  # key prefixes of contacts and leads


def relate(table: Table, creates: Mapping[int, Create], bodies: Mapping[int, dict[str, object]]) -> None:
    """To whom a person has chosen; else to whoever has the number, if that is one only."""
    if table.kind is not Kind.TASK or not table.schema().settable("WhoId"):
        return
    for position, body in bodies.items():
        write = creates[position]
        if write.original is None or write.original.columns.get("activity") != "phone_call":
            continue
        chosen, number = (str(write.original.columns.get(n) or "") for n in ("regarding", "number"))
        who = chosen if soql.is_id(chosen) and chosen.startswith(_PEOPLE) else _only(table, number)
        if who:
            body["WhoId"] = who


def _only(table: Table, number: str) -> str:
    found = callers.with_number(table.client, number) if number else []
    return row_id(found[0][1]) if len(found) == 1 else ""
