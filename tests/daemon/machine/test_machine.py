"""People, servers, failures and crashes in any order: in the end both sides agree, and every edit is accounted for.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crmsync.connectors.contract import Columns, Deferred, Outcome, Refused, Stale, Value
from crmsync.connectors.errors import ConnectorError, Throttled, Unreachable
from tests.daemon.machine.chronicle import Chronicle
from tests.daemon.machine.house import PEOPLE, SHARED, House
from tests.daemon.machine.landscape import QUIRKS
from tests.daemon.machine.ledger import Ledger
from tests.daemon.machine.operating import Operating
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.rest import all_is_well, come_to_rest
from tests.daemon.machine.trouble import Killed, Point

NAMES = ("Ada", "Grace", "Edsger")
COLUMNS = ("job_title", "department", "company", "phone_mobile", "birthday", "notes")
OPERATIONS = (
    "changes", "listing", "fetch", "search", "access", "apply", "create", "update", "delete", "collections"
)  # fmt: skip
WRITES = ("apply", "create", "update", "delete")
LONG_ENOUGH = 6
pick = st.integers(0, 11)
servers = st.sampled_from((*PEOPLE, SHARED, "crm", "crm"))
boxes = st.sampled_from(("alice", "alice", "bob", SHARED))
few_columns = st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True)
values = st.sampled_from(("new", "new", "new", "new", "empty", "old"))
errors = st.sampled_from((Unreachable("the line is dead"), Throttled("too many requests", retry_after=60.0)))


class Story(Operating, RuleBasedStateMachine):
    taken = 0  # steps, of all stories of this process
    ledger_of: type[Ledger] = Ledger

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.begun = False  # a story may be over before it has
        self.failed = False
        self.serial = 0
        self.steps = 0  # of the service, since all was well

    def build(self, quirks: set[str]) -> Premises:
        return House(Path(self.folder.name), quirks, shared=True)

    @initialize(quirks=st.sets(st.sampled_from(sorted(QUIRKS)), max_size=4), mail=st.booleans())
    def begin(self, quirks: set[str], mail: bool) -> None:
        self._begin(quirks, mail)

    def _begin(self, quirks: set[str], mail: bool) -> None:
        self.house = self.build(quirks)
        self.begun = True
        self.ledger = self.ledger_of(self.house)
        self.chronicle = Chronicle(self.house)
        self.careless = "the CRM knows no preconditions" in quirks
        self.make_a_card("alice", "Ada", True, mail, COLUMNS)
        self.make_a_card("bob", "Ada", True, mail, [])
        self.make_a_card(SHARED, "Edsger", True, mail, ["department"])
        self.make_a_record("alice", "Grace", mail, ["department"])
        self.sync(PEOPLE, 0)

    def teardown(self) -> None:
        with self.folder:
            if not self.begun:
                return
            with closing(self.house):
                if not self.failed:
                    self.all_is_well()

    def check_invariants(self, *arguments: Any, **more: Any) -> None:
        """Called after each step. As an invariant of its own, the count would fill every story that is told."""
        type(self).taken += 1
        super().check_invariants(*arguments, **more)

    # ── People ───────────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        box=boxes, name=st.sampled_from(NAMES), tagged=st.booleans(), mail=st.booleans(), columns=few_columns
    )
    def make_a_card(self, box: str, name: str, tagged: bool, mail: bool, columns: Sequence[str]) -> None:
        server = self.house.servers[box]
        book = self.house.book if box == "alice" else server.collections()[0].id
        tags = [self._tag(box)] if tagged else []
        item = server.put(book, self._person(box, name, mail, columns), tags=tags)
        self.ledger.made_by_a_person(box, item)

    @rule(
        owner=st.sampled_from((*PEOPLE, "")),
        name=st.sampled_from(NAMES),
        mail=st.booleans(),
        columns=few_columns,
    )
    def make_a_record(self, owner: str, name: str, mail: bool, columns: Sequence[str]) -> None:
        person = self._person("crm", name, mail, columns)
        item = self.house.crm.put(self.house.people, person, owner=self._user(owner))
        self.ledger.made_by_a_person("crm", item)

    @rule(server=servers, number=pick, columns=few_columns, kind=values)
    def edit(self, server: str, number: int, columns: Sequence[str], kind: str) -> None:
        if item := self._some(server, number):
            self._edit(server, item, columns, kind)

    @rule(name=st.sampled_from(NAMES), column=st.sampled_from(COLUMNS), crm_first=st.booleans())
    def edit_everywhere(self, name: str, column: str, crm_first: bool) -> None:
        """The same column of the same person, on all sides, before anyone has seen the others' edits."""
        for server in sorted(self.house.servers, reverse=crm_first):
            for item in self.house.items(server):
                if item.columns[self.house.named] == name:
                    self._edit(server, item.id, [column], "new")
            self.house.clock.tick(1)

    @rule(server=servers, number=pick)
    def delete(self, server: str, number: int) -> None:
        if item := self._some(server, number):
            self.ledger.delete(server, item)

    @rule(box=boxes, number=pick, tagged=st.booleans())
    def tag(self, box: str, number: int, tagged: bool) -> None:
        if item := self._some(box, number):
            server = self.house.servers[box]
            (server.tag if tagged else server.untag)(item, self._tag(box))

    @rule(number=pick)
    def move(self, number: int) -> None:
        if item := self._some("alice", number):
            self._move(item)

    def _move(self, item: str) -> None:
        moved = self.ledger.move("alice", item, self._other_book(item))
        self.chronicle.moved("alice", item, moved)

    @rule(number=pick, elsewhere=st.booleans())
    def copy(self, number: int, elsewhere: bool) -> None:
        if item := self._some("alice", number):
            copied = self.ledger.copy("alice", item)
            if elsewhere:
                self._move(copied)

    @rule(number=pick, owner=st.sampled_from((*PEOPLE, "")))
    def assign(self, number: int, owner: str) -> None:
        if item := self._some("crm", number):
            self.house.crm.assign(item, self._user(owner))

    @rule(server=servers, number=pick)
    def touch(self, server: str, number: int) -> None:
        if item := self._some(server, number):
            self.house.servers[server].touch(item)

    # ── Servers ──────────────────────────────────────────────────────────────────────────────────────────────

    @rule(server=servers, number=pick, hidden=st.booleans())
    def hide(self, server: str, number: int, hidden: bool) -> None:
        if item := self._some(server, number):
            if hidden:
                self.ledger.hide(server, item)
            else:
                self.house.servers[server].reveal(item)

    @rule(server=servers, empty=st.booleans())
    def expire_cursors(self, server: str, empty: bool) -> None:
        """And perhaps the listing that follows comes back empty, as if all were well."""
        self.house.servers[server].expire_cursors()
        if empty:
            self.house.servers[server].faults.empty_listings += 1
            self.ledger.lied_to = self.ledger.lied_to or server != "crm"

    @rule(
        server=servers,
        operation=st.sampled_from(OPERATIONS),
        error=errors,
        after=st.booleans(),
        skip=st.integers(0, 2),
        times=st.integers(1, 3),
    )
    def fail(
        self, server: str, operation: str, error: ConnectorError, after: bool, skip: int, times: int
    ) -> None:
        self.house.servers[server].faults.fail(operation, error, after=after, skip=skip, times=times)

    @rule(server=servers, operation=st.sampled_from(("create", "update", "delete")), skip=st.integers(0, 1))
    def lose_an_answer(self, server: str, operation: str, skip: int) -> None:
        lost = Unreachable("no answer")
        self.house.servers[server].faults.fail(operation, lost, after=True, skip=skip)

    @rule(server=servers, outcome=st.sampled_from((Refused, Deferred, Stale)), skip=st.integers(0, 2))
    def answer(self, server: str, outcome: type, skip: int) -> None:
        wires = self.house.servers[server].faults
        wires.answer_next(_outcome(outcome), skip=skip)  # type: ignore[attr-defined]

    @rule()
    def everything_works_again(self) -> None:
        for server in self.house.servers.values():
            server.faults.clear()

    # ── The service ──────────────────────────────────────────────────────────────────────────────────────────

    @rule(seconds=st.sampled_from((1, 30, 120, 4000)))
    def wait(self, seconds: int) -> None:
        self.house.clock.tick(seconds)

    @rule(who=st.sampled_from((PEOPLE, PEOPLE, ("alice",), ("bob",))), settle=st.sampled_from((0, 0, 60)))
    def sync(self, who: tuple[str, ...], settle: int) -> None:
        self._run(lambda: self.house.engine.sync(who, settle=timedelta(seconds=settle)))

    @rule()
    def sync_everything(self) -> None:
        self._run(lambda: self.house.engine.sync(full=True))

    @rule()
    def reconcile(self) -> None:
        self._run(self.house.engine.reconcile)

    @rule(skip=st.integers(0, 60))
    def die_somewhere(self, skip: int) -> None:
        self.house.fate.kill(skip=skip)
        self._run(self.house.engine.sync)

    @rule(
        what=st.sampled_from(("create", "update", "delete", "commit")),
        after=st.booleans(),
        skip=st.integers(0, 2),
    )
    def die_at_a_write(self, what: str, after: bool, skip: int) -> None:
        self.house.fate.kill(at=lambda p: p.what == what and p.after is after, skip=skip)
        self._run(self.house.engine.sync)

    @rule(server=servers, number=pick, columns=few_columns, skip=st.integers(0, 20))
    @precondition(lambda self: not self.careless)
    def edit_in_the_middle(self, server: str, number: int, columns: Sequence[str], skip: int) -> None:
        def act(_: Point) -> None:
            if item := self._some(server, number):
                self._edit(server, item, columns, "new")

        self.house.fate.plan(act, at=lambda p: p.where != "state", skip=skip)
        self._run(self.house.engine.sync)

    @rule(skip=st.integers(0, 2))
    @precondition(lambda self: self.careless)
    def edit_what_is_being_written(self, skip: int) -> None:
        """A server without preconditions: between our look and our write someone fills in another column."""

        def act(point: Point) -> None:
            if point.detail:  # else it is about several
                self._edit("crm", point.detail, ["suffix"], "new")

        self.house.fate.plan(
            act, at=lambda p: (p.where, p.what, p.after) == ("crm", "update", False), skip=skip
        )
        self._run(self.house.engine.sync)

    @rule()
    def restart(self) -> None:
        self.house.restart()

    @rule()
    @precondition(lambda self: self.steps >= LONG_ENOUGH)
    def all_is_well(self) -> None:
        """Everything that anybody did so far has come out right."""
        self.steps = 0
        with self._watched():
            come_to_rest(self.house)
            all_is_well(self.house, self.ledger, self.chronicle)

    # ── How it is done ───────────────────────────────────────────────────────────────────────────────────────

    def _run(self, what: Callable[[], object]) -> None:
        """Let the service work; it may die of nothing but us."""
        self.house.clock.tick()
        self.steps += 1
        self.chronicle.begins()
        with self._watched():
            try:
                what()
            except Killed:
                self.chronicle.interrupted()
                self.house.restart()
        self.house.fate.clear()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """What has failed once is not asked again at the end."""
        try:
            yield
        except BaseException:
            self.failed = True
            raise

    def _some(self, server: str, number: int) -> str:
        items = sorted(i.id for i in self.house.items(server))
        return items[number % len(items)] if items else ""

    def _edit(self, server: str, item: str, columns: Sequence[str], kind: str) -> None:
        self.ledger.edit(server, item, self._values(server, columns, kind))

    def _values(self, server: str, columns: Sequence[str], kind: str) -> Columns:
        held = self.house.servers[server].traits.columns[self.house.kind]
        return {c: self._value(c, kind) for c in columns if c in held}

    def _value(self, column: str, kind: str) -> Value:
        """A value that nobody has written yet; or none; or one that was there before."""
        if kind == "empty":
            return None
        if kind == "old":
            return next((e.value for e in self.ledger.edits if e.column == column), None)
        self.serial += 1
        match column:
            case "birthday":
                return date(1900, 1, 1) + timedelta(days=self.serial)
            case "phone_mobile":
                return f"+49 (30) 555-{1000 + self.serial}"
            case _:
                return f"{self.serial:03} {column} of somebody"

    def _person(self, server: str, name: str, mail: bool, columns: Sequence[str]) -> Columns:
        """People without an address or number cannot be found again by them."""
        address = {"email": f"{name}@example.com".lower()} if mail else {}
        return {
            "first_name": name,
            "last_name": f"of {name}",
            **address,
            **self._values(server, columns, "new"),
        }

    def _tag(self, box: str) -> str:
        """With which a person selects what stands there."""
        return str(self.house.settings["bob" if box == "bob" else "alice"]["tag"])

    def _user(self, name: str) -> str:
        return {"alice": self.house.alice, "bob": self.house.bob}.get(name, self.house.stranger)

    def _other_book(self, item: str) -> str:
        here = self.house.boxes["alice"].read(item).collection
        return self.house.second if here == self.house.book else self.house.book


def _outcome(kind: type[Refused] | type[Deferred] | type[Stale]) -> Callable[[str], Outcome]:
    if kind is Refused:
        return lambda id: Refused(id, "too_long", "the server finds it too long")
    if kind is Deferred:
        return lambda id: Deferred(id, "busy", 20.0)
    return Stale


settings.register_profile(
    "machine", max_examples=60, stateful_step_count=25, derandomize=True, deadline=None,
    suppress_health_check=list(HealthCheck), print_blob=False,
)  # fmt: skip
settings.register_profile(
    "nightly", parent=settings.get_profile("machine"), max_examples=3000, stateful_step_count=60, derandomize=False
)  # fmt: skip

TestStory = Story.TestCase
TestStory.settings = settings.get_profile(os.environ.get("CRMSYNC_MACHINE", "machine"))
