"""Who has an e-mail address in the organisation: contacts, leads and users. Whoever stands in an item is found here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.client import Row
from crmsync.connectors.salesforce.table import Table, row_id

_KINDS = (("Contact", ""), ("Lead", "IsConverted = false"), ("User", "IsActive = true"))

_LONGEST = 254  # characters of an address (RFC 5321 4.5.3.1)
_ROOM = soql.MAX_QUERY - 500


def rows(table: Table, fields: Sequence[str], target: str, where: str) -> Iterator[Row]:
    """Nothing where the organisation, or this login, has no such object."""
    try:
        yield from table.client.rows(soql.select(fields, target, where), target)
    except NotFound:
        return


def with_addresses(table: Table, addresses: Iterable[str]) -> Mapping[str, list[str]]:
    """Ids of everyone who has an address, by the address in lower case."""
    found: dict[str, list[str]] = defaultdict(list)
    wanted = sorted(a for a in addresses if len(a) <= _LONGEST)
    for target, condition in _KINDS:
        for some in soql.any_of((f"Email = {soql.quote(a)}" for a in wanted), _ROOM):
            where = soql.all_of(some, condition)
            for row in rows(table, ("Id", "Email"), target, where):
                found[str(row.get("Email")).lower()].append(row_id(row))
    return found


def changed_since(table: Table, start: datetime) -> Iterator[Row]:
    """Everyone with an address who was made, or changed, since then."""
    for target, condition in _KINDS:
        where = soql.all_of(f"SystemModstamp >= {soql.literal(start)}", "Email != null", condition)
        yield from rows(table, ("Id", "Email", "SystemModstamp"), target, where)
