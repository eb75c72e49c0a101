"""One object of the organisation, as the engine sees it: see ``connector``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from crmsync.connectors.abilities import Access, Probe
from crmsync.connectors.contract import (
    Capabilities,
    Columns,
    Cursor,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Selection,
    Unreadable,
    Write,
)
from crmsync.connectors.salesforce import mail, search, soql, writes
from crmsync.connectors.salesforce.changes import Poll
from crmsync.connectors.salesforce.conditions import Conditions
from crmsync.connectors.salesforce.describe import Schema
from crmsync.connectors.salesforce.faults import Inapplicable, InvalidField
from crmsync.connectors.salesforce.table import (
    YOUNG,
    NotOurs,
    Table,
    is_ours,
    row_id,
    row_owner,
    row_stamp,
    row_version,
    version_stamp,
    young,
)

__all__ = ["SalesforceConnector"]


_LATE = timedelta(minutes=2)  # a transaction may be as long, and stamps with when it began (see ``changes``)


class SalesforceConnector:
    """One object of the organisation. Safe to use from several threads."""

    one_clock = True  # all versions are the organisation's

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

    def precedes(self, version: str, other: str) -> bool:
        try:
            return self.one_clock and version_stamp(other) - version_stamp(version) > _LATE
        except ValueError:
            return False

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
