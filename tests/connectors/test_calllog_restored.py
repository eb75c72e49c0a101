"""A call log that was put back from an older copy: the numbers that it gives next were given before."""

import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.connectors.calllog.connector import CallLogConnector
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Cursor, Selection
from crmsync.connectors.errors import CursorExpired

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = {"columns": {}, "tags": [], "stamp": "", "uid": "", "rest": {}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


@pytest.fixture
def store(file: Path) -> Iterator[CallStore]:
    made = CallStore(file)
    yield made
    made.close()


def put(store: CallStore, *names: str) -> list[int]:
    rows = [store.put("alice", name, CALL, AT) for name in names]
    return [row.serial for row in rows if row is not None]


def cursor_of(store: CallStore, since: Cursor | None = None) -> Cursor:
    connector = CallLogConnector(store, "alice", lambda: AT, lambda: None)
    return [page.cursor for page in connector.changes(since, Selection())][-1]


def copied_back(store: CallStore, file: Path, copy: Path) -> CallStore:
    store.close()
    for name in ("calls.db-wal", "calls.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    shutil.copy(copy, file)
    return CallStore(file)


def test_a_restored_log_is_listed_whole_although_it_has_gone_on(store: CallStore, file: Path) -> None:
    """The cursor's number is one that it has reached once more by then: what came instead would be missed for ever."""
    put(store, "one", "two")
    store.close()
    shutil.copy(file, file.with_name("copy"))
    lost = put(store, "three", "four")
    known = cursor_of(store)
    restored = copied_back(store, file, file.with_name("copy"))
    new = put(restored, "five", "six", "seven")
    with pytest.raises(CursorExpired):
        cursor_of(restored, known)
    assert not set(new) & set(lost)  # versions are made of them
    assert cursor_of(restored, cursor_of(restored)) == cursor_of(restored)
    restored.close()


def test_a_log_that_was_only_opened_again_goes_on(
    store: CallStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "one", "two")
    known = cursor_of(store)
    store.close()
    other = CallStore(file)
    with caplog.at_level(logging.WARNING):
        assert cursor_of(other, known) == known
    assert caplog.records == []
    other.close()


def test_what_was_erased_stays_erased_in_a_restored_log(store: CallStore, file: Path) -> None:
    put(store, "one")
    store.erase([("alice", "gone")], AT)
    store.close()
    shutil.copy(file, file.with_name("copy"))
    put(store, "two")
    restored = copied_back(store, file, file.with_name("copy"))
    assert restored.is_erased("alice", "gone")
    assert put(restored, "gone") == []
    restored.close()


@pytest.mark.parametrize("content", ["", "no witness", "ffffffff 99999", "ffff 1 2", "\udcff"])
def test_a_witness_that_says_nothing_of_this_log_changes_nothing(
    store: CallStore, file: Path, content: str
) -> None:
    put(store, "one")
    known = cursor_of(store)
    store.close()
    file.with_name(".seen-calls.db").write_bytes(content.encode("utf-8", "surrogateescape"))
    other = CallStore(file)
    assert cursor_of(other, known) == known
    other.close()


def test_the_witness_is_its_owners_and_no_link_is_followed(store: CallStore, file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    elsewhere.write_text("somebody's")
    file.with_name(".seen-calls.db.new").symlink_to(elsewhere)
    put(store, "one", "two")
    assert elsewhere.read_text() == "somebody's"
    assert file.with_name(".seen-calls.db").stat().st_mode & 0o777 == 0o600
