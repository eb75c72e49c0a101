"""Reminders, over a server that stores exactly, into the embedded CRM, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.house import House, house

EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk//EN
BEGIN:VEVENT
UID:e@example.com
DTSTAMP:20261101T080000Z
DTSTART:20261202T090000Z
DTEND:20261202T100000Z
SUMMARY:Budget
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
X-NOTE:mine
END:VALARM
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as opened:
        opened.servers["calendar"].set("e.ics", EVENT.encode())
        assert opened.sync()["errors"] == []
        yield opened


def text(made: House) -> str:
    return made.servers["calendar"].items["e.ics"][1].decode()


def row(made: House) -> tuple[Any, str]:
    found = made.row(made.pairs()["e.ics"])
    return found["IsReminderSet"], f"{found['ReminderDateTime'] or ''}"


def edit(made: House, **fields: object) -> None:
    assert made.edit(made.pairs()["e.ics"], fields) == ""
    assert made.sync()["errors"] == []


def test_an_alarm_is_a_reminder_in_the_crm(made: House) -> None:
    assert row(made) == (True, "2026-12-02 08:45:00")
    edit(made, ReminderDateTime="2026-12-02T08:00:00.000+0000")
    assert "TRIGGER:-PT1H\r\n" in text(made)
    assert "X-NOTE:mine" in text(made)
    edit(made, IsReminderSet=False)
    assert "VALARM" not in text(made)
    edit(made, IsReminderSet=True, ReminderDateTime="2026-12-02T08:30:00.000+0000")
    assert "TRIGGER:-PT30M\r\n" in text(made)
    assert made.sync()["writes"] == 0


def test_it_moves_along_with_the_event(made: House) -> None:
    times = {"StartDateTime": "2026-12-03T09:00:00.000+0000", "EndDateTime": "2026-12-03T10:00:00.000+0000"}
    edit(made, **times)
    assert "TRIGGER:-PT15M\r\n" in text(made)
    assert row(made) == (True, "2026-12-03 08:45:00")
    assert made.sync()["writes"] == 0


def test_without_an_alarm_there_is_none(made: House) -> None:
    before = text(made)
    bare = before[: before.index("BEGIN:VALARM")] + before[before.index("END:VEVENT") :]
    made.servers["calendar"].set("e.ics", bare)
    assert made.sync()["errors"] == []
    assert row(made)[0] is False
    assert made.sync()["writes"] == 0
