"""What tests can make go wrong on a memory server, and what only it can show of the contract."""

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.abilities import Restricting, Searchable, Selecting
from crmsync.connectors.contract import (
    Collection,
    Connector,
    Create,
    Deferred,
    Delete,
    Done,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Record,
    Refused,
    Selection,
    Side,
    Stale,
    Stamp,
    Unreadable,
    Update,
    Write,
)
from crmsync.connectors.errors import CursorExpired, Forbidden, NotFound, Throttled, Unreachable
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.faults import ALWAYS, Faults
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm, groupware

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVERYTHING = Selection()


class World:
    def __init__(self, side: Side = Side.ECS, faults: Faults | None = None, **traits: object) -> None:
        plays = groupware(**traits) if side is Side.ECS else crm(**traits)
        self.server = MemoryServer(lambda: NOON, plays, faults=faults)
        self.book = self.server.add("Contacts", Kind.CONTACT)
        self.source = MemorySource(self.server, side)

    @property
    def connector(self) -> Connector:
        return self.source.open(self.book)

    @property
    def faults(self) -> Faults:
        return self.server.faults

    def put(self, name: str, **more: str) -> str:
        return self.server.put(self.book.id, {"last_name": name, **more})

    def apply(self, *writes: Write) -> list[Outcome]:
        return list(self.connector.apply(writes))


def create(key: str, **more: str) -> Create:
    return Create(key, Kind.CONTACT, {"last_name": key, **more})


def rename(world: World, id: str, name: str) -> Update:
    return Update(id, world.server.read(id).version, Kind.CONTACT, {"last_name": name})


# ── the conversation ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_lost_after_the_write_was_applied() -> None:
    world = World()
    world.faults.fail("create", Unreachable("broke off"), after=True, skip=1)
    outcomes = world.connector.apply([create("one"), create("two"), create("three")])
    assert isinstance(next(outcomes), Done)
    with pytest.raises(Unreachable):
        next(outcomes)
    assert [i.columns["last_name"] for i in world.server.all()] == ["one", "two"]
    assert [type(o) for o in world.apply(create("one"), create("two"), create("three"))] == [Done] * 3
    assert len(world.server.all()) == 3


def test_a_request_fails_before_anything_happens() -> None:
    world = World()
    world.faults.fail("update", Throttled("slow down", retry_after=30), detail="contacts/person-1")
    ada, bob = world.put("Ada"), world.put("Bob")
    assert [type(o) for o in world.apply(rename(world, bob, "Rob"))] == [Done]
    with pytest.raises(Throttled) as caught:
        world.apply(rename(world, ada, "Ida"))
    assert caught.value.retry_after == 30
    assert world.server.read(ada).columns["last_name"] == "Ada"
    assert [type(o) for o in world.apply(rename(world, ada, "Ida"))] == [Done], "it failed once only"


def test_a_listing_breaks_off_in_the_middle_or_comes_back_empty() -> None:
    world = World(page=2)
    for name in "abcde":
        world.put(name)
    world.faults.fail("listing", Unreachable("broke off"), skip=1)
    with pytest.raises(Unreachable):
        list(world.connector.listing())
    world.faults.empty_listings = 1
    assert list(world.connector.listing()) == []
    assert len(list(world.connector.listing())) == 5


def test_a_broken_off_stretch_of_changes_is_taken_up_from_its_last_page() -> None:
    world = World(page=2)
    made = [world.put(name) for name in "abcde"]
    world.faults.fail("changes", Unreachable("broke off"), skip=1)
    pages = world.connector.changes(None, EVERYTHING)
    first = next(pages)
    with pytest.raises(Unreachable):
        next(pages)
    rest = [i.id for page in world.connector.changes(first.cursor, EVERYTHING) for i in page.items]
    assert [i.id for i in first.items] + rest == made


def test_cursors_expire_until_there_is_a_new_one() -> None:
    world = World()
    (page,) = world.connector.changes(None, EVERYTHING)
    world.server.expire_cursors()
    with pytest.raises(CursorExpired):
        list(world.connector.changes(page.cursor, EVERYTHING))
    (fresh,) = world.connector.changes(None, EVERYTHING)
    assert list(world.connector.changes(fresh.cursor, EVERYTHING))


def test_always_and_clear() -> None:
    world = World()
    world.faults.fail("identity", Unreachable("down"), times=ALWAYS)
    for _ in range(3):
        with pytest.raises(Unreachable):
            world.source.identity()
    world.faults.clear()
    assert world.source.identity() == "crmsync"
    assert world.faults.calls["identity"] == world.source.requests() == 4


def test_a_collection_that_can_only_be_read() -> None:
    world = World()
    shared = world.server.add("Shared", Kind.CONTACT, writable=False)
    connector = world.source.open(shared)
    assert not connector.capabilities.writable
    with pytest.raises(Forbidden):
        list(connector.apply([create("x")]))


def test_the_servers_clock_is_told_with_the_first_answer() -> None:
    server = MemoryServer(lambda: NOON, offset=timedelta(minutes=3))
    book = server.add("Contacts", Kind.CONTACT)
    source = MemorySource(server, Side.ECS)
    assert source.clock_offset() == timedelta(0)
    source.identity()
    assert source.clock_offset() == timedelta(minutes=3)
    assert server.read(server.put(book.id, {"last_name": "Ada"})).modified == NOON + timedelta(minutes=3)


# ── single items ─────────────────────────────────────────────────────────────────────────────────────────────


def test_planted_outcomes() -> None:
    world = World()
    ada = world.put("Ada")
    world.faults.answer("new", lambda id: Refused(id, "too_long", "the note is too long"))
    world.faults.answer(ada, lambda id: Deferred(id, "locked", 5), times=2)
    update = rename(world, ada, "Ida")
    outcomes = world.apply(create("new"), update) + world.apply(update) + world.apply(update)
    assert [type(o) for o in outcomes] == [Refused, Deferred, Deferred, Done]


def test_denied_and_required() -> None:
    world = World(required={Kind.CONTACT: frozenset({"last_name"})})
    ada = world.put("Ada")
    nameless = Create("x", Kind.CONTACT, {"first_name": "X"})
    assert [o.code for o in world.apply(nameless) if isinstance(o, Refused)] == ["required"]
    world.server.deny(ada)
    assert [o.code for o in world.apply(rename(world, ada, "Ida")) if isinstance(o, Refused)] == ["forbidden"]


def test_hidden_spoiled_and_merged() -> None:
    world = World(Side.CRM)
    ada, bob, cyd = (world.put(name) for name in ("Ada", "Bob", "Cyd"))
    world.server.hide(ada)
    world.server.spoil(bob, "no name (RFC 6350 6.2.1)")
    world.server.merge(cyd, bob)
    answers = {type(a): a for a in world.connector.fetch([ada, bob, cyd, "contacts/x"])}
    assert answers.keys() == {Hidden, Unreadable, Gone}
    assert answers[Gone] == Gone(cyd, bob)
    assert [ref.id for ref in world.connector.listing()] == [bob]
    world.server.edit(bob, last_name="Robert")
    world.server.reveal(ada)
    assert all(isinstance(a, Record) for a in world.connector.fetch([ada, bob]))


def test_a_colleague_edits_in_the_middle_of_an_update() -> None:
    class Colleague(Faults):
        def before(self, operation: str, detail: str) -> None:
            super().before(operation, detail)
            if operation == "update" and self.calls["update"] == 1:
                world.server.edit(detail, first_name="Colleague")

    for conditional, outcome in ((True, Stale), (False, Done)):
        world = World(faults=Colleague(), conditional=conditional)
        ada = world.put("Ada")
        assert [type(o) for o in world.apply(rename(world, ada, "Ida"))] == [outcome]
        assert world.server.read(ada).columns["first_name"] == "Colleague"


# ── what a person does ───────────────────────────────────────────────────────────────────────────────────────


def test_a_copy_carries_stamp_and_tags_under_a_uid_of_its_own() -> None:
    world = World()
    stamp = Stamp("org", "record", "key", 1, "mac")
    (done,) = world.apply(Create("key", Kind.CONTACT, {"last_name": "Ada"}, tag="CRM", stamp=stamp))
    copied = world.server.copy(done.id)
    (record,) = world.connector.fetch([copied])
    assert isinstance(record, Record)
    assert (record.stamp, record.tags) == (stamp, frozenset({"CRM"}))
    assert record.uid != "key"


def test_a_move_is_gone_here_and_new_there() -> None:
    world = World()
    other = world.server.add("Other", Kind.CONTACT)
    ada = world.put("Ada")
    (page,) = world.connector.changes(None, EVERYTHING)
    moved = world.server.move(ada, other.id)
    assert [p.items for p in world.connector.changes(page.cursor, EVERYTHING)] == [(Gone(ada),)]
    (record,) = world.source.open(other).fetch([moved])
    assert isinstance(record, Record)
    assert record.uid == "person-1"


def test_a_person_cannot_fill_what_the_server_does_not_hold() -> None:
    world = World(columns={Kind.CONTACT: frozenset({"last_name"})})
    with pytest.raises(ValueError, match="birthday"):
        world.put("Ada", birthday="1815-12-10")


# ── what only a CRM can be asked ─────────────────────────────────────────────────────────────────────────────


def test_users_and_their_rights() -> None:
    world = World(Side.CRM)
    user, ada, bob = world.server.add_user("ada@example.com"), world.put("Ada"), world.put("Bob")
    world.server.restrict(user, bob)
    connector = world.connector
    assert isinstance(connector, Restricting)
    rights = connector.access(user, [ada, bob, "contacts/x"])
    assert {id: (r.read, r.edit, r.delete) for id, r in rights.items()} == {
        ada: (True, True, True),
        bob: (True, False, False),
    }
    assert world.source.user_id("ada@example.com") == user
    with pytest.raises(NotFound, match="no active user"):
        world.source.user_id("nobody@example.com")


def test_selections() -> None:
    world = World(Side.CRM)
    user, ada, bob = world.server.add_user("ada@example.com"), world.put("Ada"), world.put("Bob")
    world.server.assign(ada, user)
    (linked,) = world.apply(create("linked"))
    everyone = [ada, bob, linked.id]
    connector = world.connector
    assert isinstance(connector, Selecting)
    for selection, expected in (
        (EVERYTHING, {ada, bob, linked.id}),
        (Selection(owner=user), {ada}),
        (Selection(condition="last_name = Bob"), {bob}),
        (Selection(nothing=True), {linked.id}),
    ):
        assert connector.selected(everyone, selection) == expected
        assert {i.id for page in connector.changes(None, selection) for i in page.items} == expected


def test_only_a_crm_is_searched() -> None:
    assert isinstance(World(Side.CRM).connector, Searchable)
    assert not isinstance(World(Side.ECS).connector, Selecting)


def test_a_repeated_delete_after_a_lost_answer() -> None:
    world = World()
    ada = world.put("Ada")
    delete = Delete(ada, world.server.read(ada).version)
    world.faults.fail("delete", Unreachable("broke off"), after=True)
    with pytest.raises(Unreachable):
        world.apply(delete)
    assert world.apply(delete) == [Done(ada, "")]


def test_collections_are_offered_as_they_are() -> None:
    world = World()
    assert list(world.source.collections()) == [Collection("contacts", "Contacts", frozenset({Kind.CONTACT}))]
