"""The calls of accounts: whose they are, what is kept of them, and what survives a restart."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crmsync.connectors.calllog.connector import CALLS, CallLogSource
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Delete, Record, Update
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.telephony.contract import Answered, Cause, Direction, Ended, Offered
from crmsync.connectors.telephony.people import Person
from crmsync.daemon.telephony.board import Board, Line
from crmsync.daemon.telephony.pairing import LIFE, Pairing
from tests.daemon.fakes import Clock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADA = Person("003000000000001AAA", "contact", "Ada Lovelace")
BEN = Person("003000000000002AAA", "contact", "Ben Sample")


@dataclass
class Scene:
    store: CallStore
    clock: Clock = field(default_factory=lambda: Clock(START))
    sought: list[tuple[str, str, str]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)

    def board(self, *lines: Line) -> Board:
        return Board(
            self.store, self.clock, lambda *all: self.sought.append(all), self.finished.append,
            lines or (Line("alice", "desk", region="US"),),
        )  # fmt: skip

    def items(self, account: str = "alice") -> list[Record]:
        connector = CallLogSource(self.store, account, self.clock).open(CALLS)
        ids = [ref.id for ref in connector.listing()]
        return [item for item in connector.fetch(ids) if isinstance(item, Record)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = CallStore(tmp_path / "calls.db")
    yield Scene(store)
    store.close()


def offered(id: str = "1", number: str = "+14155550123", extension: str = "") -> Offered:
    return Offered(id, f"key-{id}", Direction.INBOUND, number, START, "ACME", extension)


def ended(id: str = "1", cause: Cause = Cause.NORMAL) -> Ended:
    return Ended(id, cause, START + timedelta(seconds=30))


def test_a_call_becomes_an_item_when_it_is_over_and_no_second_one(scene: Scene):
    board = scene.board()
    board.hear("desk", offered())
    assert scene.sought == [("alice", "key-1", "+14155550123")]
    assert scene.items() == []
    for event in (Answered("1", START + timedelta(seconds=10)), ended(), ended(), offered()):
        board.hear("desk", event)
    (item,) = scene.items()
    assert scene.finished == ["alice"]
    assert item.columns["subject"] == "Call from ACME"
    assert (item.columns["duration"], item.columns["disposition"]) == (20, "Answered")
    assert (item.tags, item.uid) == ({"CRM"}, "key-1")


def test_whose_call_it_is(scene: Scene):
    lines = Line("alice", "pbx", "101"), Line("bob", "pbx", "102"), Line("eve", "other")
    board = scene.board(*lines)
    board.hear("pbx", offered("1", extension="101"))
    board.hear("pbx", offered("2", extension="103"))
    board.hear("pbx", ended("2"))
    assert [len(board.calls(name)) for name in ("alice", "bob", "eve")] == [1, 0, 0]


def test_calls_between_extensions_stay_out_of_the_crm_unless_they_are_wanted(scene: Scene):
    for internal, tags in ((False, frozenset()), (True, {"CRM"})):
        id = f"call-{internal}"
        board = scene.board(Line("alice", "desk", internal=internal))
        board.hear("desk", offered(id, "102"))
        board.hear("desk", ended(id))
        assert next(item.tags for item in scene.items() if item.id == f"key-{id}") == tags


def test_the_one_who_is_known_names_the_call_and_of_several_the_one_who_is_chosen(scene: Scene):
    board = scene.board()
    board.hear("desk", offered())
    board.found("alice", "key-1", [ADA, BEN], all=True)
    board.hear("desk", ended())
    assert scene.items()[0].columns["regarding"] is None
    board.choose("alice", "key-1", BEN.id)
    assert scene.items()[0].columns["regarding"] == BEN.id
    board.hear("desk", offered("2"))
    board.found("alice", "key-2", [ADA], all=True)
    board.hear("desk", ended("2"))
    assert {item.columns["subject"] for item in scene.items()} == {
        "Missed call from ACME",
        "Missed call from Ada Lovelace",
    }


def test_notes_are_kept_after_the_end_too_and_of_a_deleted_call_nothing_comes_back(scene: Scene):
    board = scene.board()
    board.hear("desk", offered())
    board.note("alice", "key-1", "first")
    board.hear("desk", ended())
    board.note("alice", "key-1", "second")
    (item,) = scene.items()
    assert item.columns["description"] == "second"
    connector = CallLogSource(scene.store, "alice", scene.clock).open(CALLS)
    list(connector.apply([Delete(item.id, item.version)]))
    board.note("alice", "key-1", "third")
    assert scene.items() == []
    assert board.note("alice", "unknown", "x") is False


def test_what_the_crm_says_of_a_call_is_not_written_over_by_who_is_found_later(scene: Scene):
    board = scene.board()
    board.hear("desk", offered())
    board.note("alice", "key-1", "typed")
    board.hear("desk", ended())
    (item,) = scene.items()
    connector = CallLogSource(scene.store, "alice", scene.clock).open(CALLS)
    list(connector.apply([Update(item.id, item.version, item.kind, {"description": "from the CRM"})]))
    board.found("alice", "key-1", [ADA], all=True)
    assert scene.items()[0].columns["description"] == "from the CRM"
    board.note("alice", "key-1", "typed again")
    assert scene.items()[0].columns["description"] == "typed again"


def test_a_restart_in_the_middle_of_a_call_loses_neither_it_nor_its_notes(scene: Scene):
    before = scene.board()
    before.hear("desk", offered())
    before.hear("desk", Answered("1", START))
    before.note("alice", "key-1", "typed before")
    after = scene.board()
    assert after.going("desk") == ["1"]
    after.hear("desk", ended(cause=Cause.LOST))
    (item,) = scene.items()
    assert (item.columns["description"], item.columns["disposition"]) == ("typed before", "Answered")
    assert after.going("desk") == []


def test_who_looks_is_told(scene: Scene):
    board, told = scene.board(), []
    end = board.listen("alice", lambda: told.append(1))
    board.hear("desk", offered())
    assert told
    end()
    told.clear()
    board.hear("desk", ended())
    assert told == []


# ── Pairing ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_pairs_once_and_for_ten_minutes(scene: Scene):
    pairing = Pairing(scene.store, scene.clock)
    code, _ = pairing.code("alice")
    assert pairing.pair("WRONG-CODE") is None
    paired = pairing.pair(f" {code.lower()} ")
    assert paired is not None
    assert pairing.pair(code) is None
    account, token = paired
    assert account == pairing.account(token, {"alice"}) == "alice"
    assert pairing.account(token, {"bob"}) is None
    assert pairing.account("x" * 43, {"alice"}) is None
    late, _ = pairing.code("alice")
    scene.clock.pass_by(LIFE)
    assert pairing.pair(late) is None


def test_what_is_revoked_opens_nothing_and_the_database_has_no_token(scene: Scene, tmp_path: Path):
    pairing = Pairing(scene.store, scene.clock)
    tokens = [paired[1] for paired in (pairing.pair(pairing.code("alice")[0]) for _ in range(2)) if paired]
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert all(token.encode() not in files for token in tokens)
    pairing.forget(tokens[0])
    assert [pairing.account(token, {"alice"}) for token in tokens] == [None, "alice"]
    assert pairing.revoke("alice", "no such") == 0
    waiting, _ = pairing.code("alice")
    assert pairing.revoke("alice") == 1
    assert pairing.account(tokens[1], {"alice"}) is None
    assert pairing.pair(waiting) is None


# ── A disk that takes nothing more ───────────────────────────────────────────────────────────────────────────


def _fill(scene: Scene, *, full: bool) -> None:
    with scene.store._transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages if full else 1_000_000}")


def test_on_a_full_disk_the_telephone_rings_and_no_call_is_lost(
    scene: Scene, caplog: pytest.LogCaptureFixture
):
    board = scene.board()
    board.hear("desk", offered("0"))
    _fill(scene, full=True)
    for n in range(1, 40):
        board.hear("desk", offered(str(n)))
        board.found("alice", f"key-{n}", [ADA], all=True)
    assert len(board.calls("alice")) == 40
    assert len(scene.store.going("desk")) < 40
    assert str(board.trouble).startswith("no space is left for the call log")
    for n in range(20, 40):
        board.hear("desk", ended(str(n)))
    done = len(scene.items())
    assert done < 20
    assert len(scene.finished) == done
    board.save()
    assert board.trouble is not None
    with pytest.raises(Unreachable, match="no space is left"):
        board.note("alice", "key-39", "long" * 4000)  # a person is told that it is not kept
    _fill(scene, full=False)
    board.save()
    assert (board.trouble, len(scene.finished)) == (None, done + 1)
    assert len(scene.store.going("desk")) == 20
    assert len(scene.items()) == 20
    actions = [record.action for record in caplog.records if hasattr(record, "action")]
    assert actions.count("calls.unsaved") == 1


def test_a_file_that_cannot_be_written_says_so(scene: Scene):
    scene.store.epoch()
    with scene.store._transaction() as db:
        db.execute("PRAGMA query_only = ON")
    board = scene.board()
    board.hear("desk", offered())
    assert board.calls("alice")
    assert "no write access to the call log" in str(board.trouble)
    assert "needs write access to the file and its directory" in str(board.trouble)
