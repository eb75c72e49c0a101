"""A call in the log, in the CRM and among the person's tasks: one record with two links, both of them the person's."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.store import CallStore
from crmsync.daemon.engine import NoSuchAccount
from tests.corpora.house import House, house

HOME = 'default_collection.task = "Book"\ntelephone = "desk"'
PHONE = """
[telephony.desk]
type = "baresip"
port = 1
domain = "127.0.0.1"
"""
CALL = {  # as a telephone leaves it: a task list has no place for how it ended
    "subject": "Call to Cleo",
    "status": "completed",
    "due": date(2026, 11, 23),
    "description": "first",
    "activity": "phone_call",
    "disposition": "Answered",
}


class Scene:
    def __init__(self, made: House) -> None:
        self.house, self.calendar = made, made.servers["calendar"]
        self.log = CallStore(Path(made.engine.accounts["alice.calls"].mailboxes[0].address))
        content = mapping.content(CALL, tags=frozenset({"CRM"}), stamp=None, uid="call", rest={})
        self.log.put("alice", "call", content, made.clock())
        self.settle()
        (self.name,) = self.calendar.items

    def settle(self) -> list[int]:
        """As the service does, turn by turn; the cycles that deleted something."""
        deleting = []
        for _ in range(5):
            report = self.house.sync()
            assert report["errors"] == []
            deleting += [c["id"] for c in report["cycles"] if c["deleted"]]
            if not report["writes"]:
                return deleting
        pytest.fail("it goes to and fro")

    def logged(self) -> list[str]:
        return [r.content["columns"]["description"] for r in self.log.since("alice", 0, 10) if not r.gone]

    def recorded(self) -> list[str]:
        crm = self.house.crm.crm
        found = crm.queries.query(
            crm.store.caller(self.house.crm.sync.id), "SELECT Description FROM Task", ""
        )
        return [each["Description"] for each in json.loads(found.records)]

    def listed(self) -> list[str]:
        lines = [line for _, data in self.calendar.items.values() for line in data.decode().split("\r\n")]
        return [line.partition(":")[2] for line in lines if line.startswith("DESCRIPTION")]

    def everywhere(self) -> Any:
        return self.logged(), self.recorded(), self.listed()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path, HOME, calendar=PHONE) as made:
        scene = Scene(made)
        yield scene
        scene.log.close()


def test_notes_arrive_everywhere_wherever_they_are_written(scene: Scene) -> None:
    assert scene.everywhere() == (["first"], ["first"], ["first"])
    (row,) = scene.log.since("alice", 0, 10)
    content = {**row.content, "columns": {**row.content["columns"], "description": "second"}}
    scene.log.put("alice", row.id, content, scene.house.clock())
    scene.settle()
    assert scene.everywhere() == (["second"], ["second"], ["second"])
    text = scene.calendar.items[scene.name][1].decode()
    scene.calendar.set(scene.name, text.replace("DESCRIPTION:second", "DESCRIPTION:third"))
    scene.settle()
    assert scene.everywhere() == (["third"], ["third"], ["third"])


def test_deleted_in_the_list_it_goes_everywhere_and_is_put_back_once(scene: Scene) -> None:
    scene.calendar.remove(scene.name)
    deleting = scene.settle()
    assert scene.everywhere() == ([], [], [])
    for cycle in reversed(deleting):
        assert scene.house.engine.undo(cycle)["errors"] == []
    scene.settle()
    assert (scene.logged(), scene.recorded()) == (["first"], ["first"])


def test_untagged_in_the_log_it_goes_nowhere(scene: Scene) -> None:
    (row,) = scene.log.since("alice", 0, 10)
    scene.log.put("alice", row.id, {**row.content, "tags": []}, scene.house.clock())
    assert scene.settle() == []
    assert scene.everywhere() == (["first"], ["first"], ["first"])


def test_the_log_costs_the_crm_nothing(scene: Scene) -> None:
    """It is asked once for both accounts."""
    engine = scene.house.engine
    crm = engine.accounts["alice"].crm.source
    scene.house.clock.tick(600)
    before = crm.requests()
    engine.sync(["alice"], poll_every=timedelta(seconds=60))
    alone = crm.requests() - before
    scene.house.clock.tick(600)
    engine.sync(poll_every=timedelta(seconds=60))
    assert crm.requests() - before == 2 * alone


def test_a_person_never_hears_of_the_logs_own_account(scene: Scene) -> None:
    engine = scene.house.engine
    known = engine.explain("call")
    assert known["account"] == "alice"
    assert {each["account"] for each in known["decisions"]} == {"alice"}
    assert {each["account"] for each in engine.item_history("call")} == {"alice"}
    scene.calendar.remove(scene.name)
    report = scene.house.sync()
    assert {cycle["account"] for cycle in report["cycles"]} == {"alice"}
    with pytest.raises(NoSuchAccount) as refused:
        engine.sync(["carol"])
    assert "alice" in str(refused.value)
    assert "alice.calls" not in str(refused.value)
