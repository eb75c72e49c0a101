"""What people did, and what therefore has to stand in the end: the engine's opposite number.

It knows nothing of snapshots and cursors. It remembers who typed which value where, what that person saw when typing
it, and who deleted what. A value may only disappear if a person replaced or deleted it who *saw* it, or if it lost a
conflict and stands in the log.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.connectors.memory.native import Item
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Direction
from crmsync.state.values import encode
from tests.daemon.machine.premises import SHARED, Premises
from tests.daemon.machine.trouble import Point

NAME = "first_name"  # never edited: by it, the items of one person are known on every side


@dataclass(slots=True)
class Edit:
    server: str
    item: str
    name: str
    column: str
    value: Value  # as the server stored it
    certain: bool  # it cannot be taken for no edit at all
    fresh: bool = True  # nobody had written this value before
    over: str = ""  # why it need not stand any more


class Ledger:
    def __init__(self, house: Premises) -> None:
        self.house = house
        self.edits: list[Edit] = []
        self.made: Counter[tuple[str, str]] = Counter()  # by server and name, items that people made
        self.deaths: set[tuple[str, str]] = set()  # by server and name, what people deleted
        self.moved: set[str] = set()  # names of cards that were moved to another book
        self.lied_to = (
            False  # a listing has left out what is there: nobody can know then where a card was moved to
        )
        self.wrongs: list[str] = []  # deletes for which there was no reason
        self.ever_shared = {c for c in house.rules[Kind.CONTACT] if self.shared(c)}
        self.undoing = False  # what a cycle has made is being taken away again
        house.fate.witness = self._saw

    # ── What people do ───────────────────────────────────────────────────────────────────────────────────────

    def made_by_a_person(self, server: str, item: str) -> None:
        found = self._item(server, item)
        name = name_of(found)
        self.made[server, name] += 1
        for column, value in found.columns.items():
            if value is not None and column != NAME:
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
                Edit(server, item, name_of(before), column, new, certain, fresh and new is not None)
            )

    def delete(self, server: str, item: str) -> None:
        found = self._item(server, item)
        for column in found.columns:
            self._saw_it(server, found, column, "deleted")
        self.deaths.add((server, name_of(found)))
        self.house.servers[server].delete(item)

    def move(self, server: str, item: str, collection: str) -> str:
        before = self._item(server, item)
        if (
            before.hidden
        ):  # it goes from where it was, and is seen nowhere else: a delete, as far as anyone can tell
            self.deaths.add((server, name_of(before)))
        moved = self.house.servers[server].move(item, collection)
        self.moved.add(name_of(before))
        for edit in self._of(server, item):
            edit.item = moved
        return moved

    def copy(self, server: str, item: str) -> str:
        copied = self.house.servers[server].copy(item)
        self.made_by_a_person(server, copied)
        return copied

    # ── What the operator does ───────────────────────────────────────────────────────────────────────────────

    def ruled_anew(self, column: str) -> None:
        """The column has another rule from now on. Where it was not exchanged before, a value that stood there once
        already passes for no edit."""
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
            if not e.over and e.certain and not self._stands(e) and not self._logged(e, log)
        ]

    def strays(self) -> list[str]:
        """Values in columns that are not exchanged, which no person wrote there."""
        found = []
        for server in self.house.servers:
            for item in self.house.items(server):
                typed = {e.column: e.value for e in self._of(server, item.id)}
                for column, value in item.columns.items():
                    if column in {NAME, *self.ever_shared}:
                        continue
                    if not same(value, typed.get(column)) and not self._put_back(server, item, column):
                        found.append(
                            f"{server} {item.id}: {column} is {value!r}, but a person wrote {typed.get(column)!r}"
                        )
        return found

    def _put_back(self, server: str, item: Item, column: str) -> bool:
        """An undo has made it, as a card stood that a person had written."""
        if any(e.item == item.id for e in self.edits if e.server == server):
            return False
        before = [e for e in self.edits if (e.server, e.name, e.column) == (server, name_of(item), column)]
        return any(same(e.value, item.columns[column]) for e in before)

    def surplus(self) -> list[str]:
        """Names of which there are more items than people can account for."""
        servers = self.house.servers
        found = []
        for server in servers:
            for name, number in Counter(name_of(i) for i in self.house.items(server)).items():
                if self.lied_to and name in self.moved:
                    continue  # what was moved out of sight looked deleted, and was made again if it had been edited
                if number > sum(self.made[s, name] for s in servers):
                    found.append(f"{number} items of {name} in {server}")
        return found

    def shared(self, column: str) -> bool:
        """Exchanged between the sides, and held by both."""
        rule = self.house.rules[Kind.CONTACT].get(column)
        held = all(column in s.traits.columns[Kind.CONTACT] for s in self.house.servers.values())
        return rule is not None and rule.direction is not Direction.NONE and held

    def travels(self, server: str, column: str) -> bool:
        """What is written here goes to the other side."""
        target = Side.ECS if server == "crm" else Side.CRM
        allowed = self.shared(column) and self.house.rules[Kind.CONTACT][column].direction.allows(target)
        other = next(s for n, s in self.house.servers.items() if (n == "crm") is (target is Side.CRM))
        return allowed and column not in other.traits.unwritable(Kind.CONTACT)

    def agreed(self, column: str) -> bool:
        """It has to be the same on both sides."""
        return all(self.travels(server, column) for server in self.house.servers)

    def forms(self, column: str, value: Value) -> list[Value]:
        """The value, and what the servers make of it on its way."""
        ecs, crm = (self.house.servers[s].traits for s in ("alice", "crm"))
        found = [value]
        for first, second in ((ecs, crm), (crm, ecs)):
            once = first.keep(Kind.CONTACT, {column: value}).get(column, value)
            found += [once, second.keep(Kind.CONTACT, {column: once}).get(column, once)]
        return found

    def means(self, column: str, shown: Value, value: Value) -> bool:
        return any(same(shown, form) for form in self.forms(column, value))

    # ── How it is known ──────────────────────────────────────────────────────────────────────────────────────

    def _saw_it(self, server: str, item: Item, column: str, what: str) -> None:
        """Whoever replaces or deletes what stands here has seen it, and with it the edit that it came from."""
        shown = item.columns[column]
        for edit in self.edits:
            if edit.over or edit.name != name_of(item) or edit.column != column:
                continue
            if edit.server == server and edit.item == item.id and same(edit.value, shown):
                edit.over = f"{what} where it stood"
            elif edit.server != server and self.means(column, shown, edit.value):
                edit.over = f"{what} by someone who saw it"

    def _undisputed(self, server: str, item: Item, column: str) -> bool:
        """Everybody sees the same here before this edit, so that it can only be taken for one."""
        if not self.shared(column):
            return True
        others = [
            i.columns[column]
            for s in self.house.servers
            for i in self.house.items(s)
            if name_of(i) == name_of(item) and (s, i.id) != (server, item.id)
        ]
        shown = item.columns[column]
        alike = (self.means(column, o, shown) or self.means(column, shown, o) for o in others)
        return len(others) == 1 and all(alike)

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
            if name_of(i) == edit.name
        )

    def _logged(self, edit: Edit, log: Iterable[Mapping[str, object]]) -> bool:
        forms = [encode(f) for f in self.forms(edit.column, edit.value)]
        for line in log:
            losers = [side for side in ("ecs", "crm") if side != line["winner"]]
            if line["column"] == edit.column and any(line[side] in forms for side in losers):
                return True
        return False

    def _shown(self, edit: Edit) -> dict[str, Value]:
        return {
            f"{s} {i.id}": i.columns.get(edit.column)
            for s in self.house.servers
            for i in self.house.items(s)
            if name_of(i) == edit.name
        }

    def _saw(self, point: Point) -> None:
        """Every delete of the engine has a person's delete behind it, on the other side."""
        if point.what != "delete" or point.after or self.undoing:
            return
        item = next((i for i in self.house.items(point.where) if i.id == point.detail), None)
        if item is None:
            return  # gone already
        name = name_of(item)
        if point.where == "crm":
            unknowable = self.lied_to and name in self.moved
            owner = self.house.owners.get(item.owner, "")
            right = unknowable or bool({(owner, name), (SHARED, name)} & self.deaths)
        else:
            right = ("crm", name) in self.deaths
        if not right:
            self.wrongs.append(f"{point} ({name}): nobody had deleted its partner")

    def _of(self, server: str, item: str) -> list[Edit]:
        return [e for e in self.edits if (e.server, e.item) == (server, item)]

    def _item(self, server: str, item: str) -> Item:
        return self.house.servers[server].read(item)


def name_of(item: Item) -> str:
    return str(item.columns[NAME])
