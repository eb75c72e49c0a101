"""The state is lost under real servers: deleted, put back from a copy, cut short, on a full disk."""

import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import COMMAND
from tests.bars.meetings import event
from tests.bars.office import Office, office
from tests.bars.people import contact

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
PEOPLE = [contact(n) for n in range(20)]
EVENTS = [event(n) for n in range(6)]


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as made:
        for sample in [*PEOPLE, *EVENTS]:
            made.put(sample)
        made.sf.Contact.create(
            {"LastName": "Born there", "Email": "born@example.com", "OwnerId": made.crm.alice.id}
        )
        made.sync()
        yield made


def state(made: Office) -> Path:
    return made.directory / "state" / "state.db"


def forget(made: Office) -> None:
    for part in ("", "-wal", "-shm"):
        state(made).with_name(f"state.db{part}").unlink(missing_ok=True)


def life_goes_on(made: Office) -> None:
    """While nobody syncs."""
    made.edit(made.book + PEOPLE[0].name, ("END:VCARD", "TITLE:Edited on the card\r\nEND:VCARD"))
    made.sf.Contact.update(_id(made, PEOPLE[1].key), {"Department": "Edited in the CRM"})
    made.delete(made.book + PEOPLE[2].name)
    made.sf.Contact.delete(_id(made, PEOPLE[3].key))
    born = next(name for name, item in made.stored(made.book).items() if "born@example.com" in item.text)
    made.delete(made.book + born)


def _id(made: Office, email: str) -> str:
    (row,) = made.rows("Contact", f"Email = '{email}'")
    return str(row["Id"])


def nothing_twice_and_nothing_back(made: Office, cards_left: int) -> None:
    cards, records = made.stored(made.book), [r["Email"] for r in made.rows("Contact")]
    assert len(set(records)) == len(records)
    assert len(cards) == cards_left
    assert PEOPLE[2].name not in cards
    assert not [1 for item in cards.values() if "born@example.com" in item.text]
    assert PEOPLE[3].key not in records
    assert len(made.stored(made.calendar)) == made.count("Event") == len(EVENTS)


@pytest.mark.parametrize("how", ["deleted", "restored"])
def test_what_happened_meanwhile_is_held_and_said(synced: Office, how: str) -> None:
    backup = synced.directory / "backup.db"
    shutil.copyfile(state(synced), backup)
    synced.edit(synced.book + PEOPLE[4].name, ("END:VCARD", "TITLE:Synced and forgotten\r\nEND:VCARD"))
    synced.sync()
    forget(synced)
    if how == "restored":
        shutil.copyfile(backup, state(synced))
    life_goes_on(synced)
    answer = synced.cli("sync")
    assert answer.code == 3, answer
    (notice,) = answer.json["notices"]
    assert notice["code"] == "state_older"
    left = len(PEOPLE) - 1  # the card of the record that was deleted is there until somebody decides
    nothing_twice_and_nothing_back(synced, left)
    (alice,) = synced.cli.ok("status")["accounts"]
    assert alice["light"] == "decision"
    assert alice["notices"] == [notice["message"]]
    assert notice["message"] in synced.cli.plain("status").out
    again: Any = synced.cli("sync")
    assert (again.json["writes"], again.json["notices"], again.json["errors"]) == (0, [], [])
    nothing_twice_and_nothing_back(synced, left)


@pytest.mark.parametrize("harm", ["cut short", "garbage"])
def test_a_damaged_database_is_put_aside_when_told_and_rebuilt(synced: Office, harm: str) -> None:
    whole = state(synced).read_bytes()
    forget(synced)
    state(synced).write_bytes(whole[: 4096 * 7] if harm == "cut short" else b"Dear diary, " * 9000)
    answer = synced.cli("sync")
    assert answer.code in (1, 2)
    assert "crmsync check --repair" in answer.out
    for _ in range(2):
        looked = synced.cli("check")
        assert looked.code in (1, 2)
        assert "crmsync check --repair" in looked.out
    repaired = synced.cli("check", "--repair")
    assert repaired.code == 0, repaired
    assert "state.db.damaged-" in repaired.out
    assert synced.cli("check", "--repair").code == 0  # again: nothing more is to be done
    assert len(list(state(synced).parent.glob("state.db.damaged-*"))) == 1
    assert synced.cli("sync").json["errors"] == []
    assert len(synced.stored(synced.book)) == synced.count("Contact") == len(PEOPLE) + 1
    synced.quiet()


def test_a_disk_that_takes_nothing_more(synced: Office) -> None:
    for number in range(100, 160):
        synced.put(contact(number))
    room = state(synced).stat().st_size + 40_000
    limited = subprocess.run(
        [COMMAND, "--config", str(synced.cli.config), "sync"],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert limited.returncode == 1, limited
    assert "Traceback" not in limited.stderr
    assert "state database" in limited.stdout
    synced.sync()
    emails = [r["Email"] for r in synced.rows("Contact")]
    assert len(emails) == len(set(emails)) == len(PEOPLE) + 1 + 60
    assert len(synced.stored(synced.book)) == len(PEOPLE) + 1 + 60
    synced.quiet()


def test_a_state_that_may_only_be_read(synced: Office) -> None:
    """Nothing is sent that could not be noted first."""
    writable = _version_of_writers(synced, 3)  # of which SQLite knows nothing: it reads, and refuses to write
    life_goes_on(synced)
    before = synced.everything()
    answer = synced.cli("sync")
    assert answer.code == 1, answer
    assert "no write access to the state database" in answer.out
    assert "needs write access to the file and its directory" in answer.out
    assert "Traceback" not in answer.out
    assert synced.everything() == before
    _version_of_writers(synced, writable)
    synced.sync()
    nothing_twice_and_nothing_back(synced, len(PEOPLE) - 2)
    synced.quiet()


def _version_of_writers(made: Office, number: int) -> int:
    """In the file's header (SQLite's file format, 1.3.3), which holds whoever the user is; the one before."""
    with closing(sqlite3.connect(state(made))) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with state(made).open("r+b") as file:
        file.seek(18)
        (before,) = file.read(1)
        file.seek(18)
        file.write(bytes([number]))
    return before
