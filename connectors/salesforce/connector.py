"""Salesforce as the engine sees it: a login to one organisation, and one connector per object.

What is special here, beside ``mapping``:

* ``Record.version`` is SystemModstamp, as the server writes it, with a hash of the content where it was read within ten
  seconds of it: SystemModstamp has whole seconds. ``modified`` is LastModifiedDate.
* ``project`` and writes describe the object once per source. ``capabilities`` asks for nothing: until the object has
  been described, or a query has found a field missing, it believes the configuration.
* A value that is too long is refused (``too_long``), never cut, so ``project`` does not cut either.
* ``capabilities.columns`` contains the read-only ones, and ``project`` leaves those as they are, to be compared.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import (
    Collection,
    Kind,
    Side,
)
from crmsync.connectors.errors import NotFound
from crmsync.connectors.http import Transport
from crmsync.connectors.salesforce import callers, search, soql
from crmsync.connectors.salesforce.auth import Auth
from crmsync.connectors.salesforce.callers import Rights
from crmsync.connectors.salesforce.changes import Poll
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.conditions import Conditions
from crmsync.connectors.salesforce.copied import CopiedTable
from crmsync.connectors.salesforce.copying import BesideCopy, OnCopy
from crmsync.connectors.salesforce.describe import Missing
from crmsync.connectors.salesforce.desk import Desk
from crmsync.connectors.salesforce.mapping import Mapper
from crmsync.connectors.salesforce.reading import SalesforceConnector
from crmsync.connectors.salesforce.replication import Replication
from crmsync.connectors.salesforce.table import (
    Table,
    row_id,
)
from crmsync.connectors.salesforce.tables import TABLES
from crmsync.connectors.telephony.people import Person

__all__ = ["SalesforceSource"]

OVERLAP = timedelta(seconds=120)


def _missing(table: Table) -> Missing | None:
    """Mail needs Email-to-Case or Enhanced Email, which an organisation may have switched off: whoever has no mail to
    bring there misses nothing."""
    try:
        return table.missing_columns()
    except NotFound:
        if table.kind is not Kind.EMAIL:
            raise
        return Missing(table.name)


class SalesforceSource:
    """A login to one organisation. Safe to use from several threads; logs in with the first request.

    ``fields``: for each kind, CRM field by column (``tables.DEFAULT_FIELDS``); a kind that is left out is not offered.
    ``external_id``: name of the organisation's external-id field, if it has one. ``overlap``: how far every poll
    reaches back. Raises ValueError for names that cannot be.
    """

    side = Side.CRM

    def __init__(
        self,
        url: str,
        *,
        auth: Auth,
        fields: Mapping[Kind, Mapping[str, str]],
        external_id: str = "",
        api_version: str = "59.0",
        ca_file: str | None = None,
        verify: bool = True,
        timeout: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        overlap: timedelta = OVERLAP,
        transport: Transport | None = None,
        copied: bool = False,
    ) -> None:
        """``copied``: the transport leads to a copy of the organisation."""
        made = CopiedTable if copied else Table
        for name in [*(f for columns in fields.values() for f in columns.values()), external_id]:
            if name:
                soql.name(name)
        self._client = Client(
            url,
            auth,
            api_version=api_version,
            ca_file=ca_file,
            verify=verify,
            timeout=timeout,
            now=now,
            transport=transport,
        )
        self._tables = {
            kind: made(self._client, Mapper(kind, {c: f for c, f in columns.items() if f}), external_id)
            for kind, columns in fields.items()
            if kind in TABLES
        }
        self._conditions = Conditions(list(self._tables.values()))
        self._now, self._overlap = now, overlap

    def replication(self) -> Replication:
        """The same login, for a replica."""
        return Replication(self._client)

    def identity(self) -> str:
        """The organisation's id, 18 characters."""
        return self._client.who()[0]

    def collections(self) -> Sequence[Collection]:
        """One per configured kind. Whether the object is there shows with its first request."""
        return [Collection(TABLES[k], TABLES[k], frozenset({k})) for k in self._tables]

    def open(self, collection: Collection) -> SalesforceConnector:
        found = self.table(collection)
        return SalesforceConnector(found, Poll(found, self._overlap, self._now), self._conditions)

    def open_beside(self, collection: Collection, desk: Desk) -> BesideCopy:
        """The object, with a copy that has taken writes while it could not be asked."""
        found = self.table(collection)
        return BesideCopy(found, Poll(found, self._overlap, self._now), self._conditions, desk)

    def open_copy(self, collection: Collection, desk: Desk) -> OnCopy:
        """The copy in the object's place."""
        found = self.copied(collection)
        return OnCopy(found, Poll(found, self._overlap, self._now), self._conditions, desk)

    def table(self, collection: Collection) -> Table:
        found = next((t for t in self._tables.values() if t.name == collection.id), None)
        if found is None:
            raise NotFound(f"the CRM source has no collection {collection.id}")
        return found

    def copied(self, collection: Collection) -> CopiedTable:
        found = self.table(collection)
        assert isinstance(found, CopiedTable)
        return found

    def user_id(self, username: str) -> str:
        where = f"Username = {soql.quote(username)}"
        rows = self._client.rows(soql.select(("Id", "IsActive"), "User", where), "User")
        active = [row_id(row) for row in rows if row.get("IsActive") is not False]
        if len(active) != 1:
            raise NotFound(
                f"the CRM has no active user {soql.clean(username)!r}",
                hint="crm_user must be the user name of an active user, as Setup > Users shows it",
            )
        return active[0]

    def people(self, number: str, user: str, *, rights: Rights | None = None) -> Sequence[Person]:
        """``rights``: who says what the user may see, instead of this organisation."""
        return callers.people(self._client, number, rights or partial(self.access, user))

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        return search.access(self._client, user, ids)

    def missing(self) -> Mapping[Kind, Missing]:
        """Configured fields that the organisation lacks or hides, by kind; describes each object once."""
        found = {kind: _missing(table) for kind, table in self._tables.items()}
        return {kind: missing for kind, missing in found.items() if missing}

    def lacking(self) -> Sequence[str]:
        missing = self.missing().values()
        return [f"{m.object}.{name}" if name else m.object for m in missing for name in m.fields or ("",)]

    @property
    def usage(self) -> float:
        """Share of the organisation's daily requests that is used up, 0 to 1, as last told."""
        return self._client.usage

    def clock_offset(self) -> timedelta:
        return self._client.clock_offset()

    def requests(self) -> int:
        return self._client.requests()

    def close(self) -> None:
        self._client.close()
