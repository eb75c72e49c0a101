"""The call log passes the suite as groupware does."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.connectors.calllog.connector import CALLS, CallLogSource
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Gone, Hidden, Kind, Record, Selection
from crmsync.connectors.errors import CursorExpired
from tests.conformance.bench import Bench
from tests.conformance.suite import Conformance


def now() -> datetime:
    return datetime.now(UTC)


class Owner:
    """Works on the database by other means: a store of its own."""

    def __init__(self, file: Path) -> None:
        self.store = CallStore(file)
        self.serial = 0

    def add(self, title: str) -> str:
        self.serial += 1
        content = {
            "columns": {"subject": title},
            "tags": [],
            "stamp": None,
            "uid": f"call-{self.serial}",
            "rest": {"x": 1},
        }
        assert self.store.put("alice", f"call-{self.serial}", content, now()) is not None
        return f"call-{self.serial}"

    def retitle(self, id: str, title: str) -> None:
        row = self.store.get("alice", [id])[id]
        content = {**row.content, "columns": {**row.content["columns"], "subject": title}}
        self.store.put("alice", id, content, now())

    def delete(self, id: str) -> None:
        self.store.remove("alice", id, now())

    def unmapped(self, id: str) -> object:
        return self.store.get("alice", [id])[id].content["rest"]


class TestCallLog(Conformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        file = tmp_path / "calls.db"
        store, owner = CallStore(file), Owner(file)
        source = CallLogSource(store, "alice", now)
        yield Bench(Kind.TASK, source, CALLS, owner, lambda cursor: "0" * 8 + cursor[8:], "nothing")
        store.close()
        owner.store.close()


def test_the_calls_are_for_the_owners_eyes(tmp_path: Path):
    file = tmp_path / "calls.db"
    store = CallStore(file)
    store.epoch()
    store.close()
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_accounts_calls_are_not_there(tmp_path: Path):
    owner = Owner(tmp_path / "calls.db")
    owner.add("hers")
    source = CallLogSource(owner.store, "bob", now)
    assert list(source.open(CALLS).listing()) == []
    owner.store.close()


def test_what_is_written_is_on_disk(tmp_path: Path):
    owner = Owner(tmp_path / "calls.db")
    owner.add("call")
    with sqlite3.connect(tmp_path / "calls.db") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("SELECT count(*) FROM items").fetchone() == (1,)
    other.close()
    owner.store.close()


def test_a_log_that_was_lost_says_nothing_of_the_calls_that_were_in_it(tmp_path: Path):
    """Else each of them would be deleted in the CRM."""
    owner = Owner(tmp_path / "calls.db")
    kept, removed = owner.add("one"), owner.add("two")
    owner.delete(removed)
    connector = CallLogSource(owner.store, "alice", now).open(CALLS)
    assert [type(x) for x in connector.fetch([kept, removed, "call-9"])] == [Record, Gone, Hidden]
    owner.store.close()


def test_a_log_that_was_restored_from_a_backup_tells_all_of_it_again(tmp_path: Path):
    owner = Owner(tmp_path / "calls.db")
    owner.add("one")
    owner.store.close()
    backup = (tmp_path / "calls.db").read_bytes()
    owner.add("two")
    *_, page = CallLogSource(owner.store, "alice", now).open(CALLS).changes(None, Selection())
    owner.store.close()
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    (tmp_path / "calls.db").write_bytes(backup)
    connector = CallLogSource(owner.store, "alice", now).open(CALLS)
    with pytest.raises(CursorExpired):
        list(connector.changes(page.cursor, Selection()))
    owner.store.close()
