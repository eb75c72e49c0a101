"""Damaged database files, and when they are put aside."""

from pathlib import Path

import pytest

from crmsync.state.database import Locked, State
from crmsync.state.salvage import set_aside
from tests.state.samples import NOW, pair


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    state = State.open(f"sqlite:///{path}", now=lambda: NOW)
    with state.transaction() as tx:
        tx.pairs.add_many([pair(n) for n in range(500)])
    state.close()
    return path


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 * 5])


def cut_in_mid_page(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def garbage(file: Path) -> None:
    file.write_bytes(b"Dear diary, " * 5000)


def holes(file: Path) -> None:
    with file.open("r+b") as damaged:
        damaged.seek(4096 * 3)
        damaged.write(b"\0" * 4096 * 10)


@pytest.mark.parametrize("harm", [cut_short, cut_in_mid_page, garbage, holes])
def test_what_is_damaged_is_put_aside_and_a_new_state_takes_its_place(file: Path, harm) -> None:  # type: ignore[no-untyped-def]
    harm(file)
    content = file.read_bytes()
    aside = set_aside(file, lambda: NOW)
    assert aside is not None
    assert aside.name.startswith("state.db.damaged-2026")
    assert aside.read_bytes() == content
    State.open(f"sqlite:///{file}", now=lambda: NOW).close()
    assert set_aside(file, lambda: NOW) is None


def test_twice_in_a_second_overwrites_nothing(file: Path) -> None:
    for _ in range(2):
        garbage(file)
        set_aside(file, lambda: NOW)
    assert len(list(file.parent.glob("state.db.damaged-*"))) == 2


def test_what_is_in_order_stays(file: Path) -> None:
    before = file.read_bytes()
    assert set_aside(file, lambda: NOW) is None
    assert file.read_bytes() == before


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "none.db", lambda: NOW) is None
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_damage(tmp_path: Path) -> None:
    """That is what is left when the disk was full when it was made: today's tables go into it."""
    (tmp_path / "state.db").touch()
    assert set_aside(tmp_path / "state.db", lambda: NOW) is None


def test_a_service_keeps_its_database(file: Path) -> None:
    state = State.open(f"sqlite:///{file}", now=lambda: NOW)
    with state.exclusive():
        garbage(file)
        with pytest.raises(Locked):
            set_aside(file, lambda: NOW)
    state.close()
    assert file.exists()
