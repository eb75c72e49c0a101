"""The calls of all accounts, as they stand."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony.call import Call, Phase, advanced
from crmsync.connectors.telephony.contract import Cause, Direction, Ended, Event, Offered
from crmsync.connectors.telephony.people import Person

log = logging.getLogger(__name__)

KEPT = 8  # calls of an account that are over, and still shown
LONGEST_NOTES = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Line:
    """Whose calls they are."""

    account: str
    switch: str
    extension: str = ""  # empty: every call of the switch
    region: str | None = None
    tag: str = "CRM"
    internal: bool = False  # calls between extensions go to the CRM, too


@dataclass(frozen=True, slots=True)
class Live:
    """A call, with what is known and said of it."""

    call: Call
    switch: str
    notes: str = ""
    people: Sequence[Person] = ()
    sought: bool = False  # whether ``people`` is all that will be found
    chosen: str = ""  # id of one of them

    @property
    def person(self) -> Person | None:
        """Whom it is with, as far as that is clear."""
        if self.chosen:
            return next((p for p in self.people if p.id == self.chosen), None)
        return self.people[0] if len(self.people) == 1 else None

    def document(self) -> dict[str, Any]:
        call = self.call
        return {
            "key": call.key,
            "phase": call.phase.value,
            "direction": call.direction.value,
            "number": call.number,
            "name": call.name,
            "started": _text(call.started),
            "answered": _text(call.answered),
            "ended": _text(call.ended),
            "disposition": call.disposition.value if call.over else None,
            "transferred": call.transferred,
            "notes": self.notes,
            "people": [asdict(person) for person in self.people],
            "sought": self.sought,
            "chosen": self.person.id if self.person else "",
        }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None


@dataclass(slots=True)
class Board:
    """Safe to use from several threads."""

    store: CallStore
    now: Callable[[], datetime]
    sought: Callable[[str, str, str], None]  # account, key, number: somebody has to look who that is
    finished: Callable[[str], None]  # account: there is an item more, or another one
    lines: Sequence[Line] = ()
    _calls: dict[str, dict[str, Live]] = field(default_factory=dict)  # account -> key -> call, oldest first
    _listeners: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    _unsaved: dict[tuple[str, str], bool] = field(default_factory=dict)  # account and key -> with other notes
    _lock: threading.RLock = field(default_factory=threading.RLock)
    trouble: str | None = None  # why calls are not on disk just now, for a person

    # ── What is heard ────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, switch: str, event: Event) -> None:
        """What cannot be put on disk is kept in memory until it can (``save``): the telephone rings all the same."""
        for line in self._concerned(switch, event):
            self._hear(line, event)

    def _concerned(self, switch: str, event: Event) -> Sequence[Line]:
        lines = [line for line in self.lines if line.switch == switch]
        if isinstance(event, Offered):
            return [
                n for n in lines if not n.extension or not event.extension or n.extension == event.extension
            ]
        return [line for line in lines if self._of_switch(line.account, event.call) is not None]

    def _of_switch(self, account: str, id: str) -> Live | None:
        with self._lock:
            found = (live for live in self._calls.get(account, {}).values() if live.call.id == id)
            return next(found, None)

    def _hear(self, line: Line, event: Event) -> None:
        with self._lock:
            before = self._of_switch(line.account, event.call)
            call = advanced(before.call if before else None, event, line.region)
            if call is None or (before is not None and call == before.call):
                return
            if before is None and self._is_erased(line.account, call.key):
                return
            live = replace(before, call=call) if before else Live(call, line.switch)
            saved = self._try(line, live, noted=False)
            self._show(line, live)
        if before is None:
            self.sought(line.account, call.key, call.number)
        self._tell(line.account)
        if saved and call.over and not (before and before.call.over):
            self.finished(line.account)

    def _is_erased(self, account: str, key: str) -> bool:
        try:
            return self.store.is_erased(account, key)
        except ConnectorError:
            return False

    def _show(self, line: Line, live: Live) -> None:
        calls = self._calls.setdefault(line.account, {})
        calls[live.call.key] = live
        over = [k for k, one in calls.items() if one.call.over and (line.account, k) not in self._unsaved]
        for key in over[: max(0, len(over) - KEPT)]:
            del calls[key]

    def _try(self, line: Line, live: Live, *, noted: bool) -> bool:
        place = line.account, live.call.key
        noted = noted or self._unsaved.pop(place, False)
        try:
            self._save(line, live, noted=noted)
        except ConnectorError as error:
            self._unsaved[place] = noted
            if self.trouble is None:
                log.error("calls are kept in memory: %s", error, extra={"action": "calls.unsaved"})
            self.trouble = str(error)
            return False
        return True

    def save(self) -> None:
        """What could not be put on disk: again."""
        finished: set[str] = set()
        with self._lock:
            if not self._unsaved:
                return
            for (account, key), noted in list(self._unsaved.items()):
                line, live = self._line(account), self.get(account, key)
                if line is None or live is None:  # it was erased, or is nobody's any more
                    del self._unsaved[account, key]
                elif not self._try(line, live, noted=noted):
                    return
                elif live.call.over:
                    finished.add(account)
            self.trouble = None
        log.info("all calls are on disk again", extra={"action": "calls.saved"})
        self.tell_all()
        for account in finished:
            self.finished(account)

    def _save(self, line: Line, live: Live, *, noted: bool) -> None:
        """``noted``: the notes are others than before. Raises what the store raises."""
        call = live.call
        if call.over:
            self._log(line, live, noted=noted)
            self.store.drop(line.account, call.key)
        else:
            self.store.keep(line.account, call.key, line.switch, _stored(live))

    def _log(self, line: Line, live: Live, *, noted: bool) -> None:
        """The item of a call that is over. What the person, or the CRM, has made of it since stays."""
        key, person = live.call.key, live.person
        fresh = mapping.columns_of(
            live.call, live.notes, person.name if person else "", person.id if person else ""
        )
        row = self.store.get(line.account, [key]).get(key)
        if row is not None and row.gone:
            return  # somebody has deleted it
        if row is not None:
            record = mapping.record(key, "", row.content, row.modified, "")
            columns = {**record.columns, **({"description": fresh["description"]} if noted else {})}
            if not record.columns.get("regarding"):
                columns["regarding"] = fresh["regarding"]
            tags, stamp = record.tags, record.stamp
        else:
            columns, stamp = fresh, None
            tags = frozenset() if live.call.internal and not line.internal else frozenset({line.tag})
        if row is None or columns != record.columns:
            content = mapping.content(columns, tags=tags, stamp=stamp, uid=key, rest={})
            self.store.put(line.account, key, content, self.now())

    def going(self, switch: str) -> list[str]:
        """Ids of the calls that were not over when they were last heard of; also those of before a restart."""
        regions = {line.account: line for line in self.lines if line.switch == switch}
        with self._lock:
            for account, stored in self.store.going(switch):
                live = _restored(stored, switch)
                if account in regions:
                    self._calls.setdefault(account, {}).setdefault(live.call.key, live)
                else:
                    self.store.drop(account, live.call.key)  # nobody's any more
            return list({
                live.call.id
                for account in regions
                for live in self._calls.get(account, {}).values()
                if not live.call.over and live.switch == switch
            })  # fmt: skip

    def abandon(self, switch: str, ids: Iterable[str]) -> None:
        """These are over, and nobody knows how."""
        for id in ids:
            self.hear(switch, Ended(id, Cause.LOST, self.now()))

    # ── What a person does ───────────────────────────────────────────────────────────────────────────────────

    def calls(self, account: str) -> list[Live]:
        with self._lock:
            return list(self._calls.get(account, {}).values())

    def get(self, account: str, key: str) -> Live | None:
        with self._lock:
            return self._calls.get(account, {}).get(key)

    def note(self, account: str, key: str, notes: str) -> bool:
        return self._say(account, key, lambda live: replace(live, notes=notes[:LONGEST_NOTES]))

    def choose(self, account: str, key: str, person: str) -> bool:
        return self._say(account, key, lambda live: replace(live, chosen=person))

    def found(self, account: str, key: str, people: Sequence[Person], *, all: bool) -> bool:
        """Said by nobody, so nobody is told that it cannot be put on disk."""

        def change(live: Live) -> Live:
            return replace(live, people=tuple(people), sought=all)

        return self._say(account, key, change, save=self._try)

    def _line(self, account: str) -> Line | None:
        return next((line for line in self.lines if line.account == account), None)

    def _say(
        self,
        account: str,
        key: str,
        change: Callable[[Live], Live],
        save: Callable[..., object] | None = None,
    ) -> bool:
        """Whether there is such a call. Raises what the store raises."""
        line = self._line(account)
        with self._lock:
            before = self.get(account, key)
            if before is None or line is None:
                return False
            after = change(before)
            if after == before:
                return True
            (save or self._save)(line, after, noted=after.notes != before.notes)
            self._show(line, after)
        self._tell(account)
        if after.call.over:
            self.finished(account)
        return True

    # ── Who looks ────────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, account: str, told: Callable[[], None]) -> Callable[[], None]:
        """``told``: called when something has changed, from any thread. The answer ends that."""
        with self._lock:
            some = self._listeners.setdefault(account, [])
            some.append(told)

        def end() -> None:
            with self._lock:
                some.remove(told)

        return end

    def look_again(self) -> None:
        """What was erased from the store is shown no more. Raises what the store raises."""
        with self._lock:
            for account, calls in self._calls.items():
                for key in [key for key in calls if self.store.is_erased(account, key)]:
                    del calls[key]
                    self._unsaved.pop((account, key), None)
        self.tell_all()

    def hand_over(self, other: "Board | None") -> None:
        """Those who look are told by another board from now on: one that may not be there."""
        with self._lock:
            listeners, self._listeners = self._listeners, {}
        if other is not None:
            other._listeners = listeners
        for some in listeners.values():
            for told in some:
                told()

    def tell_all(self) -> None:
        for account in list(self._listeners):
            self._tell(account)

    def _tell(self, account: str) -> None:
        with self._lock:
            listeners = list(self._listeners.get(account, ()))
        for told in listeners:
            told()


def _stored(live: Live) -> dict[str, Any]:
    call = {
        **asdict(live.call),
        **{n: _text(getattr(live.call, n)) for n in ("started", "answered", "ended")},
    }
    return {"call": call, "notes": live.notes, "chosen": live.chosen}


def _restored(stored: Mapping[str, Any], switch: str) -> Live:
    given = dict(stored["call"])
    for name in ("started", "answered", "ended"):
        given[name] = datetime.fromisoformat(given[name]) if given[name] else None
    given |= {"direction": Direction(given["direction"]), "phase": Phase(given["phase"])}
    given["cause"] = Cause(given["cause"]) if given["cause"] else None
    return Live(Call(**given), switch, stored["notes"], chosen=stored["chosen"])
