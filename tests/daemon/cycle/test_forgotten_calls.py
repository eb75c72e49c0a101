"""Who is forgotten leaves the call log as well, with every link of their calls; who only shares a number stays."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.telephony.contract import Cause, Direction, Ended, Offered
from crmsync.daemon.telephony.board import Board, Line
from tests.corpora.house import House, house
from tests.daemon.cycle.test_calls import HOME, PHONE

NUMBER, OTHER, SHARED = "+14155550123", "+14155550177", "+14155550100"
CARD = """BEGIN:VCARD\r
VERSION:3.0\r
UID:{first}\r
N:Sample;{first};;;\r
FN:{first} Sample\r
EMAIL:{first}@example.com\r
TEL;TYPE=CELL:{number}\r
TEL;TYPE=WORK:+1 415 555 0100\r
END:VCARD\r
"""


class Scene:
    def __init__(self, folder: Path, made: House) -> None:
        self.folder, self.house = folder, made
        self.calendar, self.book = made.servers["calendar"], made.servers["addressbook"]
        self.engine = made.engine
        self.log = CallStore(folder / "calls.db")
        for first, number in (("Ada", "(415) 555-0123"), ("Ben", OTHER)):
            self.book.set(f"{first}.vcf", CARD.format(first=first, number=number))
        self.settle()

    def call(self, key: str, number: str, notes: str = "", regarding: str = "") -> None:
        columns = {
            "subject": f"Call from {number}", "status": "completed", "due": date(2026, 11, 23), "number": number,
            "activity": "phone_call", "call_id": key, "description": notes or None, "regarding": regarding or None,
        }  # fmt: skip
        content = mapping.content(columns, tags=frozenset({"CRM"}), stamp=None, uid=key, rest={})
        self.log.put("alice", key, content, self.house.clock())

    def settle(self) -> None:
        for _ in range(6):
            report = self.house.sync()
            assert report["errors"] == []
            if not report["writes"]:
                return
        pytest.fail("it goes to and fro")

    def logged(self) -> list[str]:
        return [r.id for r in self.log.since("alice", 0, 10) if not r.gone]

    def recorded(self) -> list[str]:
        crm = self.house.crm.crm
        caller = crm.store.caller(self.house.crm.sync.id)
        found = crm.queries.query(caller, "SELECT CallObject FROM Task ORDER BY CallObject", "")
        return [row["CallObject"] for row in json.loads(found.records)]

    def record(self, first: str) -> str:
        return self.house.pairs()[f"{first}.vcf"].crm_id

    def files(self) -> bytes:
        return b"".join(
            file.read_bytes()
            for pattern in ("calls.db*", "state.db*")
            for file in self.folder.glob(pattern)
            if file.is_file()
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    phone = PHONE + 'region = "US"\n'
    with house(tmp_path, HOME, calendar=phone) as made:
        scene = Scene(tmp_path, made)
        yield scene
        scene.log.close()


def test_nothing_of_their_calls_is_left_in_any_file_and_nothing_comes_back(scene: Scene) -> None:
    scene.call("one", NUMBER, "wants a rebate of nine percent")
    scene.call("two", OTHER, "about the weather")
    scene.settle()
    backup = (scene.folder / "calls.db").read_bytes() + (scene.folder / "calls.db-wal").read_bytes()
    assert b"rebate" in backup
    answer = scene.engine.forget("ada@example.com")
    assert (answer["calls"], answer["errors"]) == (1, [])
    left = scene.files()
    assert [text in left for text in (NUMBER.encode(), b"555-0123", b"rebate", b"weather")] == [
        False, False, False, True,
    ]  # fmt: skip
    scene.settle()
    assert scene.engine.reconcile()["errors"] == []
    scene.settle()
    assert scene.logged() == ["two"]
    assert scene.recorded() == ["one", "two"]  # without --everywhere the two sides keep theirs
    assert len(scene.calendar.items) == 2
    assert b"rebate" not in scene.files()


def test_everywhere_their_calls_go_on_the_two_sides_too(scene: Scene) -> None:
    scene.call("one", NUMBER, "wants a rebate")
    scene.call("two", OTHER)
    scene.settle()
    answer = scene.engine.forget("ada@example.com", everywhere=True)
    assert answer["errors"] == []
    scene.settle()
    assert (scene.logged(), scene.recorded(), len(scene.calendar.items)) == (["two"], ["two"], 1)
    assert b"rebate" not in scene.files()


def test_a_log_that_is_restored_brings_none_of_them_back(scene: Scene) -> None:
    scene.call("one", NUMBER, "wants a rebate")
    scene.settle()
    scene.log.close()
    with (
        closing(sqlite3.connect(scene.folder / "calls.db")) as file,
        closing(sqlite3.connect(scene.folder / "copy.db")) as copy,
    ):
        file.backup(copy)
    scene.engine.forget("ada@example.com")
    for file_ in scene.folder.glob("calls.db*"):
        file_.unlink()
    (scene.folder / "copy.db").rename(scene.folder / "calls.db")
    scene.engine.accounts["alice.calls"].mailboxes[0].source.close()
    before = len(scene.calendar.items), scene.recorded()
    scene.settle()
    assert (len(scene.calendar.items), scene.recorded()) == before
    scene.engine.tidy()
    assert scene.logged() == []
    assert b"rebate" not in scene.files()


def test_a_shared_number_is_theirs_unless_the_call_is_related_to_somebody_else(scene: Scene) -> None:
    scene.call("one", SHARED, regarding=scene.record("Ada"))
    scene.call("two", SHARED, regarding=scene.record("Ben"))
    scene.call("shared", SHARED)
    scene.settle()
    assert scene.engine.forget("ada@example.com")["calls"] == 2
    assert scene.logged() == ["two"]


def test_a_former_number_and_an_address_in_the_notes_lead_to_a_call(scene: Scene) -> None:
    name = "Ada.vcf"
    scene.house.clock.tick()
    scene.book.set(name, CARD.format(first="Ada", number="+14155550199"))
    scene.settle()
    scene.call("one", NUMBER)
    scene.call("two", OTHER, "write to ada@example.com")
    scene.call("shared", OTHER, "write to granada@example.com")
    assert scene.engine.forget("ada@example.com")["calls"] == 2
    assert scene.logged() == ["shared"]


def test_a_call_that_goes_on_is_forgotten_with_them_and_not_taken_up_again(scene: Scene) -> None:
    board = Board(scene.log, scene.house.clock, lambda *_: None, lambda _: None, [Line("alice", "desk")])
    offered = Offered("1", "going", Direction.INBOUND, NUMBER, datetime(2026, 11, 22, tzinfo=UTC), "ACME")
    board.hear("desk", offered)
    board.note("alice", "going", "a secret rebate")
    assert scene.engine.forget("ada@example.com")["calls"] == 1
    board.note("alice", "going", "a secret rebate again")
    board.look_again()
    assert board.calls("alice") == []
    for event in (Ended("1", Cause.NORMAL, scene.house.clock()), offered):
        board.hear("desk", event)
    assert (board.calls("alice"), board.going("desk"), scene.logged()) == ([], [], [])
    assert b"secret" not in scene.files()
