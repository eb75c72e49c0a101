"""What an operator does while the service is at work: changes the configuration, takes cycles back, asks."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from crmsync.connectors.contract import Kind
from crmsync.connectors.memory.native import Item
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.reconcile import DeleteRule
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from crmsync.state.model import Action, Entry
from tests.daemon.machine.asking import misinformed, misremembered, witnesses
from tests.daemon.machine.premises import PEOPLE

RULED = ("job_title", "department", "birthday")
pick = st.integers(0, 11)
accounts = st.sampled_from(PEOPLE)

World = Mapping[str, Mapping[str, Item]]  # by server and id
Ids = Callable[[str, str], Iterable[str]]  # that an item of a server has had


class Operating:
    """Rules of a story; see ``test_machine.Story`` for what they stand on."""

    house: Any
    ledger: Any
    chronicle: Any

    # ── Configuration ────────────────────────────────────────────────────────────────────────────────────────

    @rule(column=st.sampled_from(RULED), direction=st.sampled_from(Direction), policy=st.sampled_from(Policy))
    def rule_a_column(self, column: str, direction: Direction, policy: Policy) -> None:
        self.ledger.kept_apart(column)
        self.house.rules[self.house.kind][column] = Rule(direction, policy)
        self.ledger.ruled_anew(column)
        self.house.restart()

    @rule(account=accounts, policy=st.sampled_from(Policy))
    def rule_first_links(self, account: str, policy: Policy) -> None:
        self._configure(account, first_link=policy)

    @rule(account=accounts, tag=st.sampled_from(("CRM", "Customers")))
    def choose_a_tag(self, account: str, tag: str) -> None:
        self._configure(account, tag=tag)

    @rule(account=accounts, everything=st.booleans())
    def select_everything(self, account: str, everything: bool) -> None:
        self._configure(account, select_all=everything)

    @rule(account=accounts, selection=st.sampled_from(("owned", "linked")))
    def select_in_crm(self, account: str, selection: str) -> None:
        self._configure(account, crm_select=selection)

    @rule(account=accounts, deletes=st.sampled_from(DeleteRule))
    def rule_deletes(self, account: str, deletes: DeleteRule) -> None:
        self._configure(account, deletes=dict.fromkeys(Kind, deletes))

    @rule(out=st.sampled_from(("Contacts", "Private")), back=st.booleans())
    def leave_a_collection_out(self, out: str, back: bool) -> None:
        """Of Alice's two. What is moved between them meanwhile looks deleted, and new when it is back."""
        names = [c.name for c in self.house.boxes["alice"].collections()]
        self.house.only["alice", "alice"] = () if back else tuple(n for n in names if n != out)
        self.ledger.lied_to = True
        self.house.restart()

    def _configure(self, account: str, **settings: Any) -> None:
        self.house.settings[account].update(settings)
        self.house.restart()

    # ── Undo ─────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(back=st.integers(0, 8))
    @precondition(lambda self: self.may_undo)
    def undo(self, back: int) -> None:
        """Whatever an earlier cycle wrote is back, or named as not undone; nothing else is touched."""
        number = self._a_cycle(back)
        if not number:
            return
        with self.house.state.reading() as tx:
            entries = tx.history.of_cycle(number)
        before = self._standing()
        answer: dict[str, Any] = {}
        self.ledger.undoing = True
        try:
            self._run(lambda: answer.update(self.house.engine.undo(number)))
        finally:
            self.ledger.undoing = False
        after = self._standing()
        with self._watched():
            wrong = _unasked(self.house, entries, before, after, self.chronicle.ids)
            if answer and not answer["errors"]:
                wrong += _unnamed(self.house, entries, after, answer)
                wrong += _missing(self.house, entries, before, after, answer)
            assert not wrong, (number, wrong, answer)

    def _a_cycle(self, back: int) -> int:
        with self.house.state.reading() as tx:
            known = sorted(c.id for name in self.house.seen for c in tx.cycles.recent(name, 9))
        return known[-1 - back % len(known)] if known else 0

    def _standing(self) -> World:
        return {name: {i.id: i for i in self.house.items(name)} for name in self.house.servers}

    # ── Questions ────────────────────────────────────────────────────────────────────────────────────────────

    @rule(server=st.sampled_from((*PEOPLE, "shared", "crm")), number=pick)
    def ask_about_an_item(self, server: str, number: int) -> None:
        if item := self._some(server, number):
            with self._watched():
                self._asked(server, item)

    def _asked(self, server: str, item: str) -> None:
        """Nobody knows of an item that no cycle has seen, and no server shows; whatever else is asked has an answer."""
        quiet = self.house.quiet
        try:
            told = self.house.engine.explain(item)
        except NoSuchItem:
            assert not (known := witnesses(self.house, server, item, quiet)), (item, known)
            return
        finally:
            self.house.fate.clear()
        assert all(d.get("reason") for d in told["decisions"] if d.get("action") != Action.UNLINK), told
        assert not (wrong := misinformed(self.house, server, item, told, quiet)), (item, wrong, told)
        try:
            lines = self.house.engine.item_history(item)
        except NoSuchItem:
            lines = []
            assert not told["linked"], told
        assert not (wrong := misremembered(self.house, item, lines)), (item, wrong, lines)

    # ── What they stand on ───────────────────────────────────────────────────────────────────────────────────

    may_undo = True

    def _run(self, what: Any) -> None:
        raise NotImplementedError

    def _watched(self) -> Any:
        raise NotImplementedError

    def _some(self, server: str, number: int) -> str:
        raise NotImplementedError


def _unasked(house: Any, entries: list[Entry], before: World, after: World, ids: Ids) -> list[str]:
    """What an undo changed although the cycle had not, or although somebody has changed it since. What was moved since
    is put back where it stands now."""
    found = []
    undone = {(_server(house, e), _id(e), e.column): e for e in entries if e.action == Action.UPDATE}
    for server, items in after.items():
        for id, item in items.items():
            was = before[server].get(id)
            for column, value in item.columns.items() if was is not None else ():
                if same(value, was.columns[column]):
                    continue
                one = next((undone[k] for i in ids(server, id) if (k := (server, i, column)) in undone), None)
                if one is None:
                    found.append(f"{server} {id}: {column} was {was.columns[column]!r}, is {value!r}")
                elif not house.shows(server, column, one.new, was.columns[column]):
                    found.append(f"{server} {id}: {column} was {was.columns[column]!r} since, is {value!r}")
    made = {(_server(house, e), _id(e)) for e in entries if e.action == Action.CREATE}
    for server, items in before.items():
        found += [f"{server} {id} is gone" for id in items.keys() - after[server].keys() - _ids(made, server)]
    deleted = Action.DELETE in {e.action for e in entries}
    for server, items in after.items():
        new = items.keys() - before[server].keys()
        found += [f"{server} {id} was made" for id in new if not deleted]
    return found


def _unnamed(house: Any, entries: list[Entry], after: World, answer: Mapping[str, Any]) -> list[str]:
    """What the cycle wrote that is neither back nor named as kept."""
    kept = {(k["item"], k["column"]) for k in answer["kept"]}
    found = []
    last = {(_server(house, e), _id(e), e.column): e for e in entries if e.action == Action.UPDATE}
    for (server, id, column), one in last.items():
        item = after[server].get(id)
        if (id, column) in kept or item is None:
            continue
        if not any(
            house.shows(server, column, e.old, item.columns[column])
            for e in entries
            if (_id(e), e.column) == (id, column)
        ):
            found.append(f"{server} {id}: {column} is {item.columns[column]!r}, and was {one.old!r}")
    for one in entries:
        if (
            one.action == Action.CREATE
            and _id(one) in after[_server(house, one)]
            and (_id(one), "") not in kept
        ):
            found.append(f"{_server(house, one)} {_id(one)} still stands")
    return found


def _missing(
    house: Any, entries: list[Entry], before: World, after: World, answer: Mapping[str, Any]
) -> list[str]:
    """Who was deleted by the cycle, and is neither back nor named as not put back. By name: an item that is made again
    may have another id."""
    kept = {k["item"] for k in answer["kept"]}
    told = [e for e in entries if e.action == Action.DELETE]
    names = {(_server(house, e), _id(e)): e.old for e in told if e.column == house.named}
    wanted = Counter((server, name) for (server, id), name in names.items() if id not in kept)
    made = {(_server(house, e), _id(e)) for e in entries if e.action == Action.CREATE}
    found = []
    for (server, name), number in wanted.items():
        others = _ids(made, server)  # which the undo takes away
        there, was = (
            [i.columns[house.named] for i in w[server].values() if i.id not in others]
            for w in (after, before)
        )
        if there.count(name) < was.count(name) + number:
            found.append(f"{number} of {name} in {server} are not back")
    return found


def _ids(some: set[tuple[str, str]], server: str) -> set[str]:
    return {id for name, id in some if name == server}


def _server(house: Any, one: Entry) -> str:
    return "crm" if one.side.value == "crm" else house.server_of(one.ecs_collection)


def _id(one: Entry) -> str:
    return one.crm_id if one.side.value == "crm" else one.ecs_id
