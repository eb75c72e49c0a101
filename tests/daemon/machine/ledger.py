"""What people did, and what therefore has to stand in the end: the engine's opposite number.

It knows nothing of snapshots and cursors. It remembers who typed which value where, what that person saw when typing
it, and who deleted what. A value may only disappear if a person replaced or deleted it who *saw* it, or if it lost a
conflict and stands in the log.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crmsync.connectors.contract import Columns, Side, Value
from crmsync.connectors.memory.native import Item
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Direction
from crmsync.state.model import Action
from crmsync.state.values import encode
from tests.daemon.machine.premises import SHARED, Premises
from tests.daemon.machine.trouble import Point


@dataclass(slots=True)
class Edit:
    server: str
    item: str
    name: str
    column: str
    value: Value  # as the server stored it
    certain: bool  # it cannot be taken for no edit at all
    fresh: bool = True  # nobody had written this value before
    apart: bool = False  # its column was not exchanged when it was written, or has not been for a while since
    over: str = ""  # why it need not stand any more


class Ledger:
    def __init__(self, house: Premises) -> None:
        self.house = house
        self.edits: list[Edit] = []
        self.made: Counter[tuple[str, str]] = Counter()  # by server and name, items that people made
        self.deaths: set[tuple[str, str]] = set()  # by server and name, what people deleted
        self.moved: set[str] = set()  # names of cards that were moved to another book
        self.hid: Counter[tuple[str, str]] = Counter()  # by server and name, what was put out of sight
        self.lied_to = (
            False  # a listing has left out what is there: nobody can know then where a card was moved to
        )
        self.wrongs: list[str] = []  # deletes for which there was no reason
        self.ever_shared = {c for c in house.rules[house.kind] if self.shared(c)}
        self.undoing = False  # what a cycle has made is being taken away again
        house.fate.witness = self._saw

    # ── What people do ───────────────────────────────────────────────────────────────────────────────────────

    def made_by_a_person(self, server: str, item: str) -> None:
        found = self._item(server, item)
        name = self._name(found)
        self.made[server, name] += 1
        for column, value in found.columns.items():
            if value is not None and column != self.house.named:
                self.edits.append(Edit(server, item, name, column, value, certain=True))

    def edit(self, server: str, item: str, columns: Columns) -> None:
        before = self._item(server, item)
        plain = {c: self._undisputed(server, before, c) for c in columns}
        self.house.servers[server].edit(item, columns)
        after = self._item(server, item)
        for column in columns:
            old, new = before.columns[column], after.columns[column]
            if same(old, new):
                continue
            fresh = not any(e.column == column and same(e.value, new) for e in self.edits)
            self._saw_it(server, before, column, "replaced")
            certain = plain[column] or (fresh and new is not None)
            self.edits.append(
                Edit(server, item, self._name(before), column, new, certain, fresh and new is not None)
            )

    def delete(self, server: str, item: str) -> None:
        found = self._item(server, item)
        for column in found.columns:
            self._saw_it(server, found, column, "deleted")
        self.deaths.add((server, self._name(found)))
        self.house.servers[server].delete(item)

    def move(self, server: str, item: str, collection: str) -> str:
        before = self._item(server, item)
        if (
            before.hidden
        ):  # it goes from where it was, and is seen nowhere else: a delete, as far as anyone can tell
            self.deaths.add((server, self._name(before)))
        moved = self.house.servers[server].move(item, collection)
        self.moved.add(self._name(before))
        for edit in self._of(server, item):
            edit.item = moved
        return moved

    def hide(self, server: str, item: str) -> None:
        """To a server that says no more than that it is not there, it is deleted: an edit of the other side's has it
        made again."""
        there = self.house.servers[server]
        there.hide(item)
        if not (found := self._item(server, item)).hidden:
            return
        name = self._name(found)
        self.hid[server, name] += 1
        if name in self.moved and not self._met(found):
            self.deaths.add((server, name))  # all that anyone can tell is that it is gone from where it was

    def copy(self, server: str, item: str) -> str:
        copied = self.house.servers[server].copy(item)
        self.made_by_a_person(server, copied)
        return copied

    # ── What the operator does ───────────────────────────────────────────────────────────────────────────────

    def kept_apart(self, column: str) -> None:
        """What stands in it and goes nowhere is the item's alone, also if the column's rule is another one later: who
        deletes the other half takes it for the item that it is, and nobody has edited that."""
        for edit in self.edits:
            if edit.column == column and not self.travels(edit.server, column):
                edit.apart = True

    def ruled_anew(self, column: str) -> None:
        """The column has another rule from now on. Where it was not exchanged before, a value that stood there once
        already passes for no edit."""
        self.kept_apart(column)
        if self.shared(column):
            self.ever_shared.add(column)
        for edit in self.edits:
            edit.certain = edit.certain and (edit.column != column or edit.fresh)

    # ── What has to stand ────────────────────────────────────────────────────────────────────────────────────

    def unaccounted(self) -> list[str]:
        """Edits that stand nowhere, without a reason."""
        log = self.house.engine.conflicts()
        return [
            f"{e} is lost; there stands {self._shown(e)!r}"
            for e in self.edits
            if not e.over
            and e.certain
            and not self._stands(e)
            and not self._logged(e, log)
            and not self._undone(e)
        ]

    def strays(self) -> list[str]:
        """Values in columns that are not exchanged, which no person wrote there."""
        found = []
        for server in self.house.servers:
            for item in self.house.items(server):
                typed = {e.column: e.value for e in self._of(server, item.id)}
                for column, value in item.columns.items():
                    if column in {self.house.named, *self.ever_shared}:
                        continue
                    if not same(value, typed.get(column)) and not self._put_back(server, item, column):
                        found.append(
                            f"{server} {item.id}: {column} is {value!r}, but a person wrote {typed.get(column)!r}"
                        )
        return found

    def _put_back(self, server: str, item: Item, column: str) -> bool:
        """An undo has made it, as a card stood that a person had written."""
        if any((e.server, e.item, e.column) == (server, item.id, column) for e in self.edits):
            return False
        before = [e for e in self.edits if (e.server, e.name, e.column) == (server, self._name(item), column)]
        return any(same(e.value, item.columns[column]) for e in before)

    def surplus(self) -> list[str]:
        """Names of which there are more items than people can account for."""
        servers = self.house.servers
        found = []
        for server in servers:
            for name, number in Counter(self._name(i) for i in self.house.items(server)).items():
                if self.lied_to and name in self.moved:
                    continue  # what was moved out of sight looked deleted, and was made again if it had been edited
                if number > sum(self.made[s, name] for s in servers) + self.hid[server, name]:
                    found.append(f"{number} items of {name} in {server}")
        return found

    def shared(self, column: str) -> bool:
        """Exchanged between the sides, and held by both."""
        rule = self.house.rules[self.house.kind].get(column)
        held = all(column in s.traits.columns[self.house.kind] for s in self.house.servers.values())
        return rule is not None and rule.direction is not Direction.NONE and held

    def travels(self, server: str, column: str) -> bool:
        """What is written here goes to the other side."""
        target = Side.ECS if server == "crm" else Side.CRM
        allowed = self.shared(column) and self.house.rules[self.house.kind][column].direction.allows(target)
        other = next(s for n, s in self.house.servers.items() if (n == "crm") is (target is Side.CRM))
        return allowed and column not in other.traits.unwritable(self.house.kind)

    def agreed(self, column: str) -> bool:
        """It has to be the same on both sides."""
        return all(self.travels(server, column) for server in self.house.servers)

    def forms(self, column: str, value: Value) -> list[Value]:
        """The value, and what the servers make of it on its way."""
        ecs, crm = (self.house.servers[s].traits for s in ("alice", "crm"))
        found = [value]
        for first, second in ((ecs, crm), (crm, ecs)):
            once = first.keep(self.house.kind, {column: value}).get(column, value)
            found += [once, second.keep(self.house.kind, {column: once}).get(column, once)]
        return found

    def means(self, column: str, shown: Value, value: Value) -> bool:
        return any(same(shown, form) for form in self.forms(column, value))

    # ── How it is known ──────────────────────────────────────────────────────────────────────────────────────

    def _saw_it(self, server: str, item: Item, column: str, what: str) -> None:
        """Whoever replaces or deletes what stands here has seen it, and with it the edit that it came from."""
        shown = item.columns[column]
        for edit in self.edits:
            if edit.over or edit.name != self._name(item) or edit.column != column:
                continue
            if edit.server == server and edit.item == item.id and same(edit.value, shown):
                edit.over = f"{what} where it stood"
            elif edit.server != server and self.means(column, shown, edit.value):
                edit.over = f"{what} by someone who saw it"

    def _undisputed(self, server: str, item: Item, column: str) -> bool:
        """Everybody sees the same here before this edit, so that it can only be taken for one. What people have typed
        in two places may be the same by chance, and who takes theirs back before it was looked at changes nothing."""
        if not self.shared(column):
            return True
        if self._typed_twice(self._name(item), column, item.columns[column]):
            return False
        others = [
            i.columns[column]
            for s in self.house.servers
            for i in self.house.items(s)
            if self._name(i) == self._name(item) and (s, i.id) != (server, item.id)
        ]
        shown = item.columns[column]
        alike = (self.means(column, o, shown) or self.means(column, shown, o) for o in others)
        return len(others) == self._partners(self._name(item)) and all(alike)

    def _typed_twice(self, name: str, column: str, value: Value) -> bool:
        typed = [e for e in self.edits if (e.name, e.column) == (name, column) and same(e.value, value)]
        return len({e.server for e in typed}) > 1

    def typed(self, key: tuple[str, str, str, str], value: Value) -> bool:
        """A person has typed this value there. ``key``: server, action, item, column."""
        server, _, item, column = key
        return any(e.column == column and self.means(column, value, e.value) for e in self._of(server, item))

    def _stands(self, edit: Edit) -> bool:
        items = self.house.items(edit.server)
        here = next((i for i in items if i.id == edit.item), None)
        if here is not None:
            return same(here.columns[edit.column], edit.value)
        if not self.travels(edit.server, edit.column):
            return True  # it went with its item; whether that was right is asked of every delete
        return any(
            self.means(edit.column, i.columns[edit.column], edit.value)
            for s in self.house.servers
            for i in self.house.items(s)
            if self._name(i) == edit.name
        )

    def _logged(self, edit: Edit, log: Iterable[Mapping[str, object]]) -> bool:
        forms = [encode(f) for f in self.forms(edit.column, edit.value)]
        for line in log:
            losers = [side for side in ("ecs", "crm") if side != line["winner"]]
            if line["column"] == edit.column and any(line[side] in forms for side in losers):
                return True
        return False

    def _undone(self, edit: Edit) -> bool:
        """One undo has taken away the item in which it was typed, and another one what it had become elsewhere."""
        with self.house.state.reading() as tx:
            told = [e for e in tx.history.find(edit.item) if e.reason.startswith("undo of cycle")]
        taken = [e for e in told if e.column == edit.column and self.means(edit.column, e.old, edit.value)]
        return {e.action for e in taken} >= {Action.DELETE, Action.UPDATE}

    def _shown(self, edit: Edit) -> dict[str, Value]:
        return {
            f"{s} {i.id}": i.columns.get(edit.column)
            for s in self.house.servers
            for i in self.house.items(s)
            if self._name(i) == edit.name
        }

    def _saw(self, point: Point) -> None:
        """Every delete of the engine has a person's delete behind it, on the other side."""
        if point.what != "delete" or self.undoing:
            return
        if point.after:
            self._went(point.where, point.detail)
            return
        item = next((i for i in self.house.items(point.where) if i.id == point.detail), None)
        if item is None:
            return  # gone already
        if not self._rightly_deleted(point.where, item):
            self.wrongs.append(f"{point} ({self._name(item)}): nobody had deleted its partner")

    def _went(self, server: str, item: str) -> None:
        """What nobody else was to hear of goes with its item, also if the column's rule is another one later."""
        if any(i.id == item for i in self.house.items(server)):
            return
        for edit in self._of(server, item):
            if not edit.over and (edit.apart or not self.travels(server, edit.column)):
                edit.over = "gone with its item"

    def _rightly_deleted(self, server: str, item: Item) -> bool:
        name = self._name(item)
        if server != "crm":
            return ("crm", name) in self.deaths
        unknowable = self.lied_to and name in self.moved
        owner = self.house.owners.get(item.owner, "")
        return unknowable or bool({(owner, name), (SHARED, name)} & self.deaths)

    def _of(self, server: str, item: str) -> list[Edit]:
        return [e for e in self.edits if (e.server, e.item) == (server, item)]

    def _item(self, server: str, item: str) -> Item:
        return self.house.servers[server].read(item)

    def _met(self, item: Item) -> bool:
        """The service knows the item where it stands now. What is moved may keep its id."""
        here = (item.collection, item.id)
        with self.house.state.reading() as tx:
            known = [p for name in self.house.seen for p in tx.pairs.listing(name)]
        return any((p.ecs_collection.partition(":")[2], p.ecs_id) == here for p in known)

    def _partners(self, name: str) -> int:
        """How many such an item has, on all other servers together."""
        return 1

    def _name(self, item: Item) -> str:
        return str(item.columns[self.house.named])
