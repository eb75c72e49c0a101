"""The file of the call log is for its owner alone, and is that file and no other."""

import logging
import os
from pathlib import Path

import pytest

from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.errors import Unreachable


@pytest.mark.parametrize("name", ["calls.db", "calls.db-wal"])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(Unreachable, match=r"symbolic link.*name the file itself"):
        CallStore(tmp_path / "calls.db").epoch()
    assert elsewhere.read_bytes() == b""


def test_who_could_read_it_cannot_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "calls.db"
    store = CallStore(file)
    store.epoch()
    wal = tmp_path / "calls.db-wal"
    for each in (file, wal):
        each.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        other = CallStore(file)
        other.epoch()
    assert [each.stat().st_mode & 0o777 for each in (file, wal)] == [0o600, 0o600]
    assert [record.action for record in caplog.records] == ["calls.narrowed"] * 2  # type: ignore[attr-defined]
    other.close()
    store.close()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "calls.db")
    with pytest.raises(Unreachable, match=r"is no file"):
        CallStore(tmp_path / "calls.db").epoch()


@pytest.mark.parametrize(
    ("content", "said"), [(b"no database at all" * 300, "not a call log"), (None, "cannot open the call log")]
)
def test_what_cannot_be_used_says_what_to_do(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "calls.db"
    if content is None:
        (tmp_path / "a file").write_text("")
        file = tmp_path / "a file" / "calls.db"
    else:
        file.write_bytes(content)
    with pytest.raises(Unreachable, match=said) as told:
        CallStore(file).epoch()
    assert told.value.hint
