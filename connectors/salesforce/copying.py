"""An object of an organisation of which a copy stands on this machine: the object itself with the copy beside it, and
the copy in its place while it cannot be asked.

A copy proves no absence. What it cannot tell is a conversation that failed, and its cursor stays where it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import (
    Create,
    Cursor,
    Delete,
    Done,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Refused,
    Selection,
    Stale,
    Unreadable,
    Update,
    Write,
)
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.salesforce import calls, lookup, mail, writes
from crmsync.connectors.salesforce.changes import Poll
from crmsync.connectors.salesforce.conditions import Conditions
from crmsync.connectors.salesforce.desk import Desk, Kept
from crmsync.connectors.salesforce.mail_fields import ABOUT, WRITTEN
from crmsync.connectors.salesforce.mapping import objection
from crmsync.connectors.salesforce.reading import SalesforceConnector
from crmsync.connectors.salesforce.table import Table

__all__ = ["BesideCopy", "OnCopy"]


class BesideCopy(SalesforceConnector):
    """With the CRM there. What was kept while it was away has a word in what is written now."""

    stands_in = False
    one_clock = False  # the version that was noted may be the copy's

    def __init__(self, table: Table, poll: Poll, conditions: Conditions, desk: Desk) -> None:
        super().__init__(table, poll, conditions)
        self._desk = desk

    def apply(self, writes_: Sequence[Write]) -> Iterator[Outcome]:
        known = self._desk.known(writes_, send=True)
        start = 0
        for position in [*sorted(known), len(writes_)]:
            yield from self._through(writes_[start:position])
            if position < len(writes_):
                yield self._again(writes_[position], known[position])
            start = position + 1

    def _through(self, some: Sequence[Write]) -> Iterator[Outcome]:
        if not some:
            return
        for write, outcome in zip(some, super().apply(some), strict=False):
            if isinstance(write, Create):
                self._desk.arrived(write, outcome)
            yield outcome

    def _again(self, write: Write, known: Outcome) -> Outcome:
        """What still waits waits with what the mailbox says now."""
        if isinstance(known, Done) and known.provisional and isinstance(write, Update):
            return self._desk.keep(self._table.name, [_kept(self._table, write)])[0]
        return known

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        told = super().access(user, ids)
        self._desk.grant(user, ids, told)
        return told

    def here(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(ids)

    def joined(self, key: str, id: str) -> None:
        self._desk.joined(key, id)


class OnCopy(SalesforceConnector):
    """With the CRM away. Shows what it is known to have, and keeps what it shall get."""

    stands_in = True
    one_clock = False

    def __init__(self, table: Table, poll: Poll, conditions: Conditions, desk: Desk) -> None:
        super().__init__(table, poll, conditions)
        self._desk = desk

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        if since is None:
            raise _away("what it holds for an account that is new to it")
        yield Page((), since)

    def listing(self) -> Iterator[Ref]:
        raise _away("what there is")
        yield  # pragma: no cover

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        for item in super().fetch(ids):
            if isinstance(item, Hidden):
                raise _away(f"{item.id}, which its copy does not have")
            yield item

    def here(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(item.id for item in super().fetch(ids) if not isinstance(item, Hidden))

    def joined(self, key: str, id: str) -> None:
        """Only the CRM itself can tell."""

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        told = self._desk.granted(user, ids)
        if unknown := [i for i in ids if i not in told]:
            raise _away(f"whose {unknown[0]} is")
        return {i: rights for i, rights in told.items() if rights.read}

    def apply(self, writes_: Sequence[Write]) -> Iterator[Outcome]:
        for write in writes_:
            known = self._desk.known([write], send=False)
            if 0 in known and not _waits(known[0]):
                yield known[0]
            else:
                yield self._kept(write)

    def _kept(self, write: Write) -> Outcome:
        if not isinstance(write, Create) and lookup.settled(self._table, {0: write}):
            return Stale(write.id)
        kept = _kept(self._table, write)
        if found := objection(kept.row, self._table.schema()):  # type: ignore[arg-type]
            return Refused(write.key if isinstance(write, Create) else write.id, *found)
        outcome = self._desk.keep(self._table.name, [kept])[0]
        if isinstance(outcome, Done) and outcome.provisional:
            return replace(outcome, still=_still(self._table, kept))
        return outcome

    def join(self, id: str, user: str) -> None:
        if self._table.kind is Kind.EMAIL:
            raise _away("who else has got it")

    def relate(self, records: Sequence[Record]) -> None:
        if self._table.kind is Kind.EMAIL and records:
            raise _away("to whom it relates")


def _waits(outcome: Outcome) -> bool:
    return isinstance(outcome, Done) and outcome.provisional


def _kept(table: Table, write: Write) -> Kept:
    match write:
        case Create():
            row: dict[str, object] = dict(writes.new_row(table, write))
            bodies = {0: row}
            calls.relate(table, {0: write}, bodies)
            return Kept(write, _named(table, bodies[0]))
        case Update():
            changed = _named(table, writes.changed_row(table, write))
            return Kept(write, changed, _clocks(table, write, changed))
    return Kept(write)


def _named(table: Table, row: Mapping[str, object]) -> Mapping[str, object]:
    """With the id of what a mail is about, as far as the copy has that."""
    known = dict(row)
    if table.kind is Kind.EMAIL:
        mail.related(table, [known])
    return known


_BESIDE = {"attendees": "who is invited", "attachments": "its files", "regarding": "what it is about"}


def _still(table: Table, kept: Kept) -> str:
    """What of a write stands in records of its own, which are made when the CRM is there."""
    if isinstance(kept.write, Delete):
        return ""
    columns = kept.write.columns
    waits = [
        n for n in table.mapper.partial() if n in columns and (columns[n] or isinstance(kept.write, Update))
    ]
    if table.kind is Kind.EMAIL:
        waits += ["attachments"] if kept.write.original and kept.write.original.attachments else []
        known = WRITTEN in kept.row or table.mapper.fields.get("regarding") != ABOUT
        waits += ["regarding"] if columns.get("regarding") and not known else []
    return " and ".join(_BESIDE[n] for n in sorted(waits))


def _clocks(table: Table, write: Update, row: Mapping[str, object]) -> dict[str, datetime]:
    """Columns that are written as one have the latest clock of all of them."""
    if not (known := {c: when for c, when in write.clocks.items() if c in write.columns}):
        return {}
    latest = max(known.values())
    by_field = {table.mapper.fields[c]: when for c, when in known.items() if c in table.mapper.fields}
    return {name: by_field.get(name, latest) for name in row}


def _away(what: str) -> Unreachable:
    return Unreachable(f"the CRM is away, and only it can say {what}")
