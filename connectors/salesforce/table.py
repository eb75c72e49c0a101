"""One object of the organisation as the adapter reads it: which fields, and what a row says.

Shared by all connectors of a source, so that an object is described once. Safe to use from several threads.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crmsync.connectors.contract import Gone, Kind, Record, Unreadable
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.client import Client, QueryPage, Row
from crmsync.connectors.salesforce.describe import Missing, Schema
from crmsync.connectors.salesforce.faults import InvalidField
from crmsync.connectors.salesforce.invited import FILES, INVITED, MARK, mark, selected
from crmsync.connectors.salesforce.mapping import Mapper
from crmsync.connectors.salesforce.tables import OWNERLESS, TABLES
from crmsync.connectors.salesforce.values import Unmappable, instant

_ALWAYS = ("Id", "SystemModstamp", "LastModifiedDate", "OwnerId", "IsDeleted")

# What tells whether a record is ours to touch; an organisation may lack some of them.
_TELLING: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONTACT: ("MasterRecordId",),
    Kind.APPOINTMENT: (
        "IsAllDayEvent",
        "IsPrivate",
        "IsReminderSet",
        "IsChild",
        "IsRecurrence",
        "RecurrenceActivityId",
        "IsRecurrence2",
        "IsRecurrence2Exception",
    ),
    Kind.TASK: ("IsReminderSet", "IsRecurrence", "RecurrenceActivityId", "TaskSubtype", "Type"),
    Kind.EMAIL: (),
}
_NO_TASK = frozenset({"Email", "ListEmail"})  # what is logged as a task, and is none that anyone has to do
YOUNG = "~"
_SETTLED = timedelta(
    seconds=10
)  # by then nothing can be committed any more under a stamp, but by a long transaction


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A row that stands for no item: an invitee's copy of an event, a logged mail."""

    id: str


class Table:
    def __init__(self, client: Client, mapper: Mapper, external_id: str) -> None:
        self.client = client
        self.mapper = mapper
        self.kind = mapper.kind
        self.name = TABLES[mapper.kind]
        self.external_id = external_id
        self.owned = mapper.kind not in OWNERLESS
        self.recycle_bin = True  # queryAll is allowed
        self._noted: frozenset[str] = frozenset()
        self._missing: tuple[Schema, frozenset[str]] | None = None  # worked out for this schema

    # ── What it can hold ─────────────────────────────────────────────────────────────────────────────────────

    def schema(self) -> Schema:
        """Described by the server, once."""
        return self.client.describe(self.name)

    def described(self) -> Schema | None:
        """What is known without asking."""
        return self.client.described(self.name)

    def note_missing(self, fields: frozenset[str]) -> None:
        """Fields that an earlier run has found missing; holds until the object is described."""
        self._noted |= frozenset(f.lower() for f in fields)

    def missing(self) -> frozenset[str]:
        """Wanted fields that are not there, as far as is known; lower case."""
        schema = self.described()
        if schema is None:
            return self._noted
        known = self._missing
        if known is None or known[0] is not schema:
            known = schema, frozenset(f.lower() for f in self._wanted() if not schema.has(f))
            self._missing = known
        return known[1]

    def missing_columns(self) -> Missing | None:
        """For the operator; describes the object."""
        schema = self.schema()
        wanted = [*self.mapper.fields.values(), *([self.external_id] if self.external_id else [])]
        absent = tuple(f for f in wanted if not schema.has(f))
        return Missing(self.name, absent) if absent else None

    @property
    def children(self) -> tuple[str, ...]:
        """What stands in records of its own, and is part of a version."""
        missing = self.missing()
        return tuple(n for n in (INVITED, FILES) if self.mapper.reads(n) and n.lower() not in missing)

    @property
    def invites(self) -> bool:
        return INVITED in self.children

    def versioned(self) -> tuple[str, ...]:
        """The fields that a version is made of."""
        return ("SystemModstamp", *self.children)

    def link_field(self) -> str:
        """The external-id field, or empty where the object has none."""
        return self.external_id if self.external_id.lower() not in self.missing() else ""

    def _wanted(self) -> list[str]:
        extra = [self.external_id] if self.external_id else []
        always = [f for f in _ALWAYS if self.owned or f != "OwnerId"]
        names = [*always, *_TELLING[self.kind], *self.mapper.fields.values(), *extra]
        return list({n.lower(): n for n in names}.values())

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def pages(self, where: str = "", *, order: str = "", deleted: bool = False) -> Iterator[QueryPage]:
        """Full rows. A field that turns out to be missing is left out from then on."""
        return self._sparing(self._wanted(), where, order, deleted)

    def brief(self, fields: Sequence[str], where: str = "", *, deleted: bool = False) -> Iterator[QueryPage]:
        """Rows of only these fields, less those that are missing."""
        return self._sparing(fields, where, "", deleted)

    def _sparing(self, fields: Sequence[str], where: str, order: str, deleted: bool) -> Iterator[QueryPage]:
        before = self.missing()
        try:
            yield from self._query(self._select(fields, where, order), deleted)
            return
        except InvalidField:
            self.client.describe(self.name, again=True)
            if self.missing() <= before:
                raise  # it is the condition that names it
        yield from self._query(self._select(fields, where, order), deleted)

    def records(self, where: str, *, deleted: bool = False) -> Iterator[Record]:
        """The readable items among the rows."""
        for page in self.pages(where, deleted=deleted):
            for row in page.rows:
                if isinstance(item := self.read(row, page.at), Record):
                    yield item

    def room(self) -> int:
        """Bytes that the condition of a query for full rows may have, percent-encoded."""
        return soql.MAX_QUERY - soql.encoded_size(self._select(self._wanted(), "", ""))

    def _select(self, fields: Sequence[str], where: str, order: str) -> str:
        missing = self.missing()
        named = [selected(f) for f in fields if f.lower() not in missing]
        return soql.select(named, self.name, where, order)

    def _query(self, text: str, deleted: bool) -> Iterator[QueryPage]:
        """With the recycle bin if asked to, as long as the server lets us."""
        if not (deleted and self.recycle_bin):
            yield from self.client.query(text, self.name)
            return
        begun = False
        try:
            for page in self.client.query(text, self.name, deleted=True):
                begun = True
                yield page
        except (Forbidden, NotFound):
            if begun:
                raise
            yield from self._without_bin(text)

    def _without_bin(self, text: str) -> Iterator[QueryPage]:
        """If the plain query goes through, queryAll itself was refused, and is not asked again."""
        for page in self.client.query(text, self.name):
            self.recycle_bin = False
            yield page

    # ── What a row says ──────────────────────────────────────────────────────────────────────────────────────

    def read(self, row: Row, at: datetime | None) -> Record | Gone | Unreadable | NotOurs:
        """``at``: the server's clock when it was asked. Raises ProtocolError for a row without id or version."""
        item, version = row_id(row), row_version(row, at)
        if row.get("IsDeleted"):
            return Gone(item, str(row.get("MasterRecordId") or ""), row_owner(row))
        if not is_ours(row):
            return NotOurs(item)
        try:
            return self._record(item, version, row)
        except (Unmappable, ValueError) as error:
            return Unreadable(item, version, str(error), self.kind)

    def _record(self, item: str, version: str, row: Row) -> Record:
        columns = self.mapper.columns(row)
        modified = row.get("LastModifiedDate")
        return Record(
            item,
            version,
            self.kind,
            columns,
            modified=instant(modified) if isinstance(modified, str) else None,
            link=str(_any_case(row, self.external_id) or "") if self.external_id else "",
            owner=row_owner(row),
            untouchable="recurring" if row.get("IsRecurrence") else "",
            series=series_of(row),
            private=bool(row.get("IsPrivate")) or columns.get("sensitivity") in ("private", "confidential"),
        )


def is_ours(row: Row) -> bool:
    return not (row.get("IsChild") or row.get("TaskSubtype") in _NO_TASK)


def series_of(row: Row) -> str:
    """Of what is one date of a series. Each date is a row; a series of the former kind has one more, ``IsRecurrence``,
    that says no more than how it repeats (Object Reference, "Event")."""
    if row.get("IsRecurrence") or not (row.get("RecurrenceActivityId") or row.get("IsRecurrence2")):
        return ""
    return str(row.get("RecurrenceActivityId") or row.get("Id"))


def row_id(row: Row) -> str:
    item = row.get("Id")
    if not isinstance(item, str) or not soql.is_id(item):
        raise ProtocolError("the CRM sent a row without an id")
    return soql.id18(item)


def row_owner(row: Row) -> str:
    return str(row.get("OwnerId") or "")


def row_stamp(row: Row) -> datetime:
    try:
        return instant(str(row["SystemModstamp"]))
    except (KeyError, ValueError) as error:
        raise ProtocolError("the CRM sent a row without a usable SystemModstamp") from error


def row_key(row: Row) -> str:
    """A short hash of id, stamp and content."""
    content = json.dumps({k: v for k, v in row.items() if k != "attributes"}, sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(content.encode("utf-8", "replace")).digest()[:9]).decode()


def row_version(row: Row, at: datetime | None) -> str:
    """SystemModstamp, as the server writes it. It has whole seconds: one that was ``young`` when it was read may cover
    another edit later on, so the content counts as well (``…~hash``). Who is invited to an event does not touch it
    (``…^hash``)."""
    stamp = str(row["SystemModstamp"]) + mark(row)
    return f"{stamp}{YOUNG}{row_key(row)}" if young(row_stamp(row), at) else stamp


def version_stamp(version: str) -> datetime:
    """The SystemModstamp in what ``row_version`` gave."""
    return instant(version.partition(YOUNG)[0].partition(MARK)[0])


def young(stamp: datetime, at: datetime | None) -> bool:
    return at is not None and at - stamp < _SETTLED


def _any_case(row: Row, name: str) -> object:
    return row[name] if name in row else next((v for k, v in row.items() if k.lower() == name.lower()), None)
