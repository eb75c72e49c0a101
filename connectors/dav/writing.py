"""Conditional writes to one collection: planned, sent, read back, judged.

Writes go out in groups of ``GROUP``. Before a group, one request looks at what it needs to know: what stands under the
names of new items, the text of items that are not remembered, the versions of items to delete (there are servers that
ignore If-Match on DELETE, or If-None-Match on PUT). After it, one request reads back what the server has made of the
texts (of links alone, on a server that keeps them to the letter, of the first one); then the outcomes of the group are
handed out. An exception in between hands out the known beginning first.

The server need not wait for us: a group is planned while the one before is being sent, and that one is read back while
the next is; unless they meet the same item.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import partial
from typing import TypeAlias

from crmsync.connectors.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Hidden,
    Outcome,
    Record,
    Ref,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.dav.audience import TOLD, Hearing
from crmsync.connectors.dav.client import Dav
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.looking import After, Looking
from crmsync.connectors.dav.place import Place, file_name
from crmsync.connectors.dav.reading import Found, Reader
from crmsync.connectors.dav.sending import Answers, Sender, Sending
from crmsync.connectors.dav.verdict import Erase, Put, Sent, Step, judge_erase, judge_put, planned_erase
from crmsync.connectors.errors import ConnectorError

GROUP = 100  # writes between two readings back

Plan: TypeAlias = Step | Outcome


@dataclass(frozen=True, slots=True)
class Replace:
    """A whole text that was made of version ``expected``, which was looked at just now."""

    id: str
    expected: str
    text: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    """Writes to items of which each stands here once: what is planned for it must not depend on what is about to
    happen to it."""

    writes: list[Write | Replace] = field(default_factory=list)
    items: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    items: Collection[str]
    plans: Sequence[Plan]
    sending: Sending


class Writer:
    def __init__(
        self,
        dav: Dav,
        place: Place,
        flavour: Flavour,
        reader: Reader,
        habits: Habits,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], None],
        default_zone: tzinfo,
        hearing: Hearing,
    ) -> None:
        self._flavour = flavour
        self._reader = reader
        self._looking = Looking(reader, habits)
        self._hearing = hearing
        self._now = now
        self._zone = default_zone
        self._sender = partial(
            Sender, dav, place, flavour.content_type, habits.pace, hearing=hearing, pause=pause
        )

    def apply(self, writes: Sequence[Write | Replace]) -> Iterator[Outcome]:
        with self._sender() as sender:
            before: _UnderWay | None = None
            for group in self._groups(writes):
                if before is not None and not group.items.isdisjoint(before.items):
                    yield from self._ended(before)
                    before = None
                now = self._begun(group, sender, before)
                if before is not None:
                    yield from self._ended(before)
                before = now
            if before is not None:
                yield from self._ended(before)

    def _groups(self, writes: Sequence[Write | Replace]) -> Iterator[_Group]:
        group = _Group()
        for write in writes:
            item = self._name(write) if isinstance(write, Create) else write.id
            if item in group.items or len(group.writes) == GROUP:
                yield group
                group = _Group()
            group.writes.append(write)
            group.items.add(item)
        if group.writes:
            yield group

    def _begun(self, group: _Group, sender: Sender, before: _UnderWay | None) -> _UnderWay:
        """Planned while the group before is on its way, and sent once that has come to its end."""
        plans: Sequence[Plan] = ()
        broken: ConnectorError | None = None
        try:
            plans = self._planned(group.writes)
        except ConnectorError as error:
            broken = error
        if before is not None:
            broken = before.sending.answers().broken or broken
        steps = {i: plan for i, plan in enumerate(plans) if isinstance(plan, Put | Erase)}
        return _UnderWay(group.items, plans, sender.begin(steps, broken))

    def _ended(self, under_way: _UnderWay) -> Iterator[Outcome]:
        plans, answers = under_way.plans, under_way.sending.answers()
        after, error = self._afterwards(plans, answers)
        yield from self._judged(plans, answers.sent, after, broken=error is not None)
        if error is not None:
            raise error

    # ── plan ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _planned(self, group: Sequence[Write | Replace]) -> Sequence[Plan]:
        unknown = [name for write in group if (name := self._to_look_at(write))]
        there = {found.id: found for found in self._reader.look(unknown)}
        doomed = [write.id for write in group if isinstance(write, Delete)]
        versions = {found.id: found for found in self._reader.versions(doomed)}
        return [self._plan(write, there, versions) for write in group]

    def _to_look_at(self, write: Write | Replace) -> str:
        match write:
            case Create():
                return self._name(write)
            case Update() if self._reader.remembered(write.id, write.expected) is None:
                return write.id
            case Delete() if self._hearing.is_possible():
                return write.id
            case _:
                return ""

    def _plan(
        self,
        write: Write | Replace,
        there: Mapping[str, Found],
        versions: Mapping[str, Ref | Gone | Hidden],
    ) -> Plan:
        match write:
            case Replace():
                text = self._hearing.muted(write.before, write.text)
                if self._hearing.is_told(write.before, text):
                    return Refused(write.id, *TOLD)
                return Put(write.id, text, write.expected) if write.expected else Stale(write.id)
            case Create():
                return self._plan_create(write, there)
            case Update():
                return self._plan_update(write, there)
            case Delete():
                found = there.get(write.id)
                if isinstance(found, Record) and self._hearing.is_told(found.native, ""):
                    return Refused(write.id, *TOLD)
                return planned_erase(write.id, write.expected, versions[write.id])

    def _plan_create(self, write: Create, there: Mapping[str, Found]) -> Plan:
        name = self._name(write)
        try:
            text = write.native or self._hearing.muted("", self._built(write))
        except Malformed as error:
            return Refused(name, "unfit", f"no item can be made of these columns: {error.rule}")
        if self._hearing.is_told("", text):
            return Refused(name, *TOLD)
        put = Put(name, text, "", self._reader.record(name, "", text))
        found = there[name]
        if not isinstance(found, Gone):
            return judge_put(put, Sent(412), found)
        if write.native and put.uid and (twin := self._twin(put)) is not None:
            return twin
        return put

    def _plan_update(self, write: Update, there: Mapping[str, Found]) -> Plan:
        found = self._reader.remembered(write.id, write.expected) or there[write.id]
        match found:
            case Record() if found.version == write.expected != "":
                return self._patched(write, found)
            case Record() | Gone():
                return Stale(write.id)
            case Hidden():
                return Refused(write.id, "forbidden", "the item cannot be read with this login")
            case _:
                return Refused(write.id, "unreadable", found.reason)

    def _patched(self, write: Update, record: Record) -> Plan:
        if record.untouchable:
            return Refused(write.id, "untouchable", f"this item is left as it is: {record.untouchable}")
        try:
            text = self._flavour.format.patch(
                record.native,
                write.columns,
                tag=write.tag,
                stamp=write.stamp,
                now=self._now(),
                default_zone=self._zone,
            )
        except Malformed as error:
            return Refused(write.id, "unreadable", error.rule)
        if text == record.native:
            return Done(write.id, record.version, record)
        text = self._hearing.muted(record.native, text)
        if self._hearing.is_told(record.native, text):
            # a stamp is worth no message; the link is found by the item's UID as well
            stamp_only = not write.columns and not write.tag
            return Done(write.id, record.version, record) if stamp_only else Refused(write.id, *TOLD)
        if write.columns or write.tag:
            return Put(write.id, text, write.expected)
        # a stamp changes nothing that is read, so the text need not be read once more
        return Put(write.id, text, write.expected, replace(record, native=text, stamp=write.stamp))

    def _built(self, write: Create) -> str:
        return self._flavour.format.build(
            write.kind,
            write.key,
            write.columns,
            tag=write.tag,
            stamp=write.stamp,
            now=self._now(),
            default_zone=self._zone,
        )

    def _name(self, write: Create) -> str:
        return file_name(write.key, self._flavour.suffix)

    def _twin(self, put: Put) -> Done | None:
        """The same UID under another name: servers refuse it with 409, 412 or 403, or take it twice."""
        name = self._reader.with_uid(put.uid) if put.uid else None
        if name is None or name == put.id:
            return None
        found = next(iter(self._reader.look([name])))
        return (
            Done(name, found.version, found, found=True)
            if isinstance(found, Record) and found.uid == put.uid
            else None
        )

    # ── judge ────────────────────────────────────────────────────────────────────────────────────────────────

    def _afterwards(self, plans: Sequence[Plan], answers: Answers) -> tuple[After, ConnectorError | None]:
        """What stands there now, as far as it matters: texts that were taken, and all doubtful steps."""
        if answers.broken is not None:
            return After(), answers.broken
        steps = [(p, answer) for i, answer in answers.sent.items() if isinstance(p := plans[i], Put | Erase)]
        try:
            return self._looking.back(steps), None
        except ConnectorError as broken:
            return After(), broken

    def _judged(
        self, plans: Sequence[Plan], sent: Mapping[int, Sent], after: After, *, broken: bool
    ) -> Iterator[Outcome]:
        """In the order of the writes; up to the first whose fate is unknown, if the conversation broke off."""
        for index, plan in enumerate(plans):
            if not isinstance(plan, Put | Erase):
                yield plan
                continue
            answer = sent.get(index)
            if answer is None or (broken and answer.doubtful):
                return
            if isinstance(plan, Put):
                yield self._settled(plan, answer, after.items.get(plan.id))
            else:
                yield judge_erase(plan, answer, after.versions.get(plan.id))

    def _settled(self, put: Put, sent: Sent, found: Found | None) -> Outcome:
        """A new item that was refused, or is not where it was put, may stand under another name."""
        meant = None
        if put.meant is None and isinstance(found, Record) and found.version != sent.etag:
            meant = self._reader.record(put.id, "", put.text)
        outcome = judge_put(put, sent, found, meant)
        elsewhere = isinstance(found, Gone) or sent.status in (403, 409, 412)
        if not put.expected and elsewhere and not (isinstance(outcome, Done) and outcome.record):
            outcome = self._twin(put) or outcome
        if isinstance(outcome, Done) and outcome.record:
            self._reader.remember(outcome.record)
        return outcome
