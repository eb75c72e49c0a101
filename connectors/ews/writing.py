"""Conditional writes to one folder, in groups: planned, sent, read back.

Nothing is ever sent to attendees, whatever is written: each request says SendToNone. No write is forced: updates carry
the change key and NeverOverwrite, so that Exchange refuses what was computed from another version. It does not look at
the key when it deletes: the version is read just before. What is deleted goes to Deleted Items, where it is found.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crmsync.connectors.contract import (
    Create,
    Deferred,
    Delete,
    Done,
    Kind,
    Outcome,
    Record,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.ews import faults, mapping, wire
from crmsync.connectors.ews.client import Answer, Exchange
from crmsync.connectors.ews.properties import KEY, Malformed, Property
from crmsync.connectors.ews.reading import PUT_BACK, Reader
from crmsync.connectors.ews.wire import Element, M

_HEX = re.compile(r"(?:[0-9a-f]{2}){1,64}")
GROUP = 50  # writes of one request

W = TypeVar("W", Create, Update, Delete)


@dataclass(frozen=True, slots=True)
class _New:
    key: str
    properties: Mapping[str, Property]


@dataclass(frozen=True, slots=True)
class _Change:
    id: str
    expected: str
    properties: Mapping[str, Property]


class Writer:
    def __init__(
        self, exchange: Exchange, folder: str, kind: Kind, zone: mapping.Zone, reader: Reader
    ) -> None:
        self._exchange = exchange
        self._folder = folder
        self._kind = kind
        self._zone = zone
        self._reader = reader

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        """An exception hands out the known beginning first."""
        for group in _groups(writes):
            told: dict[int, Outcome] = {}
            broken: ConnectorError | None = None
            try:
                self._creates(_of(group, Create), told)
                self._updates(_of(group, Update), told)
                self._deletes(_of(group, Delete), told)
            except ConnectorError as error:
                broken = error
            for n in range(len(group)):
                if n not in told:
                    break
                yield told[n]
            if broken is not None:
                raise broken

    # ── create ───────────────────────────────────────────────────────────────────────────────────────────────

    def _creates(self, creates: Mapping[int, Create], told: dict[int, Outcome]) -> None:
        if not creates:
            return
        there = self._reader.with_keys([create.key for create in creates.values()])
        self._found({n: there[c.key] for n, c in creates.items() if c.key in there}, told)
        rest = {n: c for n, c in creates.items() if c.key not in there}
        self._put_back({n: c for n, c in rest.items() if c.native.startswith(PUT_BACK)}, told)
        new: dict[int, _New] = {}
        for n, create in rest.items():
            if n in told:
                continue
            plan = self._planned(create)
            if isinstance(plan, _New):
                new[n] = plan
            else:
                told[n] = plan
        if new:
            self._sent(new, "CreateItem", self._create(list(new.values())), told)

    def _found(self, ids: Mapping[int, str], told: dict[int, Outcome]) -> None:
        read = {answer.id: answer for answer in self._reader.fetch(list(ids.values()))} if ids else {}
        for n, id in ids.items():
            record = read.get(id)
            version = record.version if isinstance(record, Record) else ""
            told[n] = Done(id, version, record if isinstance(record, Record) else None, found=True)

    def _put_back(self, creates: Mapping[int, Create], told: dict[int, Outcome]) -> None:
        """What was deleted lies in Deleted Items, with all that we do not know of it; what is gone from there is made
        anew from its columns."""
        keys = {n: create.native.removeprefix(PUT_BACK) for n, create in creates.items()}
        keys = {n: key for n, key in keys.items() if _HEX.fullmatch(key)}
        there = self._reader.thrown_away(list(keys.values())) if keys else {}
        found = {n: there[key] for n, key in keys.items() if key in there}
        if not found:
            return
        to = wire.element("m:ToFolderId", wire.folder_id(self._folder))
        ids = wire.element("m:ItemIds", *(wire.item_id(id) for id in found.values()))
        answers = self._exchange.each("MoveItem", wire.element("m:MoveItem", to, ids), len(found))
        moved = {n: _id_in(a) for n, a in zip(found, answers, strict=True) if a.ok and _id_in(a)}
        self._read_back(moved, dict.fromkeys(moved, ""), told)

    def _planned(self, create: Create) -> _New | Refused:
        if create.kind is not self._kind:
            return Refused(create.key, "unfit", f"this folder cannot hold a {create.kind.value}")
        properties = mapping.write(
            self._kind, None, create.columns, zone=self._zone, tag=create.tag, stamp=create.stamp
        )
        if self._kind is Kind.APPOINTMENT:
            if "Start" not in properties:
                return Refused(create.key, "unfit", "an appointment must have a start")
            properties["UID"] = create.key
        return _New(create.key, {**properties, KEY: create.key})

    def _create(self, new: Sequence[_New]) -> Element:
        return wire.element(
            "m:CreateItem",
            wire.element("m:SavedItemFolderId", wire.folder_id(self._folder)),
            wire.element("m:Items", *(wire.new_item(self._kind, one.properties) for one in new)),
            MessageDisposition="SaveOnly",
            SendMeetingInvitations="SendToNone",
        )

    # ── update ───────────────────────────────────────────────────────────────────────────────────────────────

    def _updates(self, updates: Mapping[int, Update], told: dict[int, Outcome]) -> None:
        unknown = [u.id for u in updates.values() if self._reader.standing(u.id, u.expected) is None]
        read = {answer.id: answer for answer in self._reader.fetch(unknown)} if unknown else {}
        changes: dict[int, _Change] = {}
        for n, update in updates.items():
            plan = self._change(update, read.get(update.id))
            if isinstance(plan, _Change):
                changes[n] = plan
            else:
                told[n] = plan
        if changes:
            self._sent(changes, "UpdateItem", self._update(list(changes.values())), told)

    def _change(self, update: Update, read: object) -> _Change | Outcome:
        standing = self._reader.standing(update.id, update.expected)
        if isinstance(read, Record) and read.untouchable:
            return Refused(update.id, "untouchable", f"this item is left as it is: {read.untouchable}")
        if standing is None:
            return Stale(update.id)
        try:
            if reason := mapping.read(self._kind, update.id, standing, self._zone).untouchable:
                return Refused(update.id, "untouchable", f"this item is left as it is: {reason}")
            properties = mapping.write(
                self._kind, standing, update.columns, zone=self._zone, tag=update.tag, stamp=update.stamp
            )
        except Malformed as error:
            return Refused(update.id, "unreadable", error.rule)
        if not properties:
            return self._unchanged(update)
        return _Change(update.id, update.expected, properties)

    def _unchanged(self, update: Update) -> Outcome:
        """Nothing is to be written; whether it still has that version is to be said all the same."""
        now = self._reader.versions([update.id])[update.id]
        return Done(update.id, update.expected) if now == update.expected else Stale(update.id)

    def _update(self, changes: Sequence[_Change]) -> Element:
        return wire.element(
            "m:UpdateItem",
            wire.element(
                "m:ItemChanges",
                *(
                    wire.element(
                        "t:ItemChange",
                        wire.item_id(change.id, change.expected),
                        wire.updates(self._kind, change.properties),
                    )
                    for change in changes
                ),
            ),
            ConflictResolution="NeverOverwrite",
            MessageDisposition="SaveOnly",
            SendMeetingInvitationsOrCancellations="SendToNone",
        )

    # ── what became of them ──────────────────────────────────────────────────────────────────────────────────

    def _sent(
        self, plans: Mapping[int, _New | _Change], operation: str, payload: Element, told: dict[int, Outcome]
    ) -> None:
        answers = self._exchange.each(operation, payload, len(plans))
        stand: dict[int, str] = {}
        for (n, plan), answer in zip(plans.items(), answers, strict=True):
            if answer.ok and (id := _id_in(answer)):
                stand[n] = id
            elif answer.ok:  # a create is looked for by its key when it is tried again
                told[n] = Deferred(_name(plan), "the server does not say what it has made")
            else:
                told[n] = faults.written(_name(plan), answer.code, answer.text, back_off=answer.back_off)
        self._read_back(stand, {n: _version_in(a) for n, a in zip(plans, answers, strict=True)}, told)

    def _read_back(
        self, ids: Mapping[int, str], versions: Mapping[int, str], told: dict[int, Outcome]
    ) -> None:
        """They stand, whatever happens to the reading."""
        try:
            read = {answer.id: answer for answer in self._reader.fetch(list(ids.values()))}
        except ConnectorError:
            told.update({n: Done(id, versions[n]) for n, id in ids.items()})
            raise
        for n, id in ids.items():
            record = read.get(id)
            if isinstance(record, Record):
                told[n] = Done(id, record.version, record)
            else:
                told[n] = Done(id, versions[n])

    # ── delete ───────────────────────────────────────────────────────────────────────────────────────────────

    def _deletes(self, deletes: Mapping[int, Delete], told: dict[int, Outcome]) -> None:
        if not deletes:
            return
        now = self._reader.versions([delete.id for delete in deletes.values()])
        doomed: dict[int, str] = {}
        for n, delete in deletes.items():
            version = now[delete.id]
            if version is None:
                told[n] = Done(delete.id, "")
            elif version != delete.expected:
                told[n] = Stale(delete.id)
            else:
                doomed[n] = delete.id
        if not doomed:
            return
        answers = self._exchange.each("DeleteItem", self._delete(list(doomed.values())), len(doomed))
        for (n, id), answer in zip(doomed.items(), answers, strict=True):
            told[n] = (
                Done(id, "")
                if answer.ok
                else faults.deleted(id, answer.code, answer.text, back_off=answer.back_off)
            )

    @staticmethod
    def _delete(ids: Sequence[str]) -> Element:
        return wire.element(
            "m:DeleteItem",
            wire.element("m:ItemIds", *(wire.item_id(id) for id in ids)),
            DeleteType="MoveToDeletedItems",
            SendMeetingCancellations="SendToNone",
            AffectedTaskOccurrences="AllOccurrences",
        )


def _groups(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """An item stands in a group once: what is planned for it must not depend on what is about to happen."""
    group: list[Write] = []
    taken: set[str] = set()
    for write in writes:
        item = write.key if isinstance(write, Create) else write.id
        if item in taken or len(group) == GROUP:
            yield group
            group, taken = [], set()
        group.append(write)
        taken.add(item)
    if group:
        yield group


def _of(group: Sequence[Write], kind: type[W]) -> dict[int, W]:
    return {n: write for n, write in enumerate(group) if isinstance(write, kind)}


def _name(plan: _New | _Change) -> str:
    return plan.id if isinstance(plan, _Change) else plan.key


def _id_in(answer: Answer) -> str:
    item = answer.element.find(f"{M}Items/*")
    found = wire.found(item) if item is not None else None
    return found.id if found else ""


def _version_in(answer: Answer) -> str:
    item = answer.element.find(f"{M}Items/*")
    found = wire.found(item) if item is not None else None
    return found.change_key if found else ""
