import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crmsync.state.database import Locked, State
from tests.state.samples import NOW

_HOLD = """
import sys
from crmsync.state.database import State
from datetime import UTC, datetime
NOW = datetime(2026, 11, 22, tzinfo=UTC)
state = State.open(sys.argv[1], now=lambda: NOW)
with state.lock("alice"), state.exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_syncs_an_account_until_it_dies(url: str, state: State) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Locked, match="account alice is busy") as refusal, state.lock("alice"):
            pass
        assert f"process {child.pid} since 2026-11-22" in str(refusal.value) or "session" in str(
            refusal.value
        )
        with pytest.raises(Locked, match="the service of this state is busy"), state.exclusive():
            pass
        with state.lock("bob"):
            os.kill(child.pid, signal.SIGKILL)
    _until_free(state)


def _until_free(state: State) -> None:
    """PostgreSQL notices a killed client within moments; the kernel at once."""
    deadline = threading.Event()
    timer = threading.Timer(20, deadline.set)
    timer.start()
    try:
        while True:
            try:
                with state.lock("alice"), state.exclusive():
                    return
            except Locked:
                if deadline.is_set():
                    raise
    finally:
        timer.cancel()


def test_one_thread_syncs_an_account(state: State) -> None:
    with state.lock("alice"):
        refused: list[str] = []

        def second() -> None:
            try:
                with state.lock("alice"):
                    refused.append("no")
            except Locked as error:
                refused.append(error.message)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        assert "account alice is busy" in refused[0]
    with state.lock("alice"):
        pass


def test_a_lock_ends_with_an_exception(state: State) -> None:
    with pytest.raises(KeyError), state.lock("alice"):
        raise KeyError
    with state.lock("alice"), state.exclusive():
        pass


@pytest.mark.parametrize("account", ["../../etc/passwd", "..", ".", "a/b", "ä", "alice@example.com"])
def test_any_account_name_is_a_file_name(tmp_path: Path, account: str) -> None:
    state = State.open(f"sqlite:///{tmp_path}/state.db", now=lambda: NOW)
    with state.lock(account), state.lock("another"):
        assert len(list((tmp_path / "state.db.lock.d").iterdir())) == 2
    state.close()


def test_a_state_has_one_set_of_locks_by_whatever_name_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "there")
    one = State.open(f"sqlite:///{tmp_path}/there/state.db", now=lambda: NOW)
    other = State.open(f"sqlite:///{tmp_path}/here/state.db", now=lambda: NOW)
    with one.exclusive(), one.lock("alice"):
        with pytest.raises(Locked), other.exclusive():
            pass
        with pytest.raises(Locked), other.lock("alice"):
            pass
    one.close()
    other.close()


@pytest.mark.parametrize("taken", ["state.db", "state.db.lock"])
def test_a_service_whose_files_are_taken_away_is_told(tmp_path: Path, taken: str) -> None:
    """It would go on syncing into a database that nobody sees any more, beside the one that is started next."""
    state = State.open(f"sqlite:///{tmp_path}/state.db", now=lambda: NOW)
    with state.exclusive() as claim:
        claim.renew()
        (tmp_path / taken).unlink()
        with pytest.raises(Locked, match="removed or replaced"):
            claim.renew()
        (tmp_path / taken).touch()
        with pytest.raises(Locked, match="removed or replaced"):
            claim.renew()
    state.close()
