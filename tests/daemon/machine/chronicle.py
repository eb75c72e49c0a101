"""Everything that the engine wrote, as the servers saw it, against what its history says: no write that was not decided
by the rules, none that history invents, and of each update the value that really stood there before it.

A write is told apart from what people do by looking at the server just before it and just after. Whoever is interrupted
in a write cannot be asked for its line of history; whether it appears when the write is found again depends on what
people did in between.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Side, Value
from crmsync.connectors.memory.native import Item
from crmsync.daemon.cycle.recover import INTERRUPTED
from crmsync.daemon.operations.undoing import UNDO
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Action, Entry
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.trouble import Point

Key = tuple[str, str, str, str]  # server, action, item, column (empty: the whole item)


@dataclass(slots=True)
class Write:
    key: Key
    old: Value = None  # of an update, what the server showed just before it
    new: Value = None  # and just after it
    certain: bool = True  # its answer was heard, and the process lived to note it


class Chronicle:
    def __init__(self, house: Premises) -> None:
        self.house = house
        self.writes: list[Write] = []
        self._begun = 0  # first write of the run of the service that goes on
        self._before: dict[str, Mapping[str, Item]] = {}
        self._former: dict[
            tuple[str, str], str
        ] = {}  # server and id of what was moved -> the id it had before
        house.fate.looks.append(self._look)
        house.fate.aftermath = self._remember
        house.fate.unheard = lambda point: self.interrupted(point.where)

    def begins(self) -> None:
        """A run of the service."""
        self._begun = len(self.writes)

    def interrupted(self, server: str = "") -> None:
        """The run broke off: what it has written so far (on this server) may not have been noted."""
        for write in self.writes[self._begun :]:
            if server in ("", write.key[0]):
                write.certain = False

    def moved(self, server: str, item: str, now: str) -> None:
        """By the time that an interrupted write is found again, the item may have another id."""
        if now != item:
            self._former[server, now] = item

    def complaints(self, typed: Callable[[Key, Value], bool] = lambda key, value: False) -> list[str]:
        """``typed``: whether a person has typed this value there. A write that was interrupted, and is found to stand,
        may be either's."""
        certain, possible, told = Counter[Key](), Counter[Key](), Counter[Key]()
        history = self._history()
        for write in self.writes:
            possible[write.key] += 1
            certain[write.key] += write.certain
        found = []
        for entry in history:
            if entry.action in (Action.CREATE, Action.UPDATE, Action.DELETE):
                told[self._key(entry)] += 1
                if entry.reason == INTERRUPTED and typed(self._key(entry), entry.new):
                    possible[self._key(entry)] += 1
                if not entry.reason:
                    found.append(f"{self._key(entry)} has no reason")
        wordless = [k for k, n in certain.items() if told[k] < n]
        unheard = possible - certain
        allowed = {k: possible[k] + sum(unheard[former] for former in self._formerly(k)) for k in told}
        invented = [k for k, n in told.items() if allowed[k] < n and k[1:2] + k[3:] != ("delete", "")]
        found += [f"{k} was written {certain[k]} times and told {told[k]} times" for k in wordless]
        found += [f"{k} is told {told[k]} times, written {possible[k]} times" for k in invented]
        return found + self._untrue(history, typed)

    def _untrue(self, history: Sequence[Entry], typed: Callable[[Key, Value], bool]) -> list[str]:
        """Updates that are told with other values than any write of them had; each write accounts for one."""
        left: defaultdict[Key, list[Write]] = defaultdict(list)
        for write in self.writes:
            left[write.key].append(write)
        found = []
        for entry in (e for e in history if e.action == Action.UPDATE):
            key = self._key(entry)
            unheard = [w for former in self._formerly(key) for w in left[former] if not w.certain]
            told = next((w for w in [*left[key], *unheard] if self._tells(entry, w)), None)
            if told is not None:
                left[told.key].remove(told)
            elif not (entry.reason == INTERRUPTED and typed(key, entry.new)):
                wrote = [(w.old, w.new) for w in left[key]]
                found.append(f"{key} is told as {entry.old!r} -> {entry.new!r}, and was one of {wrote}")
        return found

    def _tells(self, entry: Entry, write: Write) -> bool:
        """What was sent is told, and a server may have rewritten it. So is what an undo found undone already by one
        that was interrupted: as its own opposite."""
        server, _, _, column = write.key
        if not self.house.shows(server, column, entry.new, write.new):
            return False
        undoes = entry.reason.startswith(UNDO)
        return same(entry.old, write.old) or (
            undoes and self.house.shows(server, column, entry.old, write.old)
        )

    def ids(self, server: str, item: str) -> Iterator[str]:
        """Each id that the item has had, the last one first."""
        first = item
        yield item
        while item := self._former.get((server, item), ""):
            if item == first:
                return  # moved there and back
            yield item

    def _formerly(self, key: Key) -> Iterator[Key]:
        """The key, by each id that the item has had before, the last one first."""
        server, action, item, column = key
        for former in [*self.ids(server, item)][1:]:
            yield server, action, former, column

    def _remember(self, point: Point) -> None:
        if _is_write(point) and not point.after:
            self._before[point.where] = {i.id: i for i in self.house.items(point.where)}

    def _look(self, point: Point) -> None:
        if not _is_write(point) or not point.after:
            return
        before = self._before.pop(point.where, {})
        after = {i.id: i for i in self.house.items(point.where)}
        self._note(point.where, "create", after.keys() - before.keys())
        self._note(point.where, "delete", before.keys() - after.keys())
        for id in before.keys() & after.keys():
            old, new = before[id].columns, after[id].columns
            for column in (c for c in new if not same(old.get(c), new[c])):
                key = (point.where, "update", id, column)
                self.writes.append(Write(key, old.get(column), new[column]))

    def _note(self, server: str, action: str, items: set[str]) -> None:
        self.writes += [Write((server, action, item, "")) for item in sorted(items)]

    def _history(self) -> list[Entry]:
        with self.house.state.reading() as tx:
            return tx.history._read(tx.history._rows.select())

    def _key(self, entry: Entry) -> Key:
        if entry.side is Side.CRM:
            return (
                "crm",
                str(entry.action),
                entry.crm_id,
                entry.column if entry.action == Action.UPDATE else "",
            )
        server = self.house.server_of(entry.ecs_collection)
        return (
            server,
            str(entry.action),
            entry.ecs_id,
            entry.column if entry.action == Action.UPDATE else "",
        )


def _is_write(point: Point) -> bool:
    return point.where != "state" and point.what in ("create", "update", "delete")
