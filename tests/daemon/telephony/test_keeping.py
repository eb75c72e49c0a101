"""How long calls stay in the log, and what is never taken out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.connector import CALLS, CallLogSource
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Refused, Selection
from crmsync.daemon.account import Mailbox
from crmsync.daemon.telephony.keeping import Keeping, Whose
from tests.daemon.cycle.world import World


class Scene:
    """A world whose account has a call log beside it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.store = CallStore(folder / "calls.db")
        engine, alice = self.world.engine, self.world.account
        source = CallLogSource(self.store, "alice", self.world.clock)
        log = replace(
            alice, name="alice.calls", part_of="alice", crm_select="linked",
            mailboxes=[Mailbox("calllog", source)],
        )  # fmt: skip
        engine.accounts = {"alice.calls": log, "alice": alice}
        engine.history = timedelta(days=365)
        engine.calls = Keeping(
            folder / "calls.db", timedelta(days=90), {"alice": Whose("CRM", "main")}, self.world.clock
        )

    def call(self, key: str, tag: str = "CRM") -> None:
        columns = {"subject": f"Call {key}", "status": "completed", "due": date(2026, 11, 22), "number": "+1"}
        content = mapping.content(columns, tags=frozenset({tag} - {""}), stamp=None, uid=key, rest={})
        self.store.put("alice", key, content, self.world.clock())

    def settle(self) -> None:
        for _ in range(4):
            self.world.sync()

    def later(self, days: int = 91) -> None:
        self.world.clock.tick(days * 86_400)
        self.world.engine.tidy()

    def logged(self) -> list[str]:
        return sorted(row.id for row in self.store.since("alice", 0, 10))

    def recorded(self) -> int:
        return len(self.world.crm.all(self.world.todos))

    def listed(self) -> int:
        return len(self.world.ecs.all(self.world.tasks))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.world.close()
    made.store.close()


def test_what_is_old_leaves_the_log_and_stays_where_it_has_come(scene: Scene) -> None:
    scene.call("one")
    scene.settle()
    scene.later(89)
    assert scene.logged() == ["one"]
    scene.call("two")
    scene.later(2)
    assert scene.logged() == ["two"]
    scene.settle()
    assert scene.world.engine.reconcile()["errors"] == []
    scene.settle()
    assert (scene.recorded(), scene.listed()) == (2, 2)
    assert scene.world.engine.deletions() == []


def test_many_old_calls_go_without_anybody_being_asked(scene: Scene) -> None:
    for n in range(60):
        scene.call(f"call-{n}")
    scene.settle()
    scene.later()
    scene.world.engine.reconcile()
    scene.settle()
    assert (scene.logged(), scene.recorded(), scene.world.engine.deletions()) == ([], 60, [])


def test_what_the_crm_does_not_have_yet_is_never_taken_out(scene: Scene) -> None:
    scene.call("waiting")
    scene.later()
    assert scene.logged() == ["waiting"]
    scene.settle()
    assert scene.recorded() == 1
    record = scene.world.crm.all(scene.world.todos)[0].id
    scene.world.crm.faults.answer(record, lambda id: Refused(id, "too_long", "no"), times=9)
    (row,) = scene.store.since("alice", 0, 1)
    content = {**row.content, "columns": {**row.content["columns"], "subject": "edited"}}
    scene.store.put("alice", row.id, content, scene.world.clock())
    scene.settle()
    scene.later()
    assert scene.logged() == ["waiting"]  # its edit is parked


def test_what_is_not_for_the_crm_goes_by_its_age_alone(scene: Scene) -> None:
    scene.call("internal", tag="")
    scene.later()
    assert scene.logged() == []


def test_a_deletion_goes_when_the_other_side_has_heard_of_it(scene: Scene) -> None:
    scene.call("one")
    scene.settle()
    scene.store.remove("alice", "one", scene.world.clock())
    scene.later()
    assert scene.logged() == ["one"]
    scene.settle()
    assert scene.recorded() == 0
    scene.later()
    assert scene.logged() == []


def test_a_log_that_is_being_synced_is_left_for_another_day(scene: Scene) -> None:
    scene.call("one")
    scene.settle()
    scene.world.clock.tick(91 * 86_400)
    with scene.world.state.lock("alice.calls"):
        scene.world.engine.tidy()
    assert scene.logged() == ["one"]


def test_no_serial_number_is_given_twice(scene: Scene) -> None:
    scene.call("one")
    scene.settle()
    connector = CallLogSource(scene.store, "alice", scene.world.clock).open(CALLS)
    *_, page = connector.changes(None, Selection())
    scene.later()
    scene.call("two")
    told = [item.id for page_ in connector.changes(page.cursor, Selection()) for item in page_.items]
    assert told == ["two"]


def test_nothing_is_made_where_no_call_was_ever_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.engine.calls = Keeping(tmp_path / "calls.db", timedelta(days=1), {}, world.clock)
    world.engine.tidy()
    world.person()
    assert world.engine.forget("ada@example.com")["calls"] == 0
    assert not list(tmp_path.glob("calls.db*"))
    world.close()
