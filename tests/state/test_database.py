import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, StatementError

from crmsync.connectors.contract import Side
from crmsync.state.database import Contradiction, State, StateError
from crmsync.state.model import Detected
from crmsync.state.tables import metadata
from tests.state.samples import BOOK, NOW, pair


def opened(path: Path, query: str = "") -> State:
    return State.open(f"sqlite:///{path}{query}", now=lambda: NOW)


# ── Transactions ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_committed_is_there_when_the_state_is_opened_again(url: str) -> None:
    state = State.open(url, now=lambda: NOW)
    with state.transaction() as tx:
        tx.cursors.put("a", "1")
    state.close()
    again = State.open(url, now=lambda: NOW, migrate=False)
    with again.reading() as tx:
        assert tx.cursors.get("a") == "1"
    assert again.size() > 0
    again.close()


def test_an_exception_takes_everything_back(state: State) -> None:
    def fail() -> None:
        with state.transaction() as tx:
            tx.cursors.put("a", "1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with state.reading() as tx:
        assert tx.cursors.get("a") is None


def test_a_transaction_inside_another_one_is_a_mistake(state: State) -> None:
    with state.transaction() as tx:
        with pytest.raises(RuntimeError, match="already"), state.transaction():
            pass
        tx.cursors.put("a", "1")
    with state.transaction() as tx:
        assert tx.cursors.get("a") == "1"


def test_readers_see_what_was_committed_when_they_began(state: State) -> None:
    with state.reading() as before:
        assert before.cursors.get("a") is None
        with state.transaction() as tx:
            tx.cursors.put("a", "1")
            with state.reading() as during:
                assert during.cursors.get("a") is None
        assert before.cursors.get("a") is None
    with state.reading() as after:
        assert after.cursors.get("a") == "1"


def test_nothing_is_written_while_reading(state: State) -> None:
    with pytest.raises((StateError, OperationalError, ProgrammingError)), state.reading() as tx:
        tx.cursors.put("a", "1")
    with state.transaction() as tx:
        assert tx.cursors.get("a") is None
        tx.cursors.put("a", "2")


def test_threads_write_at_the_same_time_and_nothing_is_lost(state: State) -> None:
    failures: list[BaseException] = []

    def work(account: str) -> None:
        try:
            for n in range(20):
                with state.transaction() as tx:
                    tx.queue.record(account, Side.ECS, BOOK, [Detected(f"{n}", "1")], NOW)
                with state.reading() as tx:
                    assert len(tx.queue.listing(account)) == n + 1
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"account {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with state.reading() as tx:
        assert len(tx.queue.listing()) == 120


_CRASH = """
import sys
from crmsync.connectors.contract import Side
from crmsync.state.database import State
from crmsync.state.model import Detected
from datetime import UTC, datetime
NOW = datetime(2026, 11, 22, tzinfo=UTC)
state = State.open(sys.argv[1], now=lambda: NOW)
with state.transaction() as tx:
    tx.queue.record("alice", Side.ECS, "book", [Detected("before", "1")], NOW)
with state.lock("alice"), state.transaction() as tx:
    tx.queue.record("alice", Side.ECS, "book", [Detected(str(n), "1") for n in range(5000)], NOW)
    tx.cursors.put("alice", "after")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_in_mid_transaction_leaves_nothing_half_done(url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CRASH, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        os.kill(child.pid, signal.SIGKILL)
    state = State.open(url, now=lambda: NOW)
    with state.lock("alice"), state.transaction() as tx:
        assert [change.item for change in tx.queue.listing()] == ["before"]
        assert tx.cursors.get("alice") is None
        tx.cursors.put("alice", "again")
    state.close()


# ── SQLite's settings ────────────────────────────────────────────────────────────────────────────────────────


def test_sqlite_is_durable_by_default_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.db"
    state = opened(path)
    with state.transaction() as tx:
        pragma = {
            name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    state.close()


def test_durability_can_be_traded_for_speed(tmp_path: Path) -> None:
    state = opened(tmp_path / "state.db", "?synchronous=normal")
    with state.transaction() as tx:
        assert tx.connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    state.close()


# ── Refusals, in words ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "",
        "state.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?cache=shared",
        "sqlite:///x.db?synchronous=perhaps",
        "mysql://alice:secret@db.example.com/state",
        "nonsense://",
        "alice:secret@://",
        "postgresql+psycopg://alice:secret@db.example.com:port/state",
    ],
)
def test_a_wrong_url_says_what_was_expected(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StateError) as refusal:
        State.open(url, now=lambda: NOW)
    assert "[state] url" in refusal.value.message
    assert refusal.value.hint
    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer(unused_port: int) -> None:
    """Without psycopg it says that this is what PostgreSQL needs."""
    with pytest.raises(StateError, match="PostgreSQL") as refusal:
        State.open(f"postgresql://alice:secret@127.0.0.1:{unused_port}/state", now=lambda: NOW)
    assert "secret" not in str(refusal.value)


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot open the state database"):
        opened(tmp_path / "file" / "state.db")


_OPEN = """
import os, sys
from crmsync.state.database import State, StateError
from datetime import UTC, datetime
NOW = datetime(2026, 11, 22, tzinfo=UTC)
os.chdir("/")
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    State.open(sys.argv[1], now=lambda: NOW)
except StateError as error:
    print(error)
"""


@pytest.mark.parametrize("file", ["state.db", "new/state.db"])
def test_a_directory_without_write_access(tmp_path: Path, file: str) -> None:
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o500)
    said = subprocess.run(
        [sys.executable, "-c", _OPEN, f"sqlite:///{directory}/{file}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot open the state database" in said.stdout, said.stderr
    assert "needs write access" in said.stdout


_WRITE = _OPEN.replace(
    "    State.open(sys.argv[1], now=lambda: NOW)\n",
    "    state = State.open(sys.argv[1], now=lambda: NOW)\n"
    "    with state.transaction() as tx:\n"
    "        tx.meta.put('a', 'b')\n",
)


def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    directory = tmp_path / "mounted"
    directory.mkdir()
    opened(directory / "state.db").close()
    (directory / "state.db").chmod(0o444)
    directory.chmod(0o555)
    said = subprocess.run(
        [sys.executable, "-c", _WRITE, f"sqlite:///{directory}/state.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the state database" in said.stdout, said.stderr
    assert "needs write access" in said.stdout
    directory.chmod(0o755)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StateError, match="not a state database") as refusal:
        opened(path)
    assert "link stamps rebuild the state" in refusal.value.hint
    assert path.read_text().startswith("Dear diary")


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = opened(path)
    with state.transaction() as tx:
        tx.pairs.add_many([pair(n) for n in range(2000)])
    state.close()
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(path.stat().st_size - 4096 * 3))
    with pytest.raises(StateError, match="damaged"):
        _read_everything(path)


def _read_everything(path: Path) -> None:
    state = opened(path)
    try:
        with state.reading() as tx:
            for table in metadata.sorted_tables:
                tx.connection.exec_driver_sql(f"SELECT * FROM {table.name}").all()
    finally:
        state.close()


def test_a_full_disk_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    state = opened(tmp_path / "state.db")
    with state.transaction() as tx:
        tx.cursors.put("alice", "1")
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def write_much() -> None:
        with state.transaction() as tx:
            tx.cursors.put("alice", "2")
            tx.pairs.add_many([pair(n) for n in range(2000)])

    with pytest.raises(StateError, match="no space is left") as refusal:
        write_much()
    assert "free some space" in refusal.value.hint
    with state.transaction() as tx:
        assert tx.cursors.get("alice") == "1"
        tx.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        tx.pairs.add_many([pair(n) for n in range(2000)])
    state.close()


def test_a_contradiction_is_said_in_words(state: State) -> None:
    with pytest.raises(Contradiction, match="refused a write"), state.transaction() as tx:
        tx.pairs.add_many([pair(1), pair(1)])


def test_an_error_does_not_repeat_what_was_to_be_stored(state: State) -> None:
    with pytest.raises(Contradiction) as refusal, state.transaction() as tx:
        tx.pairs.add_many([pair(1, ecs_uid="private matter"), pair(1, ecs_uid="private matter")])
    cause: BaseException | None = refusal.value
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__cause__
    assert "private matter" not in f"{refusal.value} {cause}"


def test_our_own_mistakes_stay_what_they_are(state: State) -> None:
    with pytest.raises(StatementError, match="no time zone"), state.transaction() as tx:
        tx.cycles.start("alice", NOW.replace(tzinfo=None))
