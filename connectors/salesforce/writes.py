"""Writing in batches of 200: look, write, read back.

A batch costs one version read, one request per sort of write in it, and one read back. Salesforce's collections know no
precondition, so versions are compared just before. A write that stands alone carries ``If-Unmodified-Since`` (REST API
Developer Guide, "Conditional Request Headers"), and an update with it needs no other look.
A create is repeatable: see ``lookup``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime

from crmsync.connectors.contract import (
    Create,
    Delete,
    Done,
    Kind,
    Outcome,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.errors import ConnectorError, ProtocolError
from crmsync.connectors.salesforce import calls, faults, inviting, lookup, mail, soql
from crmsync.connectors.salesforce.attaching import Made
from crmsync.connectors.salesforce.client import Answer
from crmsync.connectors.salesforce.describe import Schema
from crmsync.connectors.salesforce.faults import Fault, InvalidField, Malformed
from crmsync.connectors.salesforce.invited import MARK
from crmsync.connectors.salesforce.mapping import objection
from crmsync.connectors.salesforce.table import YOUNG, Table
from crmsync.connectors.salesforce.values import Raw, instant


def apply(table: Table, writes: Sequence[Write]) -> Iterator[Outcome]:
    """One outcome per write, in order. When the conversation breaks off, what is known for the first writes of the
    batch is yielded before the exception."""
    for batch in _batches(writes):
        run = _Batch(table, batch)
        try:
            run.perform()
        except ConnectorError:
            yield from run.known()
            raise
        yield from run.known()


def new_row(table: Table, write: Create) -> dict[str, Raw]:
    """What a create sends, but for what it relates to."""
    row = table.mapper.new_row(write.columns, table.schema())
    if write.owner and table.owned:
        row["OwnerId"] = write.owner
    if link := table.link_field():
        row[link] = write.key
    return row


def changed_row(table: Table, write: Update) -> dict[str, Raw]:
    row = table.mapper.row(write.columns, table.schema())
    if write.link and (link := table.link_field()):
        row[link] = write.link
    return row


def _batches(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """At most 200 together, and no record twice: the second write of one sees what the first left."""
    batch: list[Write] = []
    names: set[str] = set()
    for write in writes:
        name = _name(write)
        if batch and (len(batch) == soql.BATCH or name in names):
            yield batch
            batch, names = [], set()
        batch.append(write)
        names.add(name)
    if batch:
        yield batch


def _name(write: Write) -> str:
    return write.key if isinstance(write, Create) else write.id


Body = dict[str, object]  # one record of a collections request


@dataclass(slots=True)
class _Batch:
    table: Table
    writes: Sequence[Write]
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # by position in ``writes``
    written: dict[int, str] = field(default_factory=dict)  # position -> id, not read back yet
    # positions of what stands, but not yet with all that belongs to it
    bare: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)  # positions of what was found, and has been completed since

    def perform(self) -> None:
        """Deletes go first: a create may take the place of what the batch deletes."""
        self._compare()
        self._delete()
        self._create()
        self._update()
        self._accompany()
        self._read_back()

    def known(self) -> Iterator[Outcome]:
        """The outcomes up to the first write of which nothing is known."""
        for position in range(len(self.writes)):
            if position in self.bare:
                return
            if position in self.outcomes:
                yield self.outcomes[position]
            elif position in self.written:
                yield Done(self.written[position], "")
            else:
                return

    def _open(self) -> Iterator[tuple[int, Write]]:
        return ((i, w) for i, w in enumerate(self.writes) if i not in self.outcomes and i not in self.written)

    def _compare(self) -> None:
        changes = {i: w for i, w in self._open() if isinstance(w, Update | Delete)}
        if changes and not (len(self.writes) == 1 and _told_by_time(self.table, self.writes[0])):
            self.outcomes |= lookup.settled(self.table, changes)

    def _create(self) -> None:
        wanted = {i: w for i, w in self._open() if isinstance(w, Create)}
        if not wanted:
            return
        self.outcomes |= lookup.made_already(self.table, wanted)
        creates = [(i, w) for i, w in wanted.items() if i not in self.outcomes]
        schema, link = self.table.schema(), self.table.link_field()
        bodies: dict[int, Body] = {}
        for i, write in creates:
            row = new_row(self.table, write)
            if not self._objected(i, row, schema):
                bodies[i] = {"attributes": {"type": self.table.name}, **row}
        self._relate(bodies.values())
        calls.relate(self.table, wanted, bodies)
        suffix = f"/{self.table.name}/{link}" if link else ""
        self._send(
            "PATCH" if link else "POST", f"{self.table.client.root}/composite/sobjects{suffix}", bodies
        )

    def _update(self) -> None:
        updates = [(i, w) for i, w in self._open() if isinstance(w, Update)]
        if not updates:
            return
        schema = self.table.schema()
        bodies: dict[int, Body] = {}
        for i, write in updates:
            row = changed_row(self.table, write)
            if not row:
                self.written[i] = write.id  # nothing that the CRM can hold: as it stands
            elif not self._objected(i, row, schema):
                bodies[i] = {"attributes": {"type": self.table.name}, "Id": write.id, **row}
        self._relate(bodies.values())
        for i in [i for i, body in bodies.items() if body.keys() <= {"attributes", "Id"}]:
            self.written[i] = dict(updates)[i].id  # a name that means nothing to the CRM
            del bodies[i]
        if len(bodies) == 1:
            ((i, body),) = bodies.items()
            fields = {f: v for f, v in body.items() if f not in ("attributes", "Id")}
            self._alone("PATCH", i, fields)
        else:
            self._send("PATCH", f"{self.table.client.root}/composite/sobjects", bodies)

    def _relate(self, bodies: Iterable[Body]) -> None:
        if self.table.kind is Kind.EMAIL:
            mail.related(self.table, list(bodies))

    def _accompany(self) -> None:
        """What stands in records of its own. A message that was found may have been left without. Until then nothing is
        known of it: a create that counts as done is never repeated."""
        if self.table.kind is not Kind.EMAIL:
            self._complete()
            return
        found = {i: o.id for i, o in self.outcomes.items() if isinstance(o, Done)} | self.written
        made = [
            Made(i, soql.id18(found[i]), w)
            for i, w in enumerate(self.writes)
            if i in found and isinstance(w, Create)
        ]
        self.bare = {m.position for m in made}
        refused = mail.accompany(self.table, made)
        self.bare = set()
        self.outcomes |= refused
        self.written = {i: id for i, id in self.written.items() if i not in refused}

    def _complete(self) -> None:
        """As ``_accompany``, for events. What was found under its key is read once more, if something was missing."""
        if not self.table.children:
            return
        found = {i: o.id for i, o in self.outcomes.items() if isinstance(o, Done) and o.found} | self.written
        made = [
            Made(i, soql.id18(found[i]), w)
            for i, w in enumerate(self.writes)
            if i in found and not isinstance(w, Delete)
        ]
        self.bare = {m.position for m in made if m.write.columns.keys() & self.table.mapper.partial()}
        refused, touched = inviting.complete(self.table, made)
        self.again = touched & self.outcomes.keys()
        self.bare = set()
        self.outcomes |= refused
        self.written = {i: id for i, id in self.written.items() if i not in refused}

    def _delete(self) -> None:
        deletes = [(i, w) for i, w in self._open() if isinstance(w, Delete)]
        if len(deletes) == 1:
            self._alone("DELETE", deletes[0][0], None)
        elif deletes:
            ids = ",".join(w.id for _, w in deletes)
            path = f"{self.table.client.root}/composite/sobjects?ids={ids}&allOrNone=false"
            answer = self.table.client.call("DELETE", path, self.table.name)
            self._take([i for i, _ in deletes], answer)

    def _objected(self, position: int, row: Mapping[str, Raw], schema: Schema) -> bool:
        """Refuse here what the server would refuse, before it takes part in a request."""
        found = objection(row, schema)
        if found:
            self.outcomes[position] = Refused(_name(self.writes[position]), *found)
        return found is not None

    def _send(self, method: str, path: str, bodies: Mapping[int, Body]) -> None:
        """A collections request. When the server refuses it as a whole, because it cannot even parse one of the rows,
        halves are sent until that row stands alone."""
        if not bodies:
            return
        try:
            answer = self._collection(method, path, bodies)
        except Malformed as refusal:
            positions = list(bodies)
            if len(positions) == 1:
                self._failed(positions[0], [refusal.fault])
                return
            half = len(positions) // 2
            self._send(method, path, {i: bodies[i] for i in positions[:half]})
            self._send(method, path, {i: bodies[i] for i in positions[half:]})
            return
        self._take(list(bodies), answer)

    def _collection(self, method: str, path: str, bodies: Mapping[int, Body]) -> Answer:
        """One request; once more, without the field, if one has left the object since it was described."""
        call = self.table.client.call
        try:
            return call(method, path, self.table.name, body=_request(list(bodies.values())))
        except InvalidField:
            schema = self.table.client.describe(self.table.name, again=True)
            kept = [_without_missing(b, schema) for b in bodies.values()]
            if kept == list(bodies.values()):
                raise
            return call(method, path, self.table.name, body=_request(kept))

    def _take(self, positions: Sequence[int], answer: Answer) -> None:
        """The results of a collections request, row by row."""
        results = answer.data
        if not isinstance(results, list) or len(results) != len(positions):
            raise ProtocolError(f"the CRM did not say what became of each {self.table.name}")
        for i, result in zip(positions, results, strict=True):
            if isinstance(result, Mapping) and result.get("success") is True:
                self._stands(i, str(result.get("id") or ""))
            else:
                errors = result.get("errors") if isinstance(result, Mapping) else None
                self._failed(i, faults.faults(errors or []))

    def _alone(self, method: str, position: int, body: Body | None) -> None:
        """A write of one record, conditional by the time of its version."""
        write = self.writes[position]
        if isinstance(write, Create):
            raise TypeError("a create has no version")
        answer = self.table.client.call(
            method,
            f"{self.table.client.root}/sobjects/{self.table.name}/{write.id}",
            self.table.name,
            body=body,
            headers={"If-Unmodified-Since": _http_time(write.expected)},
            accept=frozenset({200, 204, 400, 403, 404, 412}),
        )
        given = faults.faults(answer.data)
        if answer.status == 412:
            self.outcomes[position] = Stale(write.id)
        elif answer.status in (200, 204):
            self._stands(position, write.id)
        elif answer.status == 400 or any(faults.concerns_row(f) for f in given):
            self._failed(position, given)
        else:
            raise faults.failure(answer.status, answer.data, self.table.name)

    def _stands(self, position: int, given: str) -> None:
        write = self.writes[position]
        if isinstance(write, Delete):
            self.outcomes[position] = Done(write.id, "")
        elif soql.is_id(given):
            self.written[position] = soql.id18(given)
        else:
            raise ProtocolError(f"the CRM made a {self.table.name} without saying its id")

    def _failed(self, position: int, given: Sequence[Fault]) -> None:
        write = self.writes[position]
        if isinstance(write, Delete) and any(f.code == "ENTITY_IS_DELETED" for f in given):
            self.outcomes[position] = Done(write.id, "")
            return
        self.outcomes[position] = faults.outcome(_name(write), given)

    # ── Read back ────────────────────────────────────────────────────────────────────────────────────────────

    def _read_back(self) -> None:
        """What the server keeps now. If it cannot be read the writes still stand, without a version."""
        found = {i: o.id for i, o in self.outcomes.items() if i in self.again and isinstance(o, Done)}
        if not self.written and not found:
            return
        ids = list(dict.fromkeys([*self.written.values(), *found.values()]))
        try:
            kept = {r.id: r for r in self.table.records(soql.within("Id", ids))}
        except ConnectorError:
            kept = {}
        for i, item in self.written.items():
            record = kept.get(soql.id18(item))
            self.outcomes[i] = Done(item, record.version, record) if record else Done(item, "")
        for i, item in found.items():
            record = kept.get(soql.id18(item))
            self.outcomes[i] = Done(item, record.version if record else "", record, found=True)


def _request(records: Sequence[Body]) -> Body:
    return {"allOrNone": False, "records": records}


def _told_by_time(table: Table, write: Write) -> bool:
    """Whether ``If-Unmodified-Since`` alone keeps this write off a record that has changed: not where the version was
    so young that another change could have the same time, nor where people and files belong to it."""
    return (
        not table.children
        and isinstance(write, Update)
        and bool(write.expected)
        and YOUNG not in write.expected
    )


def _without_missing(body: Body, schema: Schema) -> Body:
    return {f: v for f, v in body.items() if f in ("attributes", "Id") or schema.has(f)}


def _http_time(version: str) -> str:
    """The version's second, rounded up: the header has whole seconds (RFC 9110 5.6.7)."""
    stamp = instant(version.partition(YOUNG)[0].partition(MARK)[0])
    if stamp.microsecond:
        stamp = stamp.replace(microsecond=0) + timedelta(seconds=1)
    return format_datetime(stamp, usegmt=True)
