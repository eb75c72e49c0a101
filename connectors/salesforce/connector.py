"""Salesforce as the engine sees it: a login to one organisation, and one connector per object.

What is special here, beside ``mapping``:

* ``Record.version`` is SystemModstamp, as the server writes it, with a hash of the content where it was read within ten
  seconds of it: SystemModstamp has whole seconds. ``modified`` is LastModifiedDate.
* ``project`` and writes describe the object once per source. ``capabilities`` asks for nothing: until the object has
  been described, or a query has found a field missing, it believes the configuration.
* A value that is too long is refused (``too_long``), never cut, so ``project`` does not cut either.
* ``capabilities.columns`` contains the read-only ones, and ``project`` leaves those as they are, to be compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crmsync.connectors.contract import (
    Access,
    Capabilities,
    Collection,
    Columns,
    Cursor,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Probe,
    Record,
    Ref,
    Selection,
    Side,
    Unreadable,
    Write,
)
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce import callers, mail, search, soql, writes
from crmsync.connectors.salesforce.auth import Auth
from crmsync.connectors.salesforce.changes import Poll
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.conditions import Conditions
from crmsync.connectors.salesforce.describe import Missing, Schema
from crmsync.connectors.salesforce.faults import Inapplicable, InvalidField
from crmsync.connectors.salesforce.mapping import Mapper
from crmsync.connectors.salesforce.replication import Replication
from crmsync.connectors.salesforce.table import (
    YOUNG,
    NotOurs,
    Table,
    is_ours,
    row_id,
    row_owner,
    row_stamp,
    row_version,
    young,
)
from crmsync.connectors.salesforce.tables import TABLES
from crmsync.connectors.telephony.people import Person

OVERLAP = timedelta(seconds=120)


class SalesforceConnector:
    """One object of the organisation. Safe to use from several threads."""

    def __init__(self, table: Table, poll: Poll, conditions: Conditions) -> None:
        self._table = table
        self._poll = poll
        self._conditions = conditions
        self._able: tuple[Schema | None, frozenset[str], Capabilities] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Asked for with each item, and worked out once for what is known of the object."""
        schema, missing = self._table.described(), self._table.missing()
        able = self._able
        if able is None or able[0] is not schema or able[1] is not missing:
            able = schema, missing, self._can(schema, missing)
            self._able = able
        return able[2]

    def _can(self, schema: Schema | None, missing: frozenset[str]) -> Capabilities:
        held, read_only = self._table.mapper.held(schema)
        there = frozenset(c for c in held if self._table.mapper.fields[c].lower() not in missing)
        return Capabilities(
            {self._table.kind: there},
            {self._table.kind: read_only & there},
            {self._table.kind: self._table.mapper.once(schema) & there},
            {self._table.kind: self._table.mapper.partial() & there},
            writable=schema is None or (schema.createable and schema.updateable),
            conditional=False,  # a batch is compared just before it is written
            links=bool(self._table.link_field()),
            searchable=True,
            access=True,
            owned=self._table.owned,
            batch=soql.BATCH,
        )

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        try:
            yield from self._poll.changes(since, selection)
        except Inapplicable:  # with the first request, before there is a page
            if not self._conditions.is_foreign(self._table, selection):
                raise
            yield from self._poll.changes(since, replace(selection, nothing=True))

    def listing(self) -> Iterator[Ref]:
        table = self._table
        telling = {Kind.APPOINTMENT: ("IsChild",), Kind.TASK: ("TaskSubtype",)}.get(table.kind, ())
        for page in table.brief(
            ("Id", *table.versioned(), *(("OwnerId",) if table.owned else ()), *telling),
            "IsDeleted = false",
            deleted=True,
        ):
            ours = [r for r in page.rows if is_ours(r)]
            known = [r for r in ours if not young(row_stamp(r), page.at)]
            yield from (Ref(row_id(r), row_version(r, None), row_owner(r)) for r in known)
            yield from self._fresh([row_id(r) for r in ours if young(row_stamp(r), page.at)])

    def settled(self, version: str) -> str:
        """Another edit within the same second is for the poll to tell, which looks at the content."""
        return version.partition(YOUNG)[0]

    def _fresh(self, ids: Sequence[str]) -> Iterator[Ref]:
        """Records so new that their version takes a look at the content."""
        for some in soql.batches(ids):
            for item in self._fetch(some):
                match item:
                    case Record():
                        yield Ref(item.id, item.version, item.owner)
                    case Unreadable():
                        yield Ref(item.id, item.version)

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        """A row from the recycle bin is Gone. What the server does not return, because this login may not see it or
        because the bin was emptied, is Hidden."""
        wanted = list(dict.fromkeys(ids))
        yield from (Hidden(i) for i in wanted if not soql.is_id(i))
        for some in soql.batches([i for i in wanted if soql.is_id(i)]):
            yield from self._fetch(some)

    def _fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        open_ = {soql.id18(i) for i in ids}
        for page in self._table.pages(soql.within("Id", ids), deleted=True):
            for row in page.rows:
                item = self._table.read(row, page.at)
                if item.id in open_ and not isinstance(item, NotOurs):
                    open_.remove(item.id)
                    yield item
        yield from (Hidden(i) for i in ids if soql.id18(i) in open_)

    def apply(self, writes_: Sequence[Write]) -> Iterator[Outcome]:
        return writes.apply(self._table, writes_)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        if kind is not self._table.kind:
            return {}
        return self._table.mapper.project(columns, self._table.schema())

    def search(self, kind: Kind, probes: Sequence[Probe]) -> Iterator[Record]:
        return search.search(self._table, probes) if kind is self._table.kind else iter(())

    def join(self, id: str, user: str) -> None:
        mail.join(self._table, id, user)

    def relate(self, records: Sequence[Record]) -> None:
        mail.relate(self._table, records)

    def named(self, text: str) -> str | None:
        """The id that the web interface shows has 15 characters."""
        return soql.id18(text) if soql.is_id(text) else None

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        return search.access(self._table.client, user, ids)

    def selected(self, ids: Sequence[str], selection: Selection) -> frozenset[str]:
        if self._conditions.foreign(self._table, selection):
            return frozenset()
        try:
            return search.selected(self._table, ids, selection)
        except InvalidField:
            if self._conditions.is_foreign(self._table, selection):
                return frozenset()
            raise


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
    ) -> None:
        for name in [*(f for columns in fields.values() for f in columns.values()), external_id]:
            if name:
                soql.name(name)
        self._client = Client(
            url, auth, api_version=api_version, ca_file=ca_file, verify=verify, timeout=timeout, now=now
        )
        self._tables = {
            kind: Table(self._client, Mapper(kind, {c: f for c, f in columns.items() if f}), external_id)
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
        found = next((t for t in self._tables.values() if t.name == collection.id), None)
        if found is None:
            raise NotFound(f"the CRM source has no collection {collection.id}")
        return SalesforceConnector(found, Poll(found, self._overlap, self._now), self._conditions)

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

    def people(self, number: str, user: str) -> Sequence[Person]:
        return callers.people(self._client, number, user)

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
